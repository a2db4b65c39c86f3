"""What is predicted: ``y = log1p(likes + w * comments)``, and its standardisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats.bounds import FIRST_TIME, LAST_TIME, MAX_COUNT
from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Floats, Times

HIDDEN_LIKES = "hidden_likes"
UNKNOWN_COMMENTS = "unknown_comment_count"
NEGATIVE_COUNT = "negative_count"
COUNT_OUT_OF_RANGE = "count_out_of_range"


@dataclass(frozen=True)
class Target:
    """The target of N posts.

    Attributes:
        values: Shape (N,), log of (1 + counts); NaN for a post that has no target.
        left_out: How many posts have no target, by reason; each post is counted once.
    """

    values: Floats
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training part, by which the target is standardised."""

    mean: float
    std: float

    def standardise(self, values: Floats) -> Floats:
        """Return ``values`` in standard deviations from the mean."""
        return (values - self.mean) / self.std

    def restore(self, standardised: Floats) -> Floats:
        """Undo :meth:`standardise`."""
        return standardised * self.std + self.mean


def check_weight(comment_weight: float) -> None:
    """Check how many likes a comment is to count for.

    Raises:
        UsageError: It is negative or not finite.
    """
    if not math.isfinite(comment_weight) or comment_weight < 0:
        raise UsageError(
            f"{comment_weight} is not a weight for comments",
            place="--comment-weight",
            hint="give a number from 0 (likes alone) upwards; 1 counts a comment like a like",
        )


def engagement(likes: pa.ChunkedArray, comments: pa.ChunkedArray, comment_weight: float) -> Target:
    """Return the target of N posts from two columns of N counts (null where not known).

    A post has no target where likes are hidden, where the number of comments is not known and would count, or where a
    count is one that ingest takes from nobody: post shards may be of another program, or older.

    Raises:
        UsageError: ``comment_weight`` is negative or not finite.
    """
    check_weight(comment_weight)
    n_likes, n_comments = with_nan(likes), with_nan(comments)
    if comment_weight == 0:
        n_comments = np.zeros_like(n_likes)
    hidden = np.isnan(n_likes)
    unknown = ~hidden & np.isnan(n_comments)
    negative = (n_likes < 0) | (n_comments < 0)
    negative &= ~hidden & ~unknown
    beyond = (n_likes > MAX_COUNT) | (n_comments > MAX_COUNT)
    beyond &= ~hidden & ~unknown & ~negative
    values = np.full(len(n_likes), np.nan)
    usable = ~(hidden | unknown | negative | beyond)
    values[usable] = np.log1p(n_likes[usable] + comment_weight * n_comments[usable])
    counts = {HIDDEN_LIKES: hidden, UNKNOWN_COMMENTS: unknown, NEGATIVE_COUNT: negative, COUNT_OUT_OF_RANGE: beyond}
    return Target(values, {reason: int(which.sum()) for reason, which in counts.items() if which.any()})


def fit_scale(values: Floats) -> Scale:
    """Return mean and standard deviation of the training targets; the latter is 1 where they are all equal."""
    std = float(values.std())
    return Scale(float(values.mean()), std if std > 1e-9 else 1.0)


def with_nan(column: pa.ChunkedArray) -> Floats:
    """Return a column of numbers, NaN where it is null; beyond 2**53 the nearest float stands for a whole number."""
    filled: Floats = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan")).to_numpy()
    return filled


def times(column: pa.ChunkedArray) -> Times:
    """Return a column of times of publication, NaN where it is null or no time that a post can have."""
    seconds = with_nan(column)
    return np.where((seconds >= FIRST_TIME) & (seconds <= LAST_TIME), seconds, np.nan)


def times_out_of_range(column: pa.ChunkedArray) -> int:
    """Return how many times of publication are none that a post can have; ingest would have made them null."""
    return int(np.isnan(times(column)).sum()) - int(column.null_count)
