"""What goes with tone within accounts: fixed effects of accounts, with intervals, placebos and a rule of claims.

Whoever posts happier pictures may also have more followers, so accounts are never compared with each other: outcome and
indicator are taken as departures from their means within the account (fixed effects; Mundlak, *On the pooling of time
series and cross section data*, 1978). Hour, time of the year and a trend go out of both, for moods and engagement have
seasons. What is left is association, not what a change of tone would bring.

An effect is claimed where its p-value, adjusted for all indicators of the outcome (Holm, *A simple sequentially
rejective multiple test procedure*, 1979), is below 0.05, and where among placebos, in which the outcome is dealt anew
within each account, at most one in twenty is as far from 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from postmill.train.data.arrays import Floats, Rows, Times
from postmill.train.evaluation import cells, intervals
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.measures import Measure
from postmill.train.insights import guard
from postmill.train.insights.guard import Codes

ALPHA = 0.05
"""The rate at which any claim of an outcome is made where there is nothing."""

PLACEBOS = 199
PLACEBO_POSTS = 50_000
"""Placebos are dealt of at most about so many posts, those of whole accounts."""

NO_SPREAD = "undefined: the indicator or the outcome does not vary within accounts"
TOO_FEW = (
    f"not shown: fewer than {cells.MIN_POSTS} posts or {cells.MIN_ACCOUNTS} accounts with two of them, or one account"
    " has most"
)
_YEAR_S, _DAY_S = 365.25 * 86_400, 86_400.0
_LEAST_SPREAD = 1e-9  # of a variance, beside its mean's square: below it, departures are rounding


@dataclass(frozen=True)
class WithinEffect:
    """By how much an outcome is higher where an indicator is, within accounts.

    Attributes:
        name: Of the indicator.
        posts, accounts: How many it rests on: judged posts with an outcome, of accounts with two of them at least; 0
            where they are too few to be told of.
        slope: Of the outcome, per standard deviation of the indicator within accounts.
        interval: 95 %, over accounts.
        p: Two-sided.
        p_adjusted: The same, of all indicators of the outcome together.
        placebo_p: Share of placebos as far from 0, the effect itself counted among them.
        claimed: Whether it is claimed not to be 0.
        note: Why there is no number or no interval.
    """

    name: str
    posts: int
    accounts: int
    slope: float | None = None
    interval: Interval | None = None
    p: float | None = None
    p_adjusted: float | None = None
    placebo_p: float | None = None
    claimed: bool = False
    note: str = ""


def within_effects(
    outcome: Floats, indicators: Mapping[str, Floats], accounts: Codes, taken_at: Times, *, seed: int = 0
) -> list[WithinEffect]:
    """Return the effect of each indicator on ``outcome``, and which of them are claimed.

    Args:
        outcome: Shape (N,), NaN where it is not known.
        indicators: By name, shape (N,) each, NaN where a post was not judged.
        accounts: Shape (N,), numbers of accounts.
        taken_at: Shape (N,), seconds since 1970, NaN where not known.
        seed: Of the placebos.
    """
    found = [within_effect(name, outcome, values, accounts, taken_at, seed) for name, values in indicators.items()]
    return judged(found)


def judged(effects: Sequence[WithinEffect]) -> list[WithinEffect]:
    """Return the effects of one outcome with what may be claimed of each beside the others."""
    known = [effect.p for effect in effects if effect.p is not None]
    adjusted = dict(zip([n for n, effect in enumerate(effects) if effect.p is not None], holm(known), strict=True))
    return [
        replace(
            effect,
            p_adjusted=adjusted[number],
            claimed=adjusted[number] < ALPHA and effect.placebo_p is not None and effect.placebo_p <= ALPHA,
        )
        if number in adjusted
        else effect
        for number, effect in enumerate(effects)
    ]


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several: the chance of any as small where all truths are 0 is below each."""
    order = sorted(range(len(p)), key=lambda n: p[n])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, number in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[number]))
        adjusted[number] = highest
    return adjusted


