"""What columns of tone mean: as described, or as known of two models that described nothing; never guessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators.indicator import (
    INDICATORS,
    Indicator,
    Kind,
    Side,
    described,
    indicators_of,
    numbers,
)
from postmill.shards.runtime.errors import PostmillError

PAPER = ("caption_label", "caption_score", "comments_label", "comments_score")
VADER = ("caption_label", "caption_score", "caption_compound", "comments_label", "comments_score", "comments_compound")


def encoder(scalars: tuple[str, ...], models: str = "paper", name: str = "sentiment", **preprocessing: Any) -> Encoder:
    return Encoder(
        **{"encoder": name, "models": models, "model": "some", "revision": "1", "weights_sha256": ""},
        **{"precision": "float32", "dimensions": 0, "dtype": "", "scalars": scalars, "features": ()},
        **{"available_before_publication": False, "stand_in_for": "", "preprocessing": preprocessing},
    )


def test_what_is_described_is_read_as_it_was() -> None:
    joy = Indicator("joy", "Joy!", Side.RESPONSE, Kind.PROBABILITY, threshold=0.3)
    calm = Indicator("calm", "calm", Side.CONTENT, Kind.SCORE, 1, 9, pleasantness=True)
    of = encoder(("joy", "calm"), "override", "emotion", **{INDICATORS: described([joy, calm])})
    assert indicators_of(of) == (joy, calm)
    table = pa.table({"joy": pa.array([0.5, None], pa.float32()), "calm": pa.array([3, 4])})
    np.testing.assert_array_equal(numbers(table, joy), [0.5, np.nan])
    np.testing.assert_array_equal(numbers(table, calm), [3, 4])
    with pytest.raises(PostmillError, match="no column calm"):
        indicators_of(encoder(("joy",), "override", "emotion", **{INDICATORS: described([joy, calm])}))


def test_vader_is_a_score_of_pleasantness() -> None:
    content, response = indicators_of(encoder(VADER, "light"))
    assert (content.column, content.side) == ("caption_compound", Side.CONTENT)
    assert (response.column, response.side) == ("comments_compound", Side.RESPONSE)
    assert {(one.kind, one.low, one.high, one.pleasantness) for one in (content, response)} == {
        (Kind.SCORE, -1.0, 1.0, True)
    }


def test_the_papers_model_is_the_probability_of_positive() -> None:
    content, response = indicators_of(encoder(PAPER))
    assert (content.label, content.kind, content.threshold) == ("positive", Kind.PROBABILITY, 0.5)
    table = pa.table(
        {
            "caption_label": ["POSITIVE", "NEGATIVE", None],
            "caption_score": pa.array([0.75, 0.75, None], pa.float32()),
            "comments_label": ["NEGATIVE", None, "POSITIVE"],
            "comments_score": pa.array([1.0, None, 0.5], pa.float32()),
        }
    )
    np.testing.assert_array_equal(numbers(table, content), [0.75, 0.25, np.nan])
    np.testing.assert_array_equal(numbers(table, response), [0.0, np.nan, 0.5])


def test_of_another_model_that_describes_nothing_nothing_is_known() -> None:
    """Its labels may be any: only weights that are known say what label and score come to."""
    assert indicators_of(encoder(PAPER, "override")) == ()
    assert indicators_of(encoder((), "paper", "text")) == ()
