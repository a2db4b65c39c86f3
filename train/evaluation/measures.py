"""How metrics are computed, so that leaving out accounts costs little: what can be summed over posts is, once.

scikit-learn's take whole columns, and a jackknife leaves out one account after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

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
        training_mean: The mean target of the posts which that model was trained on; None counts as 0 for all.
        shuffled: What it predicts of the post's account and history when all else is that of another test post of the
            same account (:mod:`.probes.control`); None where that was not asked.
        low, high: Ends of the interval that should hold 90 % of posts; None where the model has none.
        first: What it predicts as if the post were its account's first (:mod:`.probes.first_posts`); None where that
            was not asked.
        first_low, first_high: The ends of the interval then.
        earlier_posts: How many earlier posts of its account are known, -1 where that is not known itself; None where
            it was not asked.
    """

    true: Floats
    predicted: Floats
    accounts: Ids
    seeds: Rows
    training_mean: Floats | None = None
    shuffled: Floats | None = None
    low: Floats | None = None
    high: Floats | None = None
    first: Floats | None = None
    first_low: Floats | None = None
    first_high: Floats | None = None
    earlier_posts: Rows | None = None

    def of(self, rows: Rows) -> Predicted:
        """Return the posts at ``rows`` alone."""
        kept: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        kept = {name: None if column is None else column[rows] for name, column in kept.items()}
        return Predicted(**kept)

    @property
    def departures(self) -> Floats:
        """Predictions less the training mean, to nine digits: below that, differences are rounding, and no order."""
        return np.round(self.predicted - (0.0 if self.training_mean is None else self.training_mean), 9)


Measure = Callable[[int | None], float | None]
"""The number that is left without the posts of one group of accounts (None: of all posts); None where undefined."""

Preparation = Callable[[Predicted, Rows], Measure]
"""N test posts, and the number of each one's group of accounts from 0, shape (N,), to a measure of them."""

WITHIN_POSTS = 3
"""An account counts in :func:`within_accounts` with at least so many test posts of one seed."""


class Sums(NamedTuple):
    """Sums over posts; targets are less their mean over all posts, lest squares lose digits."""

    posts: float
    absolute_errors: float
    squared_errors: float
    targets: float
    squared_targets: float


def of_sums(formula: Callable[[Sums], float | None]) -> Preparation:
    """Return a metric that is a function of sums over posts, so that leaving out a group looks at no post."""

    def prepare(part: Predicted, group: Rows) -> Measure:
        center = float(part.true.mean()) if len(part.true) else 0.0
        error, target = part.true - part.predicted, part.true - center
        per_post = [np.ones(len(target)), np.abs(error), error**2, target, target**2]
        sums = np.array([np.bincount(group, values) for values in per_post])
        total = sums.sum(axis=1)

        def measure(left_out: int | None) -> float | None:
            kept = Sums(*(total if left_out is None else total - sums[:, left_out]))
            return None if kept.posts == 0 else formula(kept)

        return measure

    return prepare


def mean_squared_error(kept: Sums) -> float:
    """Return the mean of the squared errors."""
    return float(kept.squared_errors / kept.posts)


def mean_absolute_error(kept: Sums) -> float:
    """Return the mean of the absolute errors."""
    return float(kept.absolute_errors / kept.posts)


def r2(kept: Sums) -> float | None:
    """Return R² = 1 - sum (y - ŷ)² / sum (y - ȳ)², with ȳ the mean of the *test* part.

    Predicting the training mean thus gives 0 or less. None where all true values are equal.
    """
    variance = kept.squared_targets / kept.posts - (kept.targets / kept.posts) ** 2
    return float(1 - kept.squared_errors / kept.posts / variance) if variance > 1e-12 else None


def mean(values: Floats, group: Rows) -> Measure:
    """Return the mean of ``values``, shape (N,), as a measure; ``group`` is the number of each one's group."""
    counts, totals = np.bincount(group), np.bincount(group, values)

    def measure(left_out: int | None) -> float | None:
        size, total = counts.sum(), totals.sum()
        if left_out is not None:
            size, total = size - counts[left_out], total - totals[left_out]
        return float(total / size) if size else None

    return measure


def linear_correlation(part: Predicted, group: Rows) -> Measure:
    """Return Pearson's correlation of targets with :attr:`Predicted.departures`, over the posts of all seeds."""
    true, predicted = part.true, part.departures
    return lambda left_out: _correlation(*(side[_kept(group, left_out)] for side in (true, predicted)))


def rank_correlation(part: Predicted, group: Rows) -> Measure:
    """Return Spearman's correlation of targets with :attr:`Predicted.departures`, over the posts of all seeds."""
    sides = [np.unique(side, return_inverse=True)[1] for side in (part.true, part.departures)]  # sorted but once
    return lambda left_out: _correlation(*(_ranks(side[_kept(group, left_out)]) for side in sides))


def _kept(group: Rows, left_out: int | None) -> slice | Rows:
    return slice(None) if left_out is None else np.flatnonzero(group != left_out)


def _correlation(a: Floats, b: Floats) -> float | None:
    """Return the linear correlation; None where one side is constant."""
    if len(a) < 2:
        return None
    # Rounding gives a constant column a variance of about 1e-32 times its squared value.
    if any(side.var() <= 1e-24 * max(1.0, float(np.square(side).max())) for side in (a, b)):
        return None
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))


def _ranks(levels: Rows) -> Floats:
    """Return the ranks from 1 of whole numbers from 0, equal ones sharing their mean rank."""
    per_level = np.bincount(levels)
    ranks: Floats = (np.cumsum(per_level) - (per_level - 1) / 2)[levels]
    return ranks


def within_accounts(part: Predicted, group: Rows) -> Measure:
    """Return Spearman's correlation within each account and seed, averaged with weight n - 1: the inverse variance.

    An account whose posts all got one prediction counts as 0: they have not been put in order. Where that is every
    account, or where no account has posts that differ, it is undefined.
    """
    if not len(group):
        return lambda left_out: None
    seeds, seed = np.unique(part.seeds, return_inverse=True)
    account = np.unique(part.accounts, return_inverse=True)[1]
    cell = np.unique(account * len(seeds) + seed, return_inverse=True)[1]
    size = np.bincount(cell).astype(np.float64)
    sides = []
    for side in (part.true, part.departures):
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
    owner[cell] = group
    top, bottom, of_order = (np.bincount(owner, values) for values in (weight * correlation, weight, ordered))

    def measure(left_out: int | None) -> float | None:
        kept = slice(None) if left_out is None else np.arange(len(top)) != left_out
        return float(top[kept].sum() / bottom[kept].sum()) if of_order[kept].any() else None

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
