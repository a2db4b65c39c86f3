"""How metrics are computed, so that a resample of accounts costs little: what can be summed over posts is, once.

scikit-learn's take whole columns with a weight a post, and in a bootstrap a thousand times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from postmill.train.data.arrays import Floats, Ids, Rows


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
    accounts: Ids
    seeds: Rows


Measure = Callable[[Floats | None], float | None]
"""How often each distinct account is drawn (None: once each), in the order of their ids, to a number; None where it is
undefined."""

Preparation = Callable[[Predicted, Rows], Measure]
"""N test posts, and the index of each one's account among the distinct ones, shape (N,), to a measure of them."""

WITHIN_POSTS = 3
"""An account counts in :func:`within_accounts` with at least so many test posts of one seed."""


class Sums(NamedTuple):
    """Sums over the posts that were drawn; targets are less their mean over all posts, lest squares lose digits."""

    posts: float
    absolute_errors: float
    squared_errors: float
    targets: float
    squared_targets: float


def of_sums(formula: Callable[[Sums], float | None]) -> Preparation:
    """Return a metric that is a function of sums over accounts, so that a resample looks at no post."""

    def prepare(part: Predicted, account: Rows) -> Measure:
        center = float(part.true.mean()) if len(part.true) else 0.0
        error, target = part.true - part.predicted, part.true - center
        per_post = [np.ones(len(target)), np.abs(error), error**2, target, target**2]
        sums = np.array([np.bincount(account, values) for values in per_post])

        def measure(times: Floats | None) -> float | None:
            drawn = Sums(*(sums.sum(axis=1) if times is None else sums @ times))
            return None if drawn.posts == 0 else formula(drawn)

        return measure

    return prepare


def mean_squared_error(drawn: Sums) -> float:
    """Return the mean of the squared errors."""
    return float(drawn.squared_errors / drawn.posts)


def mean_absolute_error(drawn: Sums) -> float:
    """Return the mean of the absolute errors."""
    return float(drawn.absolute_errors / drawn.posts)


def r2(drawn: Sums) -> float | None:
    """Return R² = 1 - sum (y - ŷ)² / sum (y - ȳ)², with ȳ the mean of the *test* part.

    Predicting the training mean thus gives 0 or less. None where all true values are equal.
    """
    variance = drawn.squared_targets / drawn.posts - (drawn.targets / drawn.posts) ** 2
    return float(1 - drawn.squared_errors / drawn.posts / variance) if variance > 1e-12 else None


def mean(values: Floats, account: Rows) -> Measure:
    """Return the mean of ``values``, shape (N,), as a measure; ``account`` is the index of each one's account."""
    counts, totals = np.bincount(account), np.bincount(account, values)

    def measure(times: Floats | None) -> float | None:
        size = float(counts.sum() if times is None else counts @ times)
        return float((totals.sum() if times is None else totals @ times) / size) if size else None

    return measure


def pearson(true: Floats, predicted: Floats, weights: Floats | None = None) -> float | None:
    """Return the linear correlation; None where one side is constant."""
    if len(true) < 2:
        return None
    a = true - np.average(true, weights=weights)
    b = predicted - np.average(predicted, weights=weights)
    variances = np.average(a * a, weights=weights) * np.average(b * b, weights=weights)
    # Rounding gives a constant column a variance of about 1e-32 times its squared value.
    floor = 1e-24 * max(1.0, float(np.square(true).max()) * float(np.square(predicted).max()))
    if variances <= floor:
        return None
    return float(np.clip(np.average(a * b, weights=weights) / np.sqrt(variances), -1, 1))


def ranks(values: Floats, weights: Floats | None = None) -> Floats:
    """Return the ranks from 1, equal values sharing their mean rank.

    A whole-number weight counts a value that many times, so this gives the ranks in a resampled data set, which
    scipy's rankdata does not.
    """
    return _ranks_of_levels(_levels(values), weights)


def _levels(values: Floats) -> Rows:
    """Return the index of each value among the distinct ones."""
    return np.unique(values, return_inverse=True)[1]


