"""The moods of sample posts: when in the year which are frequent, and what they do to the tone of the comments.

What a mood is worth in engagement is in :mod:`.effects`. All of it is planted, or nothing: ``Effect.NONE`` draws as
many random numbers, the moods by the same odds all year.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from postmill.ingest.sample.captions import MOODS, TONES
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.posts import Ints, season

Floats = NDArray[np.float64]

MOOD_WORTH = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])  # in steps, of which all slopes of a mood speak
MOOD_ODDS = np.array([0.12, 0.2, 0.28, 0.24, 0.16])  # over the year
MOOD_SEASON = 0.3  # by how much the log odds of a mood rise for each step of its worth, on the best day
MOOD_PEAK_DAY = 172  # of the year: midsummer, and the least in winter
TONE_MIDDLE = (TONES - 1) / 2
TONE_OF_LEAK = 1.3  # steps of tone for each standard deviation of y
TONE_OF_MOOD = 0.4  # steps of tone for each step of a mood's worth, whatever the engagement


def draw_moods(rng: np.random.Generator, taken_at: Ints, effect: Effect) -> Ints:
    """Return an index into :data:`.captions.MOODS` for each post, made at ``taken_at`` (seconds UTC)."""
    height = MOOD_SEASON * kept(effect) * season(taken_at, MOOD_PEAK_DAY)
    odds = MOOD_ODDS * np.exp(height[:, None] * MOOD_WORTH)
    bounds = np.cumsum(odds, axis=1) / odds.sum(axis=1, keepdims=True)
    drawn: Ints = (rng.random(len(taken_at))[:, None] >= bounds[:, :-1]).sum(axis=1)
    return drawn


def draw_tones(leak: Floats, worth: Floats, effect: Effect) -> tuple[Floats, Floats]:
    """Return the tone that each post's comments are drawn around, and the part of it that its mood makes directly.

    Args:
        leak: What the comments tell of ``y``, in its standard deviations.
        worth: Of each post's mood, 0 where the caption is empty.
        effect: Whether the mood has a part of its own; the leak stays.
    """
    direct = TONE_OF_MOOD * kept(effect) * worth
    return TONE_MIDDLE + TONE_OF_LEAK * leak + direct, direct


def coefficients(effect: Effect) -> dict[str, Any]:
    """Return what is planted here, as ``truth.json`` states it."""
    return {
        "mood_odds": dict(zip(MOODS, MOOD_ODDS.tolist(), strict=True)),
        "mood_season_log_odds": MOOD_SEASON * kept(effect),
        "mood_peak_day_of_year": MOOD_PEAK_DAY,
        "tone_slope_of_leak": TONE_OF_LEAK,
        "tone_slope_of_mood": TONE_OF_MOOD * kept(effect),
    }


def kept(effect: Effect) -> float:
    """Return what the parts that content makes are multiplied by: 1, or 0 where none is planted."""
    return 1.0 if effect is Effect.PLANTED else 0.0
