"""The truth of a sample is what was planned, and can be found again."""

from __future__ import annotations

import io

import numpy as np
import pyarrow.compute as pc
import pytest
from PIL import Image

from postmill.ingest.sample.captions import MOODS, TOPICS
from postmill.ingest.sample.pictures import picture
from postmill.ingest.sample.truth import SHARES, make_truth, realised


def test_effects_add_up_to_the_target() -> None:
    table = make_truth(2000, 60, 3)
    value = {name: table.column(name).to_numpy() for name in table.column_names if name not in ("images", "fault")}
    assert np.allclose(value["y"], np.log1p(value["likes"] + value["comments"]))
    effects = value["account_effect"] + value["text_effect"] + value["image_effect"] + value["noise"]
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
    assert pc.mean(pc.greater(table.column("image_count"), 1)).as_py() == pytest.approx(0.06, abs=0.01)
    assert table.column("near_duplicate").null_count / 20_000 == pytest.approx(0.98, abs=0.005)


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