def within_effect(
    name: str, outcome: Floats, values: Floats, accounts: Codes, taken_at: Times, seed: int
) -> WithinEffect:
    """Return the effect of one indicator, nothing of it claimed; arguments as :func:`within_effects`."""
    rows = np.flatnonzero(~np.isnan(values) & ~np.isnan(outcome))
    counts = np.bincount(accounts[rows], minlength=1)
    rows = rows[counts[accounts[rows]] > 1]
    people, account, posts = np.unique(accounts[rows], return_inverse=True, return_counts=True)
    effect = WithinEffect(name, len(rows), len(people))
    if not guard.may_show(accounts[rows]):
        return WithinEffect(name, 0, 0, note=TOO_FEW)
    columns = [values[rows], outcome[rows], *_controls(taken_at[rows])]
    departures = np.column_stack([_departures(column, account, posts) for column in columns])
    spread = departures[:, :2].std(axis=0)
    if (np.square(spread) <= _LEAST_SPREAD * np.maximum(1.0, np.square(departures[:, :2]).max(axis=0))).any():
        return replace(effect, note=NO_SPREAD)
    scale = float(np.sqrt(np.square(departures[:, 0]).sum() / (len(rows) - len(people))))
    inference = intervals.infer_over(posts, _slope(departures, account, len(people), scale))
    return replace(
        effect,
        slope=inference.value,
        interval=inference.interval,
        p=inference.p,
        placebo_p=None if inference.interval is None else _placebo(departures, account, seed),
        note=inference.note,
    )


def _controls(taken_at: Times) -> list[Floats]:
    """Return what goes out of both: hour of the day, time of the year, a trend, and whether the time is known."""
    known = ~np.isnan(taken_at)
    seconds = np.where(known, taken_at, 0.0)
    year, day = 2 * np.pi * seconds / _YEAR_S, 2 * np.pi * seconds / _DAY_S
    waves = [wave(angle) for angle in (year, 2 * year, day, 2 * day) for wave in (np.sin, np.cos)]
    return [*(np.where(known, wave, 0.0) for wave in waves), seconds / _YEAR_S * known, known.astype(np.float64)]


def _departures(values: Floats, account: Rows, posts: Rows) -> Floats:
    """Return ``values``, shape (N,), less the mean of their account."""
    departures: Floats = values - (np.bincount(account, values) / posts)[account]
    return departures


def spread_within(values: Floats, accounts: Codes) -> float:
    """Return the standard deviation of ``values``, shape (N,), NaN where not known, within accounts; 0 without any."""
    rows = np.flatnonzero(~np.isnan(values))
    posts = np.bincount(accounts[rows], minlength=1).astype(np.int64)
    freedom = len(rows) - int((posts > 0).sum())
    if freedom < 1:
        return 0.0
    departures = _departures(values[rows], accounts[rows].astype(np.int64), np.maximum(posts, 1))
    return float(np.sqrt(np.square(departures).sum() / freedom))


def _slope(departures: Floats, account: Rows, people: int, scale: float) -> Measure:
    """Return the slope of the second column on the first, the others held fixed, times ``scale``, as a measure.

    Sums of products are made once for each group of accounts: leaving one out looks at no post.
    """
    groups = intervals.group_count(people)
    group = account % groups
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(groups + 1))
    sorted_departures = departures[order]
    products = np.array(
        [sorted_departures[start:end].T @ sorted_departures[start:end] for start, end in pairwise(ends)]
    )
    total = products.sum(axis=0)
    others = [0, *range(2, departures.shape[1])]

    def measure(left_out: int | None) -> float | None:
        kept = total if left_out is None else total - products[left_out]
        if kept[0, 0] <= 0:
            return None
        weights = np.linalg.lstsq(kept[np.ix_(others, others)], kept[others, 1], rcond=None)[0]
        return float(weights[0] * scale)

    return measure


def _placebo(departures: Floats, account: Rows, seed: int) -> float:
    """Return the share of placebos with a slope as far from 0, the slope itself counted among them.

    The part of the outcome that hour, season and trend leave is dealt anew within each account (Freedman and Lane, *A
    nonstochastic interpretation of reported significance levels*, 1983).
    """
    if len(account) > PLACEBO_POSTS:
        ends = np.cumsum(np.bincount(account))
        kept = account < max(int(np.searchsorted(ends, PLACEBO_POSTS)), 1)
        departures, account = departures[kept], account[kept]
    controls = departures[:, 2:]
    rests = departures[:, :2] - controls @ np.linalg.lstsq(controls, departures[:, :2], rcond=None)[0]
    order = np.argsort(account, kind="stable")
    indicator, outcome = rests[order].T
    size = abs(float(indicator @ outcome))
    owner = account[order].astype(np.int32)
    as_far = sum(abs(float(indicator @ outcome[dealt])) >= size for dealt in _deals(owner.tobytes(), seed))
    return (1 + as_far) / (1 + PLACEBOS)


@lru_cache(maxsize=2)  # indicators that judge the same posts come one after another, for two outcomes each
def _deals(owner: bytes, seed: int) -> list[npt.NDArray[np.int32]]:
    """Return as many ways to deal posts anew within accounts, whose ascending numbers (int32) are ``owner``."""
    accounts, rng = np.frombuffer(owner, dtype=np.int32), np.random.default_rng(seed)
    return [np.argsort(accounts + rng.random(len(accounts))).astype(np.int32) for _ in range(PLACEBOS)]
