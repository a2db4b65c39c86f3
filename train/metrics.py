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
WITHIN = "within_account"
NAMES = (*STATISTICS, WITHIN)
"""Everything that is measured; :data:`WITHIN` is Spearman's rank correlation among the posts of one account."""

WITHIN_POSTS = 3
"""An account counts in :data:`WITHIN` with at least so many test posts of one seed."""

_WITHIN_SEEDS = frozenset({"spearman", "pearson"})
Measure = Callable[[Floats | None], float | None]
"""How often each distinct account is drawn (None: once each), in the order of their ids, to a number."""


def value(part: Predicted, name: str) -> float | None:
    """Return one of :data:`NAMES` over the test posts of all seeds.

    Errors and R² are taken over the posts of all seeds at once. Correlations are taken among the posts of each seed
    and averaged by number of posts: between seeds, the mean of the training part alone would correlate with what was
    held out, and negatively. Within accounts they are averaged with weight n - 1, the inverse of their variance.
    """
    return prepared(part, name)(None)


def prepared(part: Predicted, name: str) -> Measure:
    """Return :func:`value` as a function of how often each account is drawn: what can be summed up is, once."""
    account = np.unique(part.accounts, return_inverse=True)[1]
    if name == WITHIN:
        return _within_accounts(part, account)
    if name in _WITHIN_SEEDS:
        return _within_seeds(part, account, ranked=name == "spearman")
    return _of_sums(part, account, name)


def _of_sums(part: Predicted, account: Rows, name: str) -> Measure:
    """Return a measure that is a function of sums over accounts, so that a resample costs no look at a post."""
    middle = float(part.true.mean()) if len(part.true) else 0.0
    error, y = part.true - part.predicted, part.true - middle
    per_post = [np.ones(len(y)), np.abs(error), error**2, y, y**2]
    sums = np.array([np.bincount(account, values) for values in per_post])

    def measure(times: Floats | None) -> float | None:
        size, absolute, squares, total, total_squares = sums.sum(axis=1) if times is None else sums @ times
        if size == 0 or (name == "r2" and len(y) < 2):
            return None
        if name != "r2":
            return float((absolute if name == "mae" else squares) / size)
        variance = total_squares / size - (total / size) ** 2
        return float(1 - squares / size / variance) if variance > 1e-12 else None

    return measure


def _within_seeds(part: Predicted, account: Rows, *, ranked: bool) -> Measure:
    own = [np.flatnonzero(part.seeds == seed) for seed in np.unique(part.seeds)]
    both = [[side[at] for side in (part.true, part.predicted)] for at in own]
    places = [[np.unique(side, return_inverse=True)[1] for side in sides] for sides in both] if ranked else []

    def within(number: int, weights: Floats | None) -> float | None:
        true, predicted = [_ranks_of(side, weights) for side in places[number]] if ranked else both[number]
        return pearson(true, predicted, weights)

    def averaged(times: Floats | None) -> float | None:
        total, size = 0.0, 0.0
        for number, at in enumerate(own):
            drawn = None if times is None else times[account[at]]
            count = float(len(at) if drawn is None else drawn.sum())
            found = within(number, drawn) if count else None
            if found is not None:
                total, size = total + count * found, size + count
        return total / size if size else None

    return averaged


def _within_accounts(part: Predicted, account: Rows) -> Measure:
    """Return Spearman's correlation within each account and seed, averaged.

    An account whose posts all got one prediction counts as 0: they have not been put in order. Where that is every
    account, or where no account has posts that differ, it is undefined.
    """
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
    found = np.zeros(len(size))
    found[ordered] = products[ordered] / np.sqrt(squares[0][ordered] * squares[1][ordered])
    weight = np.where(usable, size - 1, 0.0)
    owner = np.zeros(len(size), dtype=np.int64)
    owner[cell] = account
    accounts = int(account.max()) + 1 if len(account) else 0
    top, bottom = np.bincount(owner, weight * found, accounts), np.bincount(owner, weight, accounts)

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
    place = np.arange(len(order))
    new_cell = np.concatenate([[True], sorted_cell[1:] != sorted_cell[:-1]])
    new_value = new_cell | np.concatenate([[True], sorted_values[1:] != sorted_values[:-1]])
    run = np.cumsum(new_value) - 1
    starts = place[new_value]
    ends = np.append(starts[1:], len(order))
    first = np.maximum.accumulate(np.where(new_cell, place, 0))
    found = np.empty(len(order))
    found[order] = ((starts + ends - 1) / 2)[run] - first + 1
    return found


def all_of(part: Predicted) -> dict[str, float | None]:
    """Return every statistic by name."""
    return {name: value(part, name) for name in NAMES}


def pooled(parts: Sequence[Predicted]) -> Predicted:
    """Return the test parts of several seeds as one."""
    return Predicted(
        np.concatenate([part.true for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.accounts for part in parts]),
        np.concatenate([part.seeds for part in parts]),
    )
