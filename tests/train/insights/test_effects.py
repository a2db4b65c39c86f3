"""Effects within accounts: against a regression with a dummy for each account, their coverage, and what is claimed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from postmill.train.insights import effects
from postmill.train.insights.effects import WithinEffect, holm, judged, within_effects

ACCOUNTS, POSTS = 60, 900


def posts(seed: int, worth: float, *, own: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, indicator, accounts and times: happier accounts have more, a season is in both, and ``worth`` within."""
    rng = np.random.default_rng(seed)
    accounts = np.sort(rng.integers(0, ACCOUNTS, POSTS)).astype(np.int32)
    taken_at = 1.5e9 + rng.random(POSTS) * 6e7
    season = np.cos(2 * np.pi * taken_at / (365.25 * 86_400))
    level = rng.normal(size=ACCOUNTS)
    mood = rng.normal(size=POSTS) + level[accounts] + season
    slope = worth + own * rng.normal(size=ACCOUNTS)[accounts]
    outcome = 3 * level[accounts] + 2 * season + slope * (mood - level[accounts] - season) + rng.standard_t(5, POSTS)
    return outcome, mood, accounts, taken_at


def test_the_slope_is_that_of_a_regression_with_a_dummy_for_each_account() -> None:
    outcome, mood, accounts, taken_at = posts(1, 0.5)
    mood[::7] = np.nan
    outcome[3] = np.nan
    taken_at[10:20] = np.nan
    (effect,) = within_effects(outcome, {"mood": mood}, accounts, taken_at)
    kept = ~np.isnan(mood) & ~np.isnan(outcome)
    kept &= np.bincount(accounts[kept], minlength=ACCOUNTS)[accounts] > 1
    dummies = (accounts[kept, None] == np.unique(accounts[kept])).astype(float)
    controls = np.column_stack(effects._controls(taken_at[kept]))
    design = np.column_stack([mood[kept], controls, dummies])
    slope = np.linalg.lstsq(design, outcome[kept], rcond=None)[0][0]
    spread = effects.spread_within(np.where(kept, mood, np.nan), accounts)
    assert effect.slope == pytest.approx(slope * spread, rel=1e-9)
    assert (effect.posts, effect.accounts) == (kept.sum(), len(np.unique(accounts[kept])))


def test_intervals_cover_and_nothing_is_claimed_where_there_is_nothing() -> None:
    draws, covered, claims = 60, 0, 0
    for seed in range(draws):
        outcome, mood, accounts, taken_at = posts(seed, 0.0, own=0.3)
        rng = np.random.default_rng(seed)
        others = {f"noise {n}": rng.normal(size=POSTS) for n in range(4)}
        found = within_effects(outcome, {"mood": mood, **others}, accounts, taken_at, seed=seed)
        covered += sum(each.interval is not None and each.interval.low <= 0 <= each.interval.high for each in found)
        claims += any(each.claimed for each in found)
    assert covered / (5 * draws) > 0.92
    assert claims <= 7  # of 60, with a rate of 0.05, more than seven are met once in sixty times


def test_what_is_planted_is_claimed_and_what_differs_between_accounts_alone_is_not() -> None:
    outcome, mood, accounts, taken_at = posts(3, 0.5)
    level = np.bincount(accounts, mood)[accounts] + np.random.default_rng(0).normal(0, 1e-3, POSTS)
    planted, between = within_effects(outcome, {"mood": mood, "of accounts": level}, accounts, taken_at)
    assert planted.claimed and planted.placebo_p == 1 / 200
    assert planted.interval is not None and planted.interval.low < 0.5 * effects.spread_within(mood, accounts)
    assert not between.claimed


@pytest.mark.parametrize("what", ["constant", "few posts", "few accounts", "none"])
def test_what_cannot_be_told_says_why(what: str) -> None:
    outcome, mood, accounts, taken_at = posts(4, 0.5)
    if what == "constant":
        mood = accounts.astype(float)
    elif what == "few posts":
        mood[99:] = np.nan
    elif what == "few accounts":
        mood[accounts >= 19] = np.nan
    else:
        mood[:] = np.nan
    (effect,) = within_effects(outcome, {"mood": mood}, accounts, taken_at)
    assert effect.slope is None and effect.interval is None and effect.p is None and not effect.claimed
    assert effect.note == (effects.NO_SPREAD if what == "constant" else effects.TOO_FEW)


def test_p_values_are_adjusted_as_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_a_claim_needs_the_placebos_too() -> None:
    effect = WithinEffect("mood", 500, 60, slope=1.0, p=1e-6, placebo_p=0.005)
    assert [each.claimed for each in judged([effect, replace(effect, placebo_p=0.2), replace(effect, p=0.2)])] == [
        True,
        False,
        False,
    ]


def test_placebos_of_many_posts_are_of_whole_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, mood, accounts, taken_at = posts(5, 0.5)
    monkeypatch.setattr(effects, "PLACEBO_POSTS", 300)
    (effect,) = within_effects(outcome, {"mood": mood}, accounts, taken_at)
    assert effect.placebo_p == 1 / 200
