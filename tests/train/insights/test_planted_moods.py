"""What is planted of moods is found within accounts, and where nothing is planted nothing is claimed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from postmill.ingest.sample.captions import MOODS
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.moods import MOOD_WORTH
from postmill.ingest.sample.truth import Truth, draw_truth
from postmill.train.data.arrays import Floats
from postmill.train.insights.effects import WithinEffect, within_effects

POSTS, ACCOUNTS, SEED = 10_000, 200, 21


@pytest.fixture(scope="module", params=list(Effect))
def drawn(request: pytest.FixtureRequest) -> Truth:
    return draw_truth(POSTS, ACCOUNTS, SEED, request.param)


def column(drawn: Truth, name: str) -> Floats:
    values: Floats = drawn.table[name].to_numpy()
    return values


def worth(drawn: Truth) -> Floats:
    known = pc.index_in(drawn.table["mood"], value_set=pa.array(MOODS))
    return np.where(known.is_null(), np.nan, MOOD_WORTH[pc.fill_null(known, 0).to_numpy()])


def found(drawn: Truth, outcome: Floats) -> WithinEffect:
    accounts = np.unique(column(drawn, "influencer"), return_inverse=True)[1].astype(np.int32)
    times = column(drawn, "taken_at").astype(np.float64)
    return within_effects(outcome, {"mood": worth(drawn)}, accounts, times)[0]


def holds(effect: WithinEffect, planted: Floats, drawn: Truth) -> bool:
    """Whether the interval holds the slope of what was planted; 0 where that does not vary."""
    truth = found(drawn, planted).slope
    return effect.interval is not None and effect.interval.low <= (truth or 0.0) <= effect.interval.high


def test_what_a_mood_is_worth_is_found(drawn: Truth) -> None:
    effect = found(drawn, column(drawn, "y"))
    assert effect.posts > 0.95 * POSTS and effect.accounts == ACCOUNTS
    assert holds(effect, column(drawn, "mood_effect"), drawn)
    assert effect.claimed == bool(drawn.coefficients["mood_slope"])
    # A standard deviation of moods is about a step of worth.
    assert effect.slope == pytest.approx(drawn.coefficients["mood_slope"], abs=0.06)


def test_what_comments_make_of_a_mood_is_found(drawn: Truth) -> None:
    """By itself, and through engagement."""
    through = drawn.coefficients["tone_slope_of_leak"] * column(drawn, "mood_effect") / column(drawn, "y").std()
    effect = found(drawn, column(drawn, "tone"))
    assert holds(effect, column(drawn, "tone_mood_effect") + through, drawn)
    assert effect.claimed == bool(drawn.coefficients["tone_slope_of_mood"])
