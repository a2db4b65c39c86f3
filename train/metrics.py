"""How good predictions are, in log space. What is undefined is None, never NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Predicted:
    """The test posts of one or several seeds: shape (N,) each.

    Attributes:
        true: True targets.
        predicted: Predicted targets.
        accounts: Ids of accounts.
        seeds: Which seed's model predicted the post.
    """

    true: Floats
    predicted: Floats
    accounts: npt.NDArray[np.uint64]
    seeds: npt.NDArray[np.int64]


Statistic = Callable[[Floats, Floats, Floats | None], float | None]
"""True values, predicted values and the weight of each post (None: 1 each) to a number, None where undefined."""


def mse(true: Floats, predicted: Floats, weights: Floats | None = None) -> float | None:
    """Return the mean squared error."""
    return float(np.average((true - predicted) ** 2, weights=weights)) if len(true) else None


def mae(true: Floats, predicted: Floats, weights: Floats | None = None) -> float | None:
    """Return the mean absolute error."""
    return float(np.average(np.abs(true - predicted), weights=weights)) if len(true) else None


def r2(true: Floats, predicted: Floats, weights: Floats | None = None) -> float | None:
    """Return R² = 1 - sum (y - ŷ)² / sum (y - ȳ)², with ȳ the mean of the *test* part.

    Predicting the training mean thus gives 0 or less. None where all true values are equal.
    """
    if len(true) < 2:
        return None
    residual = np.average((true - predicted) ** 2, weights=weights)
    total = np.average((true - np.average(true, weights=weights)) ** 2, weights=weights)
    return float(1 - residual / total) if total > 1e-12 else None


def pearson(true: Floats, predicted: Floats, weights: Floats | None = None) -> float | None:
    """Return the linear correlation; None where one side is constant."""
    if len(true) < 2:
        return None
    a = true - np.average(true, weights=weights)
    b = predicted - np.average(predicted, weights=weights)
    spread = np.average(a * a, weights=weights) * np.average(b * b, weights=weights)
    # Rounding gives a constant column a spread of about 1e-32 times its squared value.
    floor = 1e-24 * max(1.0, float(np.square(true).max()) * float(np.square(predicted).max()))
    if spread <= floor:
        return None
    return float(np.clip(np.average(a * b, weights=weights) / np.sqrt(spread), -1, 1))


def ranks(values: Floats, weights: Floats | None = None) -> Floats:
    """Return the ranks from 1, equal values sharing their mean rank.

    A whole-number weight counts a value that many times, so this gives the ranks in a resampled data set.
    """
    return _ranks_of(np.unique(values, return_inverse=True)[1], weights)


def _ranks_of(places: Rows, weights: Floats | None) -> Floats:
    """Return :func:`ranks` of values of which ``places`` says the place among the distinct ones."""
    per_value = np.bincount(places, weights)
    found: Floats = (np.cumsum(per_value) - per_value + (per_value + 1) / 2)[places]
    return found


def spearman(true: Floats, predicted: Floats, weights: Floats | None = None) -> float | None:
    """Return the rank correlation; None where one side is constant."""
    return pearson(ranks(true, weights), ranks(predicted, weights), weights)


STATISTICS: dict[str, Statistic] = {"mse": mse, "mae": mae, "r2": r2, "spearman": spearman, "pearson": pearson}
_WITHIN_SEEDS = frozenset({"spearman", "pearson"})


def value(part: Predicted, name: str) -> float | None:
    """Return one of :data:`STATISTICS` over the test posts of all seeds.

    Errors and R² are taken over the posts of all seeds at once. Correlations are taken among the posts of each seed
    and averaged by number of posts: between seeds, the mean of the training part alone would correlate with what was
    held out, and negatively.
    """
    return prepared(part, name)(None)


def prepared(part: Predicted, name: str) -> Callable[[Floats | None], float | None]:
    """Return :func:`value` as a function of the posts' weights, for many weights: values are sorted once."""
    if name not in _WITHIN_SEEDS:
        return lambda weights: STATISTICS[name](part.true, part.predicted, weights)
    own = [np.flatnonzero(part.seeds == seed) for seed in np.unique(part.seeds)]
    ranked = name == "spearman"
    both = [[side[at] for side in (part.true, part.predicted)] for at in own]
    places = [[np.unique(side, return_inverse=True)[1] for side in sides] for sides in both] if ranked else []

    def within(number: int, weights: Floats | None) -> float | None:
        true, predicted = [_ranks_of(side, weights) for side in places[number]] if ranked else both[number]
        return pearson(true, predicted, weights)

    def averaged(weights: Floats | None) -> float | None:
        total, size = 0.0, 0.0
        for number, at in enumerate(own):
            drawn = None if weights is None else weights[at]
            count = float(len(at) if drawn is None else drawn.sum())
            found = within(number, drawn) if count else None
            if found is not None:
                total, size = total + count * found, size + count
        return total / size if size else None

    return averaged


def all_of(part: Predicted) -> dict[str, float | None]:
    """Return every statistic by name."""
    return {name: value(part, name) for name in STATISTICS}


def pooled(parts: Sequence[Predicted]) -> Predicted:
    """Return the test parts of several seeds as one."""
    return Predicted(
        np.concatenate([part.true for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.accounts for part in parts]),
        np.concatenate([part.seeds for part in parts]),
    )
