"""What makes the engagement of a sample's posts, each part of a planned variance.

Content is small beside the account, as in the world; and like the world it is no sum of constants. Accounts differ in
what a mood is worth to them, their levels drift, hours and seasons differ, and the noise has heavy tails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from postmill.ingest.sample.accounts import Accounts
from postmill.ingest.sample.captions import MOODS
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.moods import MOOD_WORTH, Floats, kept
from postmill.ingest.sample.posts import Ints, season

INTERCEPT = 7.3  # about 1,500 likes
VARIANCE = 1.44  # of y as planned
SHARES = {"account": 0.70, "text": 0.06, "image": 0.06, "slopes": 0.03, "time": 0.02, "noise": 0.13}
CONTENT = ("text", "image", "slopes")
FOLLOWER_SHARE = 0.35  # within the account's; the rest is the account's own level
DRIFT_SHARE = 0.05  # within the account's too: how far its level moves about
TOPIC_WORTH = np.array([-0.6, -0.2, 0.2, 0.6])
SHARED_NOISE = 0.8  # correlation of the noise of a near-duplicate with that of its original
NOISE_DEGREES = 5  # of freedom of Student's t: one post of 600 is off by more than four standard deviations
PEAK_HOUR, PEAK_DAY = 19, 350  # UTC; of the year
SEASON = 0.7  # of the amplitude of the hours

_YEAR_S = 365.25 * 86_400


@dataclass(frozen=True)
class Content:
    """What each post shows and says; that of a near-duplicate, and of a campaign, is its original's."""

    mood: Ints
    topic: Ints
    empty: NDArray[np.bool_]
    spanish: NDArray[np.bool_]
    quality: Floats

    @property
    def worth(self) -> Floats:
        """Of each post's mood, in steps; 0 where the caption is empty, as of the middle mood."""
        return np.where(self.empty, 0.0, MOOD_WORTH[self.mood])


@dataclass(frozen=True)
class Effects:
    """What makes ``y``.

    Attributes:
        parts: Of ``y`` for each post by name, each of exactly its planned variance.
        mood: What ``y`` has of each post's mood alone, in the parts ``text`` and ``slopes``: what a step of mood is
            worth to the account, times the steps. So 0 of the middle mood, and of an empty caption.
        coefficients: Behind them, as ``truth.json`` states them.
    """

    parts: dict[str, Floats]
    mood: Floats
    coefficients: dict[str, Any]


def draw_effects(
    rng: np.random.Generator,
    accounts: Accounts,
    owner: Ints,
    group: Ints,
    taken_at: Ints,
    content: Content,
    effect: Effect,
) -> Effects:
    """Return the parts of ``y`` for each post, and what is known of them.

    Args:
        rng: Where they come from; as many numbers are drawn whatever ``effect`` is.
        accounts: All of the sample's.
        owner: Each post's account, ascending.
        group: The row of each post's original within its account.
        taken_at: Seconds since 1970, ascending within each account.
        content: What the posts show and say.
        effect: Whether that bears on ``y``: where not, its parts are 0, and all others stay.
    """
    reach = np.log(accounts.followers.astype(np.float64))[owner]
    level = _without(rng.normal(0.0, 1.0, len(accounts.names))[owner], reach)
    taste = rng.normal(0.0, 1.0, len(accounts.names))[owner]
    walk = _random_walks(rng, owner, taken_at)
    mood = content.worth
    text = np.where(content.empty, 0.0, mood + TOPIC_WORTH[content.topic])
    tasted = taste * (mood - mood.mean())
    slopes = _without(tasted, text)
    rhythm = np.cos(2 * np.pi * (taken_at / 3600 % 24 - PEAK_HOUR) / 24) + SEASON * season(taken_at, PEAK_DAY)
    noise = _noise(rng, group)
    drawn = {
        "followers": scaled(reach, FOLLOWER_SHARE * VARIANCE),
        "own_level": scaled(level, (SHARES["account"] - FOLLOWER_SHARE - DRIFT_SHARE) * VARIANCE),
        "drift": scaled(walk, DRIFT_SHARE * VARIANCE),
        "text": scaled(text, SHARES["text"] * VARIANCE),
        "image": scaled(content.quality, SHARES["image"] * VARIANCE),
        "slopes": scaled(slopes, SHARES["slopes"] * VARIANCE),
        "time": scaled(rhythm, SHARES["time"] * VARIANCE),
        "noise": scaled(noise, SHARES["noise"] * VARIANCE),
    }
    effects = {name: part * (kept(effect) if name in CONTENT else 1.0) for name, part in drawn.items()}
    text_slope, taste_slope = _slope(effects["text"], text), _slope(effects["slopes"], slopes)
    mood_slopes = text_slope + taste_slope * (taste - _slope(tasted, text))
    coefficients = {
        "intercept": INTERCEPT,
        "follower_slope": _slope(effects["followers"], reach),
        "own_level_sd": float(effects["own_level"].std()),
        "drift_sd_of_a_year": _slope(effects["drift"], walk),
        "text_slope": text_slope,
        "mood_worth": dict(zip(MOODS, MOOD_WORTH.tolist(), strict=True)),
        "topic_worth": TOPIC_WORTH.tolist(),
        "mood_slope": float(mood_slopes.mean()),
        "mood_slope_sd_between_accounts": abs(taste_slope),
        "image_slope": _slope(effects["image"], content.quality),
        "hour_amplitude": _slope(effects["time"], rhythm),
        "season_amplitude": SEASON * _slope(effects["time"], rhythm),
        "peak_hour_utc": PEAK_HOUR,
        "peak_day_of_year": PEAK_DAY,
        "noise_sd": float(effects["noise"].std()),
        "noise_degrees_of_freedom": NOISE_DEGREES,
    }
    return Effects(effects, mood_slopes * mood, coefficients)


def scaled(values: Floats, variance: float) -> Floats:
    """Return ``values`` shifted to mean 0 and scaled to ``variance``; zeros where they do not vary."""
    std = float(values.std())
    factor = math.sqrt(variance) / std if std > 1e-9 else 0.0
    return (values - float(values.mean())) * factor


def _noise(rng: np.random.Generator, group: Ints) -> Floats:
    """Return heavy-tailed noise, which near-duplicates share in part."""
    drawn = rng.standard_t(NOISE_DEGREES, len(group))
    shared = SHARED_NOISE * drawn[group] + math.sqrt(1 - SHARED_NOISE**2) * drawn
    return np.where(group == np.arange(len(group)), drawn, shared)


def _random_walks(rng: np.random.Generator, owner: Ints, taken_at: Ints) -> Floats:
    """Return for each post where its account's walk in time is, of variance 1 a year, from the mean of its posts."""
    passed = np.diff(taken_at, prepend=taken_at[:1]) / _YEAR_S
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    passed[first] = 0.0
    walked = np.cumsum(rng.normal(0.0, 1.0, len(owner)) * np.sqrt(passed))
    counts = np.diff(np.append(first, len(owner)))
    return walked - np.repeat(np.add.reduceat(walked, first) / counts, counts)


def _without(values: Floats, other: Floats) -> Floats:
    """Return ``values`` less what ``other`` explains of them linearly, so that their variances add."""
    return values - float(values.mean()) - _slope(values, other) * (other - float(other.mean()))


def _slope(values: Floats, other: Floats) -> float:
    variance = float(other.var())
    return float(((values - values.mean()) * (other - other.mean())).mean()) / variance if variance > 1e-12 else 0.0
