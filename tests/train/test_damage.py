"""A flipped byte in what training, predictions or the page read: a message with file and remedy, or the true result."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmill.shards.formats import embeddings, models, posts
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.formats.units import shard_name
from postmill.shards.run import folder as runs
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError
from postmill.train.data import dataset, features
from postmill.train.data.target import Definition
from postmill.train.evaluation import results, slices
from postmill.train.predict import predict
from postmill.train.report.page import write_report
from postmill.train.stage import TrainSummary, train_run
from tests.runs import shard_counts
from tests.train.conftest import Notes, record

MakeRun = Callable[..., Run]
RECORDS, TEXT, IMAGE = "posts/posts-000001.parquet", "embeddings/text.tiny-text", "embeddings/image.tiny-image"
SENTIMENT = "embeddings/sentiment.tiny-sentiment/posts-000001.parquet"


def train(run: Run, *names: str, notes: Notes | None = None) -> TrainSummary:
    return train_run(run, names=names, seeds=1, split_names=("influencer",), progress=notes)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def contents(run: Run, *folders: str) -> dict[str, bytes]:
    paths = (path for name in folders for path in (run.folder / name).rglob("*") if path.is_file())
    return {str(path.relative_to(run.folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def finished(plant_once: MakeRun) -> Run:
    """A run with three models and its page."""
    run = plant_once(posts=80, accounts=20, text=0.5)
    train(run, "followers", "leak", "text-ridge")
    write_report(run)
    return run


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Run:
    shutil.copytree(finished.folder, tmp_path / "run")
    return runs.open_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("mean", RECORDS),
        ("mean", f"{IMAGE}/posts-000001.npy"),  # by which near-duplicates are found, which decide the split
        ("mean", f"{IMAGE}/posts-000001.parquet"),
        ("text-ridge", f"{TEXT}/posts-000001.npy"),
        ("leak", SENTIMENT),
    ],
)
def test_training_stops_at_a_flipped_byte(copied: Run, model: str, file: str) -> None:
    flip(copied.folder / file)
    before = contents(copied, "models", "report")
    with pytest.raises(PostmillError) as caught:
        train(copied, model)
    assert caught.value.place == str(copied.folder / file) and "is damaged" in caught.value.cause
    assert caught.value.hint is not None and caught.value.hint.startswith(f"rm -f -- {copied.folder / file}; postmill ")
    assert contents(copied, "models", "report") == before


@pytest.mark.parametrize(
    "file", [models.WEIGHTS_FILE, models.METRICS_FILE, models.PREDICTIONS_FILE, models.CARD_FILE, "manifest.json"]
)
def test_a_damaged_model_is_trained_anew(copied: Run, notes: Notes, file: str) -> None:
    before = contents(copied, "models", "report")
    flip(copied.models / "followers" / file)
    assert train(copied, "followers", notes=notes).trained == ("followers",)
    assert contents(copied, "models", "report") == before
    if file != "manifest.json":  # of which nothing is left that could be said to differ
        assert [line for line in notes.lines if file in line and "followers is trained anew" in line]


@pytest.mark.parametrize("file", ["index.html", "results.md", "metrics.json"])
def test_the_page_and_its_tables_are_made_anew(copied: Run, file: str) -> None:
    before = contents(copied, "report")
    flip(copied.report / file)
    write_report(copied)
    assert contents(copied, "report") == before


@pytest.mark.parametrize("file", [models.METRICS_FILE, models.WEIGHTS_FILE])
def test_predictions_come_of_no_damaged_file(copied: Run, file: str) -> None:
    flip(copied.models / "text-ridge" / file)
    with pytest.raises(PostmillError) as caught:
        predict(copied, "text-ridge", copied.folder)
    assert caught.value.place == str(copied.models / "text-ridge" / file)
    assert caught.value.hint is not None and "--model text-ridge" in caught.value.hint


def test_gains_come_of_no_damaged_predictions(copied: Run) -> None:
    result = next(result for result in results.read_results(copied) if result.name == "leak")
    flip(copied.models / "leak" / models.PREDICTIONS_FILE)
    with pytest.raises(PostmillError, match=models.PREDICTIONS_FILE):
        results.predictions(copied, result, "influencer")


def encode_again(run: Run, name: str, change: Callable[[Any], Any]) -> None:
    """Write the embedding shard 0 of the encoder ``name`` again, with other scalars or vectors."""
    made = next(encoder for encoder in encoders_of(run) if encoder.encoder == name)
    shard = embeddings.read(run, made, 0)
    reasons, columns = shard.reasons.to_pylist(), shard.scalars.to_pydict()
    vectors = None if shard.vectors is None else change(np.array(shard.vectors))
    scalars = {column: change(values) if column == "comments_score" else values for column, values in columns.items()}
    embeddings.write(run, made, 0, shard.keys.to_pylist(), reasons, vectors, scalars)


@pytest.mark.parametrize(("model", "encoder"), [("text-ridge", "text"), ("leak", "sentiment"), ("followers", "image")])
def test_settings_are_others_where_anything_that_is_read_is(copied: Run, model: str, encoder: str) -> None:
    assert train(copied, model).kept == (model,)
    encode_again(copied, encoder, lambda values: values[::-1])
    assert train(copied, model).trained == (model,)


def test_what_was_read_is_what_is_stated(copied: Run) -> None:
    """A shard that is encoded again after it was opened does not lend its hash to what was read before."""
    of = dataset.finished(copied)
    (opened,) = features.open_modalities(copied, of.shards, ["text"], "default", None, of.records).values()
    encode_again(copied, "text", lambda values: values + 1)
    (later,) = features.open_modalities(copied, of.shards, ["text"], "default", None, of.records).values()
    stated = {result.name: result for result in results.read_results(copied)}["text-ridge"].encoders["text"].contents
    assert stated == opened.contents != later.contents


@pytest.mark.parametrize(
    "read",
    [
        lambda run, of: dataset.load(run, Definition(), None, of),
        lambda run, of: slices.slices(run, of, np.arange(3)),
    ],
    ids=["records", "slices"],
)
def test_rows_of_a_shard_that_is_made_anew_are_not_mixed(copied: Run, read: Callable[[Run, Any], object]) -> None:
    of = dataset.finished(copied)
    name = shard_name(0)
    rows = posts.read_records(copied, 0).to_pylist()
    with publish.unit(copied.posts, name, copied.fingerprint) as unit:
        unit.table(f"{name}.parquet", posts.records_table([*rows, record("later", influencer="someone", images=[])]))
        shard_counts(len(rows) + 1).put(unit)
    with pytest.raises(PostmillError) as caught:
        read(copied, of)
    assert "made anew" in caught.value.cause
