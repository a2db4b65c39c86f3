"""What is predicted, by name: ``y = log1p(likes + w * comments)`` unless another was asked for; its standardisation."""

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
from postmill.train.options import TargetName

COLUMNS = ("likes", "comment_count", "followers")
"""The columns of the records that targets are computed from."""

HIDDEN_LIKES = "hidden_likes"
UNKNOWN_COMMENTS = "unknown_comment_count"
NEGATIVE_COUNT = "negative_count"
COUNT_OUT_OF_RANGE = "count_out_of_range"
UNKNOWN_FOLLOWERS = "unknown_followers"
NO_FOLLOWERS = "no_followers"


@dataclass(frozen=True)
class Definition:
    """What is predicted of a post.

    Attributes:
        name: Which counts it is made of.
        comment_weight: How many likes a comment counts for, where both are counted.
    """

    name: TargetName = TargetName.LIKES_AND_COMMENTS
    comment_weight: float = 1.0

    @property
    def weights(self) -> tuple[float, float]:
        """How much a like and a comment count."""
        if self.name == TargetName.COMMENTS:
            return 0.0, 1.0
        return 1.0, 0.0 if self.name == TargetName.LIKES else self.comment_weight

    @property
    def is_rate(self) -> bool:
        """Whether it is relative to the number of followers."""
        return self.name == TargetName.RATE

    @property
    def formula(self) -> str:
        """The target as people write it, such as ``log(1 + likes + comments)``; the logarithm is natural."""
        return f"log(1 + {self._counted('+')})" + (" - log(1 + followers)" if self.is_rate else "")

    @property
    def unit(self) -> str:
        """What :meth:`counts` are counts of, in words."""
        return self._counted("and") + (" per follower" if self.is_rate else "")

    def counts(self, values: Floats) -> Floats:
        """Undo the logarithm: targets as counts, of a rate as (1 + counts) / (1 + followers)."""
        return np.exp(values) if self.is_rate else np.expm1(values)

    def _counted(self, and_: str) -> str:
        likes, comments = self.weights
        times = "" if comments == 1 else f"{comments:g} \N{MULTIPLICATION SIGN} "
        return f" {and_} ".join([*(["likes"] if likes else []), *([f"{times}comments"] if comments else [])])


@dataclass(frozen=True)
class Target:
    """The target of N posts.

    Attributes:
        values: Shape (N,), by the formula of its definition; NaN for a post that has no target.
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


def check(definition: Definition) -> None:
    """Check how many likes a comment is to count for.

    Raises:
        UsageError: The weight is negative or not finite, or the target has no use for one.
    """
    weight, name = definition.comment_weight, definition.name
    if not math.isfinite(weight) or weight < 0:
        raise UsageError(
            f"{weight} is not a weight for comments",
            place="--comment-weight",
            hint="give a number from 0 (likes alone) upwards; 1 counts a comment like a like",
        )
    if weight != 1 and name in (TargetName.LIKES, TargetName.COMMENTS):
        raise UsageError(
            f"{weight:g} weighs nothing in the target {name}",
            place="--comment-weight",
            hint=f"leave it out, or name --target {TargetName.LIKES_AND_COMMENTS}",
        )


def engagement(records: pa.Table, definition: Definition) -> Target:
    """Return the target of N posts from their records, of which :data:`COLUMNS` are read (null where not known).

    A post has no target where a count that it is made of is hidden or not known, or where a count is one that ingest
    takes from nobody: post shards may be of another program, or older. It has no rate where followers are none.

    Raises:
        UsageError: As of :func:`check`.
    """
    check(definition)
    counted = zip((records["likes"], records["comment_count"]), definition.weights, strict=True)
    likes, comments = (with_nan(column) if weight else np.zeros(len(column)) for column, weight in counted)
    followers = with_nan(records["followers"]) if definition.is_rate else np.ones(len(likes))
    reasons = {
        HIDDEN_LIKES: np.isnan(likes),
        UNKNOWN_COMMENTS: np.isnan(comments),
        NEGATIVE_COUNT: (likes < 0) | (comments < 0) | (followers < 0),
        COUNT_OUT_OF_RANGE: (likes > MAX_COUNT) | (comments > MAX_COUNT) | (followers > MAX_COUNT),
        UNKNOWN_FOLLOWERS: np.isnan(followers),
        NO_FOLLOWERS: followers == 0,
    }
    usable, left_out = np.ones(len(likes), dtype=bool), {}
    for reason, lacking in reasons.items():
        if (first := usable & lacking).any():
            left_out[reason] = int(first.sum())
        usable &= ~lacking
    values = np.full(len(likes), np.nan)
    like, comment = definition.weights
    values[usable] = np.log1p(like * likes[usable] + comment * comments[usable])
    if definition.is_rate:
        values[usable] -= np.log1p(followers[usable])
    return Target(values, left_out)


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
