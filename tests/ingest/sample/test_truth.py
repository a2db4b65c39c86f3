"""The truth of a sample is what was planned, and can be found again."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from postmill.ingest.sample.captions import MOODS, TOPICS
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.effects import CONTENT, DRIFT_SHARE, NOISE_DEGREES, PEAK_HOUR, SEASON, SHARES, VARIANCE
from postmill.ingest.sample.pictures import picture
from postmill.ingest.sample.truth import draw_truth, make_truth, realised


def test_effects_add_up_to_the_target() -> None:
    table = make_truth(2000, 60, 3)
    value = {name: table.column(name).to_numpy() for name in table.column_names if name not in ("images", "fault")}
    assert np.allclose(value["y"], np.log1p(value["likes"] + value["comments"]))
    effects = value["noise"] + sum(value[f"{name}_effect"] for name in SHARES if name != "noise")
    assert np.allclose(value["y"] - effects, value["y"][0] - effects[0]), "what is left is the intercept"
    assert (value["likes"] >= 0).all() and (value["comments"] >= 0).all()


@pytest.mark.parametrize(
    ("posts", "influencers", "seed"), [(2000, 60, 0), (2000, 60, 1), (20_000, 60, 0), (20_000, 400, 5)]
)
def test_shares_of_the_variance_are_as_planned(posts: int, influencers: int, seed: int) -> None:
    drawn = realised(make_truth(posts, influencers, seed))
    for name, share in SHARES.items():
        assert drawn["shares"][name] == pytest.approx(share, abs=0.03)
    assert sum(drawn["shares"].values()) == pytest.approx(1.0)
    assert drawn["shares"]["covariance"] == pytest.approx(0.0, abs=0.05)
    assert drawn["leak_correlation"] > 0.9


def test_what_was_planted_can_be_found_again() -> None:
    table = make_truth(20_000, 400, 2)
    value = {name: table.column(name).to_numpy() for name in ("y", "followers", "image_quality", "topic", "leak")}
    mood = pc.index_in(table.column("mood"), value_set=table.column("mood").unique().drop_null()).to_numpy()
    by_mood = [value["y"][mood == i].mean() for i in range(len(MOODS))]
    names = table.column("mood").unique().drop_null().to_pylist()
    assert [name for _, name in sorted(zip(by_mood, names, strict=True))] == list(MOODS)
    reach = np.log(value["followers"])
    assert 0.4 < np.polyfit(reach, value["y"], 1)[0] < 0.7
    assert 0.2 < np.polyfit(value["image_quality"], value["y"], 1)[0] < 0.4
    assert np.unique(table.column("post_id").to_numpy()).size == 20_000
    counts = np.unique(table.column("influencer").to_numpy(), return_counts=True)[1]
    assert counts.min() < 0.3 * counts.mean() and counts.max() > 3 * counts.mean(), "posts are to be uneven"
    rates = {
        name: pc.sum(pc.equal(table.column("fault"), name)).as_py() / 20_000
        for name in ("unmapped_info", "renamed_account")
    }
    assert rates == pytest.approx({"unmapped_info": 0.02, "renamed_account": 0.017}, abs=0.001)
    assert counts.min() >= 3 and counts.max() < 0.1 * 20_000
    assert pc.mean(pc.greater(table.column("image_count"), 1)).as_py() == pytest.approx(0.06, abs=0.01)
    assert table.column("near_duplicate").null_count / 20_000 == pytest.approx(0.98, abs=0.005)


def test_without_an_effect_of_content_all_else_is_the_same() -> None:
    planted, none = (make_truth(2000, 60, 3, effect) for effect in (Effect.PLANTED, Effect.NONE))
    made = {"y", "likes", "comments", "noise", "leak", "tone"}
    for name in planted.column_names:
        if name not in made | {"mood", "mood_effect", "tone_mood_effect"} | {f"{part}_effect" for part in CONTENT}:
            assert planted[name].equals(none[name]), name
    for part in (*CONTENT, "mood", "tone_mood"):
        assert not none[f"{part}_effect"].to_numpy().any() and planted[f"{part}_effect"].to_numpy().any()
    # What is left of `y` is rounding to whole likes.
    assert np.allclose(planted["noise"].to_numpy(), none["noise"].to_numpy(), atol=0.1)
    shares = realised(none)["shares"]
    assert shares["account"] / shares["noise"] == pytest.approx(SHARES["account"] / SHARES["noise"], rel=0.1)


def test_accounts_differ_in_what_a_mood_is_worth_to_them() -> None:
    table = make_truth(40_000, 400, 4)
    mood = pc.index_in(table["mood"], value_set=pa.array(MOODS)).fill_null(2).to_numpy() - 2.0
    owner = np.unique(table["influencer"].to_numpy(), return_inverse=True)[1]
    rest = table["y"].to_numpy() - table["account_effect"].to_numpy() - table["image_effect"].to_numpy()
    slopes = np.array([np.polyfit(mood[owner == each], rest[owner == each], 1)[0] for each in range(400)])
    sizes = np.bincount(owner)
    large = slopes[sizes > 100]
    planted = np.sqrt(SHARES["slopes"] * VARIANCE / mood.var())
    # The slope of a hundred posts has an error of its own.
    assert planted * 0.8 < large.std() < planted * 1.4
    same = table["y"].to_numpy() - table["account_effect"].to_numpy() - table["slopes_effect"].to_numpy()
    spread = [np.polyfit(mood[owner == each], same[owner == each], 1)[0] for each in np.flatnonzero(sizes > 100)]
    assert np.std(spread) < 0.5 * planted


def test_levels_drift_hours_and_seasons_count_and_noise_has_heavy_tails() -> None:
    drawn = draw_truth(40_000, 400, 6)
    value = {name: drawn.table[name].to_numpy() for name in ("drift_effect", "taken_at", "time_effect", "noise")}
    owner = np.unique(drawn.table["influencer"].to_numpy(), return_inverse=True)[1]
    step, passed = np.diff(value["drift_effect"]), np.diff(value["taken_at"]) / (365.25 * 86_400)
    for year in (0.02, 0.1):  # the variance of a step is that of the time that has passed
        near = (np.diff(owner) == 0) & (passed > 0.7 * year) & (passed < 1.3 * year)
        rate = step[near].var() / passed[near].mean()
        assert rate == pytest.approx(drawn.coefficients["drift_sd_of_a_year"] ** 2, rel=0.15)
    assert value["drift_effect"].var() == pytest.approx(DRIFT_SHARE * VARIANCE)
    hours = (value["taken_at"] / 3600 % 24).astype(int)
    by_hour = [value["time_effect"][hours == hour].mean() for hour in range(24)]
    assert int(np.argmax(by_hour)) in (PEAK_HOUR - 1, PEAK_HOUR) and max(by_hour) > 0.1 > -0.1 > min(by_hour)
    december = value["taken_at"].astype("datetime64[s]").astype("datetime64[M]").astype(int) % 12 == 11
    gain = value["time_effect"][december].mean()
    assert gain == pytest.approx(SEASON * drawn.coefficients["hour_amplitude"], rel=0.15)
    noise = (value["noise"] - value["noise"].mean()) / value["noise"].std()
    gauss = 6.3e-5  # of posts beyond four standard deviations
    assert 10 * gauss < np.mean(np.abs(noise) > 4) < 1e-2 and NOISE_DEGREES == 5


def test_campaigns_are_of_several_accounts_of_one_category() -> None:
    table = make_truth(20_000, 400, 2)
    of = table.filter(pc.is_valid(table["campaign"]))
    assert 0.01 < of.num_rows / 20_000 < 0.03
    per = of.group_by("campaign").aggregate([("influencer", "count_distinct"), ("category", "count_distinct")])
    assert set(per["influencer_count_distinct"].to_pylist()) == {2, 3, 4, 5}
    assert set(per["category_count_distinct"].to_pylist()) == {1}
    assert table["source"].to_numpy()[of["campaign"].to_numpy()].tolist() == of["campaign"].to_pylist()
    for name in ("mood", "topic", "language", "image_quality", "width", "height", "image_count"):
        shown = table[name].take(table["source"].combine_chunks())
        assert shown.equals(table[name]), name


def test_a_picture_shows_its_quality() -> None:
    qualities = np.random.default_rng(0).normal(size=240)
    looks = []
    for i, quality in enumerate(qualities):
        data = picture((1, i), float(quality), list(TOPICS)[i % len(TOPICS)], (256, 320))
        pixels = np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64)
        red, blue = pixels[..., 0].mean(), pixels[..., 2].mean()
        grain = np.abs(np.diff(pixels[..., 1], axis=1)).mean()
        looks.append((red - blue, pixels.mean(), grain, 1.0))
    fitted = np.array(looks) @ np.linalg.lstsq(np.array(looks), qualities, rcond=None)[0]
    assert np.corrcoef(fitted, qualities)[0, 1] > 0.8
