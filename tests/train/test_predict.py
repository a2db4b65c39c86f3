"""Scoring new posts: the same post gets the same number, and refusals name the next step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from postmill.shards.formats import models, posts
from postmill.shards.formats.units import shard_name
from postmill.shards.run import secret
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.train import predict
from postmill.train.data.hashing import Pseudonyms
from postmill.train.data.modality import Block, Modality
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]
TRUTH = dict(accounts=30, text=0.6, image=0.6, metadata=0.5, account=0.7)


@pytest.fixture(scope="module")
def trained(plant_once: MakeRun) -> Run:
    run = plant_once(posts=200, no_image=0.2, **TRUTH)
    train_run(
        run, names=["followers", "history", "leak", "boosting", "fusion", "stack"], seeds=1, split_names=("influencer",)
    )
    return run


@pytest.mark.parametrize("model", ["history", "boosting", "fusion", "stack"])
def test_new_posts_are_scored_with_an_interval_where_there_is_one(
    trained: Run, planted_run: MakeRun, model: str
) -> None:
    new = planted_run("new", posts=90, seed=5, shards=3, **TRUTH)
    table = predict.predict(trained, model, new.folder)
    assert table.schema == predict.SCHEMA and table.num_rows == 90
    predicted = table["predicted"].to_numpy()
    assert np.isfinite(predicted).all()
    np.testing.assert_allclose(table["engagement_median"].to_numpy(), np.expm1(predicted))
    tested = pq.read_table(trained.models / model / models.PREDICTIONS_FILE)
    factor = np.exp(tested["true"].to_numpy() - tested["predicted"].to_numpy()).mean()
    np.testing.assert_allclose(table["engagement_expected"].to_numpy(), np.exp(predicted) * factor - 1)
    assert factor > 1 and table["key"].to_pylist() == [f"p{row:06d}" for row in range(90)]  # the posts' own
    if model == "history":
        assert table["low"].null_count == 90
    else:
        assert (table["low"].to_numpy() <= predicted).all() and (predicted <= table["high"].to_numpy()).all()
    one = predict.predict(trained, model, new.posts / f"{shard_name(1)}.tar")
    assert one["key"].to_pylist() == table["key"].to_pylist()[30:60]
    # A sum over another number of rows may differ in the last bits of single precision.
    np.testing.assert_allclose(one["predicted"].to_numpy(), predicted[30:60], atol=1e-4)


@pytest.mark.parametrize("model", ["followers", "history", "boosting", "fusion", "stack"])
def test_posts_of_training_get_what_evaluation_said(trained: Run, model: str) -> None:
    table = predict.predict(trained, model, trained.folder)
    names = Pseudonyms(secret.of_run(trained)).posts(table["key"].combine_chunks()).to_pylist()
    scored = dict(zip(names, table["predicted"].to_pylist(), strict=True))
    tested = pq.read_table(trained.models / model / models.PREDICTIONS_FILE)
    np.testing.assert_allclose([scored[key] for key in tested["key"].to_pylist()], tested["predicted"], atol=1e-4)


@pytest.mark.parametrize("model", ["followers", "history", "boosting", "fusion", "stack"])
def test_a_first_post_is_predicted_as_evaluation_said_whatever_the_past_was(
    trained: Run, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """No learner looks at the numbers of a past that is not known."""
    history = predict._history
    scored = []
    for scale in (1, 100):

        def not_known(*of: Any, scale: float = scale) -> Modality:
            past = history(*of)
            values = past.take(np.arange(len(past.present))) * scale
            return replace(past, blocks=(Block(values),), present=np.zeros(len(values), dtype=bool))

        monkeypatch.setattr(predict, "_history", not_known)
        table = predict.predict(trained, model, trained.folder)
        names = Pseudonyms(secret.of_run(trained)).posts(table["key"].combine_chunks()).to_pylist()
        scored.append(dict(zip(names, table["predicted"].to_pylist(), strict=True)))
    assert scored[0] == scored[1]
    tested = pq.read_table(trained.models / model / models.PREDICTIONS_FILE)
    np.testing.assert_allclose([scored[0][key] for key in tested["key"].to_pylist()], tested["first"], atol=1e-4)


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_expectations_sum_to_what_came_and_medians_to_less(planted_run: MakeRun, noise: float) -> None:
    truth = dict(accounts=150, text=0.4, metadata=0.5, noise=noise)
    run, new = planted_run("old", posts=3_000, seed=1, **truth), planted_run("new", posts=3_000, seed=2, **truth)
    train_run(run, names=["metadata"], split_names=("influencer",))
    table = predict.predict(run, "metadata", new.folder)
    came = np.concatenate([_engagement(new, shard) for shard in range(2)])
    median, expected = (table[f"engagement_{kind}"].to_numpy() for kind in ("median", "expected"))
    assert expected.sum() == pytest.approx(came.sum(), rel=0.05)
    assert median.sum() < 0.95 * came.sum()
    assert np.mean(came < median) == pytest.approx(0.5, abs=0.03)


def _engagement(run: Run, shard: int) -> np.ndarray:
    table = posts.read_records(run, shard, ["likes", "comment_count"])
    total: np.ndarray = table["likes"].to_numpy() + table["comment_count"].to_numpy()
    return total


def test_refusals_name_the_next_step(trained: Run, planted_run: MakeRun) -> None:
    new = planted_run("new", posts=40, **TRUTH)
    with pytest.raises(UsageError, match=r"'oracle' is none of this run's models: followers, history") as caught:
        predict.predict(trained, "oracle", new.folder)
    assert caught.value.place == "--model"
    with pytest.raises(UsageError, match="only after publication"):
        predict.predict(trained, "leak", new.folder)
    with pytest.raises(UsageError, match="no such finished post shard"):
        predict.predict(trained, "followers", new.posts / "posts-000009.tar")
    (new.embeddings / "image.tiny-image" / "encoder.json").unlink()
    with pytest.raises(UsageError, match=r"no embeddings of the encoder image .* as in training") as caught:
        predict.predict(trained, "fusion", new.folder)
    assert "postmill encode" in str(caught.value.hint)
