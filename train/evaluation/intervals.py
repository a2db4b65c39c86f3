"""How sure one can be of a statistic: a bootstrap over accounts.

Posts of one account resemble each other, so it is accounts that are drawn with replacement, never posts (a cluster
bootstrap; Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, section 3.8). What another sample of
accounts would have given is in the interval; what other training posts would have given is not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from postmill.train.data.arrays import Floats, Ids
from postmill.train.evaluation import measures, metrics
from postmill.train.evaluation.measures import Measure, Predicted
from postmill.train.evaluation.serialise import Number

MIN_ACCOUNTS, MIN_POSTS = 20, 100
"""With fewer accounts or posts in the test parts together there is no interval and no claim, and a slice of them with
fewer is not shown: no number is that of a few people."""

REPLICATES, FEWER_REPLICATES, MANY_POSTS = 1_000, 200, 100_000
"""How often accounts are drawn up to so many test posts, and, to save time, above."""

LEVEL = 0.95
_SEED = 20_190_630
_MAX_UNDEFINED = 0.05  # share of replicates in which a statistic may be undefined

TOO_FEW_ACCOUNTS = f"too few accounts for an interval (fewer than {MIN_ACCOUNTS})"
TOO_FEW_POSTS = f"too few posts for an interval (fewer than {MIN_POSTS})"
UNDEFINED = "undefined: all predictions or all true values are equal"


class Interval(NamedTuple):
    """A 95 % interval; in JSON, two numbers."""

    low: Number
    high: Number


def interval(part: Predicted, name: str) -> Interval | str:
    """Return the 95 % interval of the metric ``name`` of :data:`.metrics.METRICS`, or why there is none."""
    return _percentiles(part.accounts, metrics.prepared(part, name))


def of_mean(values: Floats, accounts: Ids) -> Interval | str:
    """Return the 95 % interval of the mean of ``values``, shape (N,), over their accounts, or why there is none."""
    return _percentiles(accounts, measures.mean(values, np.unique(accounts, return_inverse=True)[1]))


def paired_difference(better: Predicted, worse: Predicted, name: str) -> tuple[float | None, Interval | str]:
    """Return how much higher ``name`` is for ``better`` than for ``worse``, with a paired 95 % interval.

    The same accounts are drawn for both, so what makes an account hard for both cancels out.

    Raises:
        ValueError: They are not about the same posts in the same order.
    """
    if not (np.array_equal(better.true, worse.true) and np.array_equal(better.accounts, worse.accounts)):
        raise ValueError("a paired difference needs the same test posts in the same order")
    first, second = metrics.prepared(better, name), metrics.prepared(worse, name)

    def gap(weights: Floats | None) -> float | None:
        high, low = first(weights), second(weights)
        return None if high is None or low is None else high - low

    return gap(None), _percentiles(better.accounts, gap)


def _percentiles(accounts: Ids, statistic: Measure) -> Interval | str:
    distinct = np.unique(accounts)
    if len(distinct) < MIN_ACCOUNTS:
        return TOO_FEW_ACCOUNTS
    if len(accounts) < MIN_POSTS:
        return TOO_FEW_POSTS
    random = np.random.default_rng(_SEED)
    drawn = np.empty(REPLICATES if len(accounts) <= MANY_POSTS else min(REPLICATES, FEWER_REPLICATES))
    for replicate in range(len(drawn)):
        times = np.bincount(random.integers(len(distinct), size=len(distinct)), minlength=len(distinct))
        value = statistic(times.astype(np.float64))
        drawn[replicate] = np.nan if value is None else value
    if np.isnan(drawn).mean() > _MAX_UNDEFINED:
        return UNDEFINED
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
