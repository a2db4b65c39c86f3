"""The moods of a sample: their season, what they are worth, what comments make of them; and all of it can be read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from postmill.ingest.sample.captions import MOODS, TONES, TOPICS, caption, comments
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.moods import MOOD_ODDS, MOOD_SEASON, MOOD_WORTH, TONE_MIDDLE, TONE_OF_LEAK, TONE_OF_MOOD
from postmill.ingest.sample.truth import Truth, draw_truth

Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def planted() -> Truth:
    return draw_truth(40_000, 400, 8)


@pytest.fixture(scope="module")
def none() -> Truth:
    return draw_truth(40_000, 400, 8, Effect.NONE)


def column(truth: Truth, name: str) -> Floats:
    values: Floats = truth.table[name].to_numpy()
    return values


def owners(truth: Truth) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = np.unique(column(truth, "influencer"), return_inverse=True)[1]
    return rows


def worth(truth: Truth) -> Floats:
    mood = pc.index_in(truth.table["mood"], value_set=pa.array(MOODS)).fill_null(MOODS.index("plain"))
    values: Floats = MOOD_WORTH[mood.to_numpy()]
    return values


def within(values: Floats, owner: NDArray[np.int64]) -> Floats:
    """What is left of ``values`` when each account's mean is taken from it."""
    means: Floats = np.bincount(owner, values) / np.bincount(owner)
    return values - means[owner]


def by_month(truth: Truth, values: Floats) -> Floats:
    month = column(truth, "taken_at").astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12
    means: Floats = np.bincount(month, values) / np.bincount(month)
    return means


def test_summer_is_happier_than_winter_and_without_an_effect_all_year_is_alike(planted: Truth, none: Truth) -> None:
    means = by_month(planted, worth(planted))
    assert int(np.argmax(means)) in (4, 5, 6) and int(np.argmin(means)) in (10, 11, 0)
    for height, month in ((1, 5), (-1, 11)):  # midsummer is in the sixth month, its opposite in the twelfth
        odds = MOOD_ODDS * np.exp(height * MOOD_SEASON * MOOD_WORTH)
        assert means[month] == pytest.approx(0.96 * odds @ MOOD_WORTH / odds.sum(), abs=0.06), "4 % have no caption"
    same = by_month(none, worth(none))
    assert np.ptp(same) < 0.2 < 0.45 < np.ptp(means)
    assert same.mean() == pytest.approx(0.96 * MOOD_ODDS @ MOOD_WORTH, abs=0.02)
    assert planted.coefficients["mood_season_log_odds"] == MOOD_SEASON
    assert none.coefficients["mood_season_log_odds"] == 0
    for name in ("taken_at", "topic", "image_quality", "language", "fault", "images"):
        assert planted.table[name].equals(none.table[name]), f"{name}: as many numbers are drawn"


def test_nothing_but_the_mood_effect_comes_from_the_mood(planted: Truth) -> None:
    of_mood = column(planted, "mood_effect")
    rest = column(planted, "text_effect") + column(planted, "slopes_effect") - of_mood
    empty = planted.table["mood"].is_null().to_numpy()
    cells = (owners(planted) * 4 + column(planted, "topic")) * 2 + empty
    first = np.unique(cells, return_index=True, return_inverse=True)
    assert np.allclose(rest, rest[first[1]][first[2]], atol=1e-9), "the same for all moods of an account and topic"
    assert not of_mood[worth(planted) == 0].any() and of_mood[worth(planted) != 0].all()


def test_the_slope_of_the_mood_within_accounts_is_as_stated(planted: Truth, none: Truth) -> None:
    """Hours and seasons aside, for moods are best when engagement is least."""
    owner, mood = owners(planted), worth(planted)
    slopes = np.divide(column(planted, "mood_effect"), mood, out=np.full(len(mood), np.nan), where=mood != 0)
    of_account = np.array([np.nanmean(slopes[owner == each]) for each in range(400)])
    assert np.nanmean(slopes) == pytest.approx(planted.coefficients["mood_slope"], abs=0.01)
    assert of_account.std() == pytest.approx(planted.coefficients["mood_slope_sd_between_accounts"], rel=0.15)
    y = column(planted, "y") - column(planted, "time_effect")
    found = np.polyfit(within(mood, owner), within(y, owner), 1)[0]
    assert found == pytest.approx(planted.coefficients["mood_slope"], abs=0.03) and found > 0.2
    assert abs(np.polyfit(within(worth(none), owner), within(column(none, "y"), owner), 1)[0]) < 0.02
    assert none.coefficients["mood_slope"] == none.coefficients["mood_slope_sd_between_accounts"] == 0


def test_comments_follow_the_engagement_and_the_mood(planted: Truth, none: Truth) -> None:
    for truth, slope in ((planted, TONE_OF_MOOD), (none, 0.0)):
        made = np.column_stack([np.ones(40_000), column(truth, "leak"), worth(truth)])
        fitted = np.linalg.lstsq(made, column(truth, "tone"), rcond=None)[0]
        assert np.allclose(fitted, [TONE_MIDDLE, TONE_OF_LEAK, slope], atol=1e-9)
        assert np.allclose(column(truth, "tone_mood_effect"), slope * worth(truth))
        assert truth.coefficients["tone_slope_of_mood"] == slope
        assert np.corrcoef(column(truth, "tone"), column(truth, "y"))[0, 1] > 0.9, "the leak stays"
    assert abs(np.corrcoef(column(none, "tone"), worth(none))[0, 1]) < 0.03


def happiness(language: str) -> dict[str, float]:
    """What people said how happy a word makes them, 1 to 9: Hedonometer's list."""
    spec = find_spec("labMTsimple")
    if spec is None or spec.origin is None:
        pytest.skip("the list of words comes with the extra `emotion`")
    listed = (Path(spec.origin).parent / f"data/LabMT/labMT2{language}.txt").read_text("utf-8").splitlines()[1:]
    return {row[0].lower(): float(row[2]) for row in (line.split("\t") for line in listed)}


def read(text: str, words: dict[str, float]) -> list[float]:
    kept = "".join(letter if letter.isalpha() else " " for letter in text.lower())
    return [words[word] for word in kept.split() if word in words]


@pytest.mark.parametrize(("language", "code"), [("english", "en"), ("spanish", "es")])
def test_moods_can_be_read_from_captions(language: str, code: str) -> None:
    words, rng = happiness(language), Random(3)
    drawn = rng.choices(range(len(MOODS)), MOOD_ODDS.tolist(), k=5000)
    texts = [caption(rng, rng.choice(list(TOPICS)), mood, rng.randrange(4), code) for mood in drawn]
    found = [read(text, words) for text in texts]
    moods, known = np.array(drawn), np.array([len(each) >= 3 for each in found])
    told = np.array([np.mean(each) if each else np.nan for each in found])
    means = [told[known & (moods == mood)].mean() for mood in range(len(MOODS))]
    assert means == sorted(means)
    assert all(known[moods == mood].mean() > 0.9 for mood in range(len(MOODS)))
    assert spearmanr(told[known], moods[known]).statistic > 0.65


def test_the_tone_of_comments_can_be_read() -> None:
    words = happiness("english")
    means = [np.mean(read(" ".join(comments(Random(step), step, 600)), words)) for step in range(TONES)]
    assert means == sorted(means) and means[-1] > means[0] + 1
