"""What a training is refused for, and what is said of data that is small or not complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmill.encode.options import ModelSet
from postmill.shards.formats.encoders import SETS
from postmill.shards.formats.units import shard_name
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.state.tasks import Task
from postmill.train.evaluation.results import read_results
from postmill.train.models import registry
from postmill.train.stage import train_run
from tests.train.conftest import encoder, write_embeddings

MakeRun = Callable[..., Run]
QUICK: dict[str, Any] = dict(seeds=1, split_names=("influencer",))


HIDDEN = {"likes": None}
SMALL_CASES = [
    pytest.param(dict(posts=1, accounts=1, shards=1), "1 of 1 posts have a target", id="one post"),
    pytest.param(dict(posts=30, accounts=5, record=HIDDEN), "0 of 30 .*30 hidden likes", id="all likes hidden"),
    pytest.param(dict(posts=30, accounts=5, record={"likes": 7}), "same engagement", id="constant target"),
]


@pytest.mark.parametrize(("truth", "message"), SMALL_CASES)
def test_data_that_cannot_be_trained_on_is_told_so(planted_run: MakeRun, truth: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_run(planted_run(**truth), names=["mean"])


def test_one_account_leaves_the_headline_out_and_says_so(planted_run: MakeRun) -> None:
    run = planted_run(posts=30, accounts=1)
    summary = train_run(run, names=["mean", "metadata", "text-mlp"], seeds=1)
    assert summary.splits == ("random", "time")
    assert "one account" in summary.splits_left_out["influencer"]
    assert "one account" in summary.splits_left_out["time-influencer"]
    with pytest.raises(UsageError, match="one account"):
        train_run(run, names=["mean"], split_names=("influencer",))


def test_ten_posts_of_two_accounts_train_without_nan(planted_run: MakeRun) -> None:
    run = planted_run(posts=10, accounts=2, shards=1, no_text=0.5, no_image=0.5)
    train_run(run, seeds=2)
    models = {result.model: result.splits["influencer"] for result in read_results(run)}
    assert sorted(models) == sorted(registry.default_names())
    assert {split.interval["r2"] for split in models.values()} == {None}


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"names": ["perceptron"]}, "--model"),
        ({"names": ["history"], "recipe": "paper"}, "--model"),
        ({"target_name": "likez"}, "--target"),
        ({"recipe": "pancake"}, "--recipe"),
        ({"feature_set": "all"}, "--features"),
        ({"split_names": ["space"]}, "--split"),
        ({"split_names": []}, "--split"),
        ({"seeds": 0}, "--seeds"),
        ({"encoder_models": "heavy"}, "--models"),
        ({"comment_weight": -1.0}, "--comment-weight"),
        ({"comment_weight": 2.0, "target_name": "likes"}, "--comment-weight"),
    ],
)
def test_wrong_options_are_named(planted_run: MakeRun, options: dict[str, Any], place: str) -> None:
    with pytest.raises(UsageError) as caught:
        train_run(planted_run(posts=20, accounts=5), **options)
    assert caught.value.place == place and caught.value.hint


def test_an_unknown_name_is_answered_with_the_nearest(planted_run: MakeRun) -> None:
    run = planted_run(posts=20, accounts=5)
    for options, hint in (
        ({"names": ["fusionn"]}, "did you mean fusion?"),
        ({"split_names": ["influencers"]}, "did you mean influencer?"),
        ({"device": "gpu"}, "did you mean cpu?"),
        ({"encoder_models": "ligth"}, "did you mean light?"),
    ):
        with pytest.raises(UsageError, match="is none of") as caught:
            train_run(run, **options)
        assert caught.value.hint == hint


def test_a_set_of_models_that_the_run_has_no_embeddings_of_is_refused(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)  # all light, but for the metadata
    for model, name in (("text-mlp", "text"), ("boosting", "text"), ("image-mlp", "image")):
        with pytest.raises(UsageError, match=f"no embeddings of the encoder {name} from the models paper") as caught:
            train_run(run, names=[model], encoder_models="paper", **QUICK)
        assert caught.value.hint == f"make them: postmill encode {run.word} --encoder {name} --models paper"
    assert not run.models.exists()
    for models in SETS:
        train_run(run, names=["followers"], encoder_models=models, **QUICK)  # of numbers that no model computes


def test_an_encoder_whose_model_was_named_is_of_every_set(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)
    shutil.rmtree(run.embeddings / "text.tiny-text")
    write_embeddings(run, encoder("text", 2, models="override"), np.ones((60, 2)), np.ones(60, dtype=bool))
    for models in SETS:
        train_run(run, names=["text-mlp"], encoder_models=models, **QUICK)
        (result,) = read_results(run)
        assert result.encoders["text"].models == "override"


def test_the_sets_are_those_of_encode() -> None:
    assert set(SETS) == set(ModelSet)


def test_what_lacks_its_embeddings_is_refused_before_anything_is_read(planted_run: MakeRun) -> None:
    run, damaged = planted_run(posts=60, accounts=20), planted_run("damaged", posts=60, accounts=20)
    for folder in (run.embeddings, damaged.embeddings):
        (folder / "image.tiny-image" / "encoder.json").unlink()
    (damaged.posts / f"{shard_name(0)}.parquet").write_bytes(b"not read")
    with pytest.raises(UsageError, match="no embeddings of the encoder image") as caught:
        train_run(damaged, names=["mean", "fusion"], **QUICK)
    assert "postmill encode" in str(caught.value.hint)
    assert not damaged.models.exists()
    # A task that has no model with pictures does not need them.
    assert train_run(run, names=["mean", "fusion"], task=Task(0, 2), **QUICK).trained == ("mean",)


def test_unfinished_shards_are_left_out_aloud(planted_run: MakeRun, notes: Any) -> None:
    run = planted_run(posts=90, accounts=30, shards=3)
    (run.posts / f"{shard_name(1)}.json").unlink()
    train_run(run, names=["mean"], progress=notes, **QUICK)
    assert any("2 of 3 post shards" in line for line in notes.lines)
    (result,) = read_results(run)
    assert result.metrics.counts.posts == 60


def test_stand_ins_are_named_in_the_progress(planted_run: MakeRun, notes: Any) -> None:
    train_run(planted_run(posts=60, accounts=20), names=["text-mlp"], progress=notes, **QUICK)
    assert "text: tiny-text stands in for all-text" in notes.lines


def test_an_embedding_shard_that_is_missing_is_named(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=20)
    (run.embeddings / "text.tiny-text" / "posts-000001.json").unlink()
    with pytest.raises(PostmillError, match="posts-000001 is not done") as caught:
        train_run(run, names=["text-mlp"], **QUICK)
    assert "postmill encode" in str(caught.value.hint)


def test_importing_train_is_light() -> None:
    import subprocess
    import sys

    program = (
        "import sys, postmill.train.evaluation.results; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["False", "False"]


def test_how_near_duplicates_are_found_is_said(planted_run: MakeRun, notes: Any) -> None:
    def told() -> set[str]:
        notes.lines.clear()
        train_run(run, names=["mean"], progress=notes, **QUICK)
        return set(json.loads((run.models / "mean/metrics.json").read_text())["settings"]["near_duplicates"])

    run = planted_run(posts=60, accounts=20)
    assert told() == {"image", "text"}
    for model in ("tiny-image", "tiny-text"):
        assert any(f"how alike they are to {model} was not measured" in line for line in notes.lines)
    shutil.rmtree(next(run.embeddings.glob("text.*")))
    assert told() == {"image"}
    assert any("by pictures alone where captions are not the same" in line for line in notes.lines)
    shutil.rmtree(next(run.embeddings.glob("image.*")))
    assert told() == set()
    assert any("by names and captions alone" in line for line in notes.lines)