def _ranks_of_levels(levels: Rows, weights: Floats | None) -> Floats:
    per_level = np.bincount(levels, weights)
    result: Floats = (np.cumsum(per_level) - per_level + (per_level + 1) / 2)[levels]
    return result


def linear_correlation(part: Predicted, account: Rows) -> Measure:
    """Return Pearson's correlation among the posts of each seed, averaged by number of posts."""

    def prepare(true: Floats, predicted: Floats) -> Measure:
        return lambda weights: pearson(true, predicted, weights)

    return _averaged_over_seeds(part, account, prepare)


def rank_correlation(part: Predicted, account: Rows) -> Measure:
    """Return Spearman's correlation among the posts of each seed, averaged by number of posts."""

    def prepare(true: Floats, predicted: Floats) -> Measure:
        a, b = _levels(true), _levels(predicted)
        return lambda weights: pearson(_ranks_of_levels(a, weights), _ranks_of_levels(b, weights), weights)

    return _averaged_over_seeds(part, account, prepare)


def _averaged_over_seeds(part: Predicted, account: Rows, prepare: Callable[[Floats, Floats], Measure]) -> Measure:
    rows_of = [np.flatnonzero(part.seeds == seed) for seed in np.unique(part.seeds)]
    correlations = [prepare(part.true[rows], part.predicted[rows]) for rows in rows_of]

    def measure(times: Floats | None) -> float | None:
        total, size = 0.0, 0.0
        for rows, correlation in zip(rows_of, correlations, strict=True):
            drawn = None if times is None else times[account[rows]]
            count = float(len(rows) if drawn is None else drawn.sum())
            value = correlation(drawn) if count else None
            if value is not None:
                total, size = total + count * value, size + count
        return total / size if size else None

    return measure


def within_accounts(part: Predicted, account: Rows) -> Measure:
    """Return Spearman's correlation within each account and seed, averaged with weight n - 1: the inverse variance.

    An account whose posts all got one prediction counts as 0: they have not been put in order. Where that is every
    account, or where no account has posts that differ, it is undefined.
    """
    if not len(account):
        return lambda times: None
    _, cell = np.unique(np.column_stack([part.seeds, account]), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    size = np.bincount(cell).astype(np.float64)
    sides = []
    for side in (part.true, part.predicted):
        ranked = _ranks_within(cell, side)
        sides.append(ranked - (np.bincount(cell, ranked) / size)[cell])
    true, predicted = sides
    products = np.bincount(cell, true * predicted)
    squares = [np.bincount(cell, side**2) for side in sides]
    usable = (size >= WITHIN_POSTS) & (squares[0] > 1e-9)
    ordered = usable & (squares[1] > 1e-9)
    correlation = np.zeros(len(size))
    correlation[ordered] = products[ordered] / np.sqrt(squares[0][ordered] * squares[1][ordered])
    weight = np.where(usable, size - 1, 0.0)
    owner = np.zeros(len(size), dtype=np.int64)
    owner[cell] = account
    accounts = int(account.max()) + 1 if len(account) else 0
    top, bottom = np.bincount(owner, weight * correlation, accounts), np.bincount(owner, weight, accounts)

    def measure(times: Floats | None) -> float | None:
        total = float(bottom.sum() if times is None else bottom @ times)
        if total == 0 or not ordered.any():
            return None
        return float((top.sum() if times is None else top @ times) / total)

    return measure


def _ranks_within(cell: Rows, values: Floats) -> Floats:
    """Return the ranks from 1 of ``values`` among those of the same cell, equal values sharing their mean rank."""
    order = np.lexsort((values, cell))
    sorted_cell, sorted_values = cell[order], values[order]
    position = np.arange(len(order))
    new_cell = np.concatenate([[True], sorted_cell[1:] != sorted_cell[:-1]])
    new_value = new_cell | np.concatenate([[True], sorted_values[1:] != sorted_values[:-1]])
    run = np.cumsum(new_value) - 1
    starts = position[new_value]
    ends = np.append(starts[1:], len(order))
    first = np.maximum.accumulate(np.where(new_cell, position, 0))
    result = np.empty(len(order))
    result[order] = ((starts + ends - 1) / 2)[run] - first + 1
    return result
