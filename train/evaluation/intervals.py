"""How sure one can be of a number: a jackknife over accounts, whose coverage ``benchmarks/coverage.py`` measures.

Posts of one account resemble each other, so it is accounts that are left out, one after another, never posts. From the
numbers that are left come the bias of the whole one and its standard error (Efron and Stein, *The jackknife estimate of
variance*, 1981), and from how unequal the accounts' parts in it are, the degrees of freedom of Student's t. The
percentiles of a bootstrap over accounts were measured too: of its 95 % intervals of R², 75 to 88 in a hundred covered
the truth with 25 and 60 accounts, of Spearman's correlation fewer. What another sample of accounts would have given is
in the interval; what other training posts would have given is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from postmill.train.data.arrays import Floats, Ids, Rows
from postmill.train.evaluation import measures, metrics
from postmill.train.evaluation.measures import Measure, Predicted
from postmill.train.evaluation.serialise import Number

MIN_ACCOUNTS, MIN_POSTS = 25, 100
"""With fewer accounts or posts in the test parts together there is no interval and no claim: with fewer, no method was
seen to cover."""

MIN_EFFECTIVE = 10.0
"""Nor is there one where a few accounts have most of the posts: (sum n)² / sum n², n being the posts of an account, is
the number of accounts of one size that would weigh as much (Kish, 1965)."""

MAX_GROUPS = 200
"""More accounts than this are left out by groups, dealt in the order of their ids, which are hashes."""

LEVEL = 0.95

TOO_FEW_ACCOUNTS = f"too few accounts for an interval (fewer than {MIN_ACCOUNTS})"
TOO_FEW_POSTS = f"too few posts for an interval (fewer than {MIN_POSTS})"
TOO_UNEVEN = f"too few accounts have most of the posts for an interval (as {MIN_EFFECTIVE:g} of one size would)"
UNDEFINED = "undefined: all predictions or all true values are equal"


class Interval(NamedTuple):
    """A 95 % interval; in JSON, two numbers."""

    low: Number
    high: Number


@dataclass(frozen=True)
class Inference:
    """A number, and what the accounts that it rests on say of the truth behind it.

    Attributes:
        value: The number; None where it is undefined.
        interval: 95 %, over accounts, and the number itself is in it; None where there is none.
        p: How often a number as far from 0 would be met if the truth were 0 (two-sided); None where there is no
            interval, and of an error, which is never 0.
        note: Why there is none; empty where there is one.
    """

    value: float | None
    interval: Interval | None = None
    p: float | None = None
    note: str = ""


def of_metric(part: Predicted, name: str) -> Inference:
    """Return the metric ``name`` of :data:`.metrics.METRICS` with its interval; errors on a scale of logarithms.

    A mean of squares has a long tail above it, and few accounts seldom show it.
    """
    metric = metrics.METRICS[name]
    return infer(part.accounts, lambda group: metric.measure(part, group), logarithmic=metric.lower_is_better)


def of_mean(values: Floats, accounts: Ids) -> Inference:
    """Return the mean of ``values``, shape (N,), with its interval over their accounts."""
    return infer(accounts, lambda group: measures.mean(values, group))


def of_difference(better: Predicted, worse: Predicted, name: str) -> Inference:
    """Return how much higher ``name`` is for ``better`` than for ``worse``, with a paired interval.

    The same accounts are left out of both, so what makes an account hard for both cancels out.

    Raises:
        ValueError: They are not about the same posts in the same order.
    """
    check_paired(better, worse)
    measure, shared = metrics.METRICS[name].measure, shared_noise(better, worse)
    return infer(better.accounts, lambda group: less(measure(better, group), measure(worse, group)), shared=shared)


def shared_noise(ours: Predicted, theirs: Predicted) -> float:
    """Return the share of what sets two models' predictions apart that is noise of their training, from 0 to 1.

    With several seeds the test accounts of one are training accounts of the others. What ``ours`` has learnt from the
    noise of account j it says of account i, and what it has learnt from that of i it says of j: both err together,
    which leaving out either does not show. Where all that sets the models apart is such noise, each pair of accounts
    counts twice, and the variance of their difference is twice that of the jackknife; where none is, the two agree. The
    share is one less the slope with which the rest that ``theirs`` leaves follows what ``ours`` adds: 1 where it adds
    what is true, 0 where it adds noise. The slope is itself uncertain, and is taken one standard error lower.
    """
    gap, rest = ours.predicted - theirs.predicted, ours.true - theirs.predicted
    size = float(np.dot(gap, gap))
    if size == 0 or len(np.unique(ours.seeds)) < 2:
        return 0.0
    slope = float(np.dot(rest, gap)) / size
    account = np.unique(ours.accounts, return_inverse=True)[1]
    error = math.sqrt(np.square(np.bincount(account, gap * (rest - slope * gap))).sum()) / size
    return float(np.clip(1 - slope + error, 0.0, 1.0))


def check_paired(one: Predicted, other: Predicted) -> None:
    """Check that two models were tested on the same posts in the same order.

    Raises:
        ValueError: They were not.
    """
    if not (np.array_equal(one.true, other.true) and np.array_equal(one.accounts, other.accounts)):
        raise ValueError("a paired difference needs the same test posts in the same order")


def less(first: Measure, second: Measure) -> Measure:
    """Return the difference of two measures, undefined where one of them is."""

    def gap(left_out: int | None) -> float | None:
        high, low = first(left_out), second(left_out)
        return None if high is None or low is None else high - low

    return gap


def infer(
    accounts: Ids, prepare: Callable[[Rows], Measure], *, logarithmic: bool = False, shared: float = 0.0
) -> Inference:
    """Return a number over N posts with its interval.

    Args:
        accounts: Shape (N,), ids of accounts.
        prepare: From the number of each post's group of accounts, from 0, shape (N,), to a measure.
        logarithmic: Whether the interval is that of its logarithm, where it has one.
        shared: By how much accounts err together, as a share of their variance (:func:`shared_noise`).
    """
    distinct, account, posts = np.unique(accounts, return_inverse=True, return_counts=True)
    groups = group_count(len(distinct))
    measure = prepare(account % groups if groups else account)
    return infer_over(posts, measure, logarithmic=logarithmic, shared=shared)


def infer_over(posts: Rows, measure: Measure, *, logarithmic: bool = False, shared: float = 0.0) -> Inference:
    """Return a number over A accounts with its interval.

    Args:
        posts: Shape (A,), how many posts of each account it rests on.
        measure: The number, also without one of :func:`group_count` groups, the accounts dealt in their order.
        logarithmic, shared: As :func:`infer`.
    """
    groups = group_count(len(posts))
    value = measure(None)
    note = _why_none(posts)
    if value is None or note:
        return Inference(value, note=note or UNDEFINED)
    without = [measure(group) for group in range(groups)]
    known = np.array([number for number in without if number is not None])
    if len(known) < groups:
        return Inference(value, note=UNDEFINED)
    if not logarithmic or min(value, known.min()) <= 0:
        return _jackknife(value, known, shared)
    inference = _jackknife(math.log(value), np.log(known), shared)
    assert inference.interval is not None
    low, high = (math.exp(end) for end in inference.interval)
    return Inference(value, Interval(min(low, value), max(high, value)))


def group_count(accounts: int) -> int:
    """Return the number of groups that so many accounts are left out in."""
    return min(accounts, MAX_GROUPS)


def _why_none(posts: Rows) -> str:
    """Say why numbers over accounts with so many ``posts`` have no interval; empty where they have one."""
    if len(posts) < MIN_ACCOUNTS:
        return TOO_FEW_ACCOUNTS
    if posts.sum() < MIN_POSTS:
        return TOO_FEW_POSTS
    return TOO_UNEVEN if posts.sum() ** 2 / np.square(posts).sum() < MIN_EFFECTIVE else ""


def _jackknife(value: float, without: Floats, shared: float) -> Inference:
    """Return what the numbers without each of G groups, shape (G,), say of ``value``; ``shared`` as :func:`infer`."""
    groups = len(without)
    bias = (groups - 1) * (without.mean() - value)
    departures = (groups - 1) * (without.mean() - without)  # of the groups' pseudo-values from their mean
    variance = (1 + shared) * float(np.square(departures).sum()) / (groups - 1)
    if variance <= 1e-24:
        return Inference(value, Interval(value, value), 1.0 if value == 0 else 0.0)
    error = np.sqrt(variance / groups)
    freedom = _freedom(departures)
    reach = stats.t.ppf((1 + LEVEL) / 2, freedom) * error
    center = value - bias
    # What the bias takes beyond the number itself is given back: an interval without its own point is none.
    interval = Interval(float(min(center - reach, value)), float(max(center + reach, value)))
    return Inference(value, interval, float(2 * stats.t.sf(abs(center) / error, freedom)))


def _freedom(departures: Floats) -> float:
    """Return the degrees of freedom of a variance that was estimated from ``departures`` from their mean, shape (G,).

    They are the number of groups of one size whose squares would weigh as much as these do (Kish, 1965): where a few
    accounts decide, the standard error is itself uncertain. Of normal departures it is a third of the groups.
    """
    squares = np.square(departures)
    return float(squares.sum() ** 2 / np.square(squares).sum())
