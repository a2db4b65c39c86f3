"""What is predicted: ``y = log1p(likes + w * comments)``, and its standardisation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shards.errors import UsageError

Floats = npt.NDArray[np.float64]

HIDDEN_LIKES = "hidden_likes"
UNKNOWN_COMMENTS = "unknown_comment_count"
NEGATIVE_COUNT = "negative_count"


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
    deviation: float

    def standardise(self, values: Floats) -> Floats:
        """Return ``values`` in standard deviations from the mean."""
        return (values - self.mean) / self.deviation

    def restore(self, standardised: Floats) -> Floats:
        """Undo :meth:`standardise`."""
        return standardised * self.deviation + self.mean


def engagement(likes: pa.ChunkedArray, comments: pa.ChunkedArray, comment_weight: float) -> Target:
    """Return the target of N posts from two columns of N counts (null where not known).

    A post has no target where likes are hidden, or where the number of comments is not known and would count.

    Raises:
        UsageError: ``comment_weight`` is negative or not finite.
    """
    if not math.isfinite(comment_weight) or comment_weight < 0:
        raise UsageError(
            f"{comment_weight} is not a weight for comments",
            place="--comment-weight",
            hint="give a number from 0 (likes alone) upwards; 1 counts a comment like a like",
        )
    n_likes, n_comments = with_nan(likes), with_nan(comments)
    if comment_weight == 0:
        n_comments = np.zeros_like(n_likes)
    hidden = np.isnan(n_likes)
    unknown = ~hidden & np.isnan(n_comments)
    negative = (n_likes < 0) | (n_comments < 0)
    negative &= ~hidden & ~unknown
    values = np.full(len(n_likes), np.nan)
    usable = ~(hidden | unknown | negative)
    values[usable] = np.log1p(n_likes[usable] + comment_weight * n_comments[usable])
    counts = {HIDDEN_LIKES: hidden, UNKNOWN_COMMENTS: unknown, NEGATIVE_COUNT: negative}
    return Target(values, {reason: int(which.sum()) for reason, which in counts.items() if which.any()})


def fit_scale(values: Floats) -> Scale:
    """Return mean and standard deviation of the training targets; the deviation is 1 where they are all equal."""
    deviation = float(values.std())
    return Scale(float(values.mean()), deviation if deviation > 1e-9 else 1.0)


def with_nan(column: pa.ChunkedArray) -> Floats:
    """Return a column of numbers, NaN where it is null."""
    filled: Floats = pc.fill_null(column.cast(pa.float64()), float("nan")).to_numpy()
    return filled
