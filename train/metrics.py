"""How good predictions are, in log space, and how sure one can be: a bootstrap over accounts.

Posts of one account resemble each other, so it is accounts that are drawn with replacement, never posts (a cluster
bootstrap; Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 3.8). What another sample of
accounts would have given is in the interval; what other training posts would have given is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
_ALL = slice(None)

MIN_ACCOUNTS, MIN_POSTS = 20, 100
"""With fewer accounts or posts in the test parts together there is no interval, and no claim."""

REPLICATES = 1_000
LEVEL = 0.95
_SEED = 20_190_630
_MAX_UNDEFINED = 0.05  # share of replicates in which a statistic may be undefined

TOO_FEW_ACCOUNTS = f"too few accounts for an interval (fewer than {MIN_ACCOUNTS})"
TOO_FEW_POSTS = f"too few posts for an interval (fewer than {MIN_POSTS})"
UNDEFINED = "undefined: all predictions or all true values are equal"


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


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


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
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    weight = np.ones(len(values)) if weights is None else weights[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(values) else np.array([], int)
    per_value = np.add.reduceat(weight, starts) if len(values) else np.array([])
    before = np.cumsum(per_value) - per_value
    ranked = np.empty(len(values))
    ranked[order] = np.repeat(before + (per_value + 1) / 2, np.diff(np.append(starts, len(values))))
    return ranked


def spearman(true: Floats, predicted: Floats, weights: Floats | None = None) -> float | None:
    """Return the rank correlation; None where one side is constant."""
    return pearson(ranks(true, weights), ranks(predicted, weights), weights)


STATISTICS: dict[str, Statistic] = {"mse": mse, "mae": mae, "r2": r2, "spearman": spearman, "pearson": pearson}


_WITHIN_SEEDS = frozenset({"spearman", "pearson"})


def value(part: Predicted, name: str, at: Rows | slice = _ALL, weights: Floats | None = None) -> float | None:
    """Return one of :data:`STATISTICS` over the test posts ``at``.

    Errors and R² are taken over the posts of all seeds at once. Correlations are taken among the posts of each seed
    and averaged by number of posts: between seeds, the mean of the training part alone would correlate with what was
    held out, and negatively.
    """
    true, predicted, seeds = part.true[at], part.predicted[at], part.seeds[at]
    if name not in _WITHIN_SEEDS:
        return STATISTICS[name](true, predicted, weights)
    total, size = 0.0, 0.0
    for seed in np.unique(seeds):
        own = seeds == seed
        found = STATISTICS[name](true[own], predicted[own], None if weights is None else weights[own])
        if found is not None:
            count = float(own.sum() if weights is None else weights[own].sum())
            total, size = total + count * found, size + count
    return total / size if size else None


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


def interval(part: Predicted, name: str) -> Interval | str:
    """Return the 95 % interval of the statistic ``name`` of :data:`STATISTICS`, or why there is none."""
    return _percentiles(part.accounts, lambda at, weights: value(part, name, at, weights))


def difference(better: Predicted, worse: Predicted, name: str) -> tuple[float | None, Interval | str]:
    """Return how much higher ``name`` is for ``better`` than for ``worse``, with a paired 95 % interval.

    The same accounts are drawn for both, so what makes an account hard for both cancels out.

    Raises:
        ValueError: They are not about the same posts in the same order.
    """
    if not (np.array_equal(better.true, worse.true) and np.array_equal(better.accounts, worse.accounts)):
        raise ValueError("a paired difference needs the same test posts in the same order")

    def gap(at: Rows | slice, weights: Floats | None) -> float | None:
        high, low = value(better, name, at, weights), value(worse, name, at, weights)
        return None if high is None or low is None else high - low

    return gap(_ALL, None), _percentiles(better.accounts, gap)


def _percentiles(accounts: npt.NDArray[np.uint64], statistic: Callable[[Rows, Floats], float | None]) -> Interval | str:
    distinct, code = np.unique(accounts, return_inverse=True)
    if len(distinct) < MIN_ACCOUNTS:
        return TOO_FEW_ACCOUNTS
    if len(accounts) < MIN_POSTS:
        return TOO_FEW_POSTS
    random = np.random.default_rng(_SEED)
    drawn = np.empty(REPLICATES)
    for replicate in range(REPLICATES):
        times = np.bincount(random.integers(len(distinct), size=len(distinct)), minlength=len(distinct))
        weights = times[code].astype(np.float64)
        at = np.flatnonzero(weights)
        found = statistic(at, weights[at])
        drawn[replicate] = np.nan if found is None else found
    if np.isnan(drawn).mean() > _MAX_UNDEFINED:
        return UNDEFINED
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
