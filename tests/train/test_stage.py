"""Training a run: planted signals are found, the same bytes come out, a killed call carries on, small data is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from shards import manifests, models, posts
from shards.errors import PostmillError, UsageError
from shards.run import Run
from shards.tasks import Task
from train import dataset, features, ladder, results, ridge, splits
from train.stage import train_run

MakeRun = Callable[..., Run]
QUICK: dict[str, Any] = dict(seeds=1, split_names=("influencer",))
MULTIMODAL = dict(posts=620, accounts=120, text=0.7, image=0.7, metadata=0.5, sentiment=0.4, noise=0.3)


def r2(run: Run) -> dict[tuple[str, str], float | None]:
    return {(row.model, row.split): row.r2 for row in results.results_table(run)}


def hashes(run: Run) -> dict[str, str]:
    files = (path for path in run.models.rglob("*") if path.is_file())
    return {str(path.relative_to(run.models)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def parsed(run: Run, name: str) -> dict[str, Any]:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    text = (run.models / name / models.METRICS_FILE).read_text()
    value: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return value


@pytest.mark.parametrize(
    ("model", "planted"),
    [("text-mlp", {"text": 1.0}), ("image-mlp", {"image": 1.0}), ("metadata", {"metadata": 1.0})],
)
def test_each_model_learns_what_it_is_shown_and_nothing_else(
    planted_run: MakeRun, model: str, planted: dict[str, float]
) -> None:
    run = planted_run(posts=400, accounts=80, noise=0.3, **planted)
    train_run(run, names=[model], **QUICK)
    found = r2(run)[model, "influencer"]
    assert found is not None and found > 0.6
    other = planted_run("other", posts=200, accounts=40, noise=1.0)
    train_run(other, names=[model], **QUICK)
    nothing = r2(other)[model, "influencer"]
    assert nothing is not None and -0.2 < nothing < 0.15


def test_fusion_beats_the_best_single_model_where_all_modalities_matter(planted_run: MakeRun) -> None:
    run = planted_run(**MULTIMODAL, no_text=0.1, no_image=0.1)
    train_run(run, **QUICK)
    found = {model: value for (model, _), value in r2(run).items() if value is not None}
    assert list(found) == list(ladder.DEFAULT)
    assert found["leak"] > found["metadata"]
    best = max(value for model, value in found.items() if model not in ("fusion", "boosting", "leak"))
    assert found["fusion"] > best + 0.15
    assert found["mean"] < 0.01
    comparison = results.compare_fusion(run, results.read_results(run), "influencer")
    assert comparison is not None and not isinstance(comparison.interval, str)
    assert comparison.interval.low > 0


def test_a_planted_account_effect_flatters_the_random_split(planted_run: MakeRun) -> None:
    run = planted_run(posts=400, accounts=40, account=1.0, noise=0.3)
    train_run(run, names=["text-mlp"], seeds=1)
    found = r2(run)
    disjoint, random = found["text-mlp", "influencer"], found["text-mlp", "random"]
    assert disjoint is not None and random is not None
    assert random > 0.4 and disjoint < 0.2


def test_comments_that_know_the_answer_help_the_papers_features_alone(planted_run: MakeRun) -> None:
    run = planted_run(posts=300, accounts=60, text=0.5, comments=0.9, noise=0.8)
    train_run(run, names=["text-mlp"], **QUICK)
    train_run(run, names=["text-mlp"], feature_set="paper", **QUICK)
    found = r2(run)
    clean, leaked = found["text-mlp", "influencer"], found["text-mlp-with-comments", "influencer"]
    assert clean is not None and leaked is not None and leaked > clean + 0.2
    assert parsed(run, "text-mlp")["leak"] is None
    assert "only after a post is published" in parsed(run, "text-mlp-with-comments")["leak"]


def test_the_papers_recipe(planted_run: MakeRun) -> None:
    run = planted_run(posts=200, accounts=40, text=0.5)
    summary = train_run(run, recipe="paper", seeds=1)
    assert summary.trained == ("paper-text-mlp", "paper-image-mlp")
    settings = parsed(run, "paper-text-mlp")["settings"]
    assert settings["encoders"]["text"]["encoder"] == "text-with-comments"
    method = settings["method"]
    assert (method["rate"], method["batch"], method["epochs"], method["adamw"]) == (1e-4, 64, 3, False)
    training = parsed(run, "paper-text-mlp")["splits"]["random"]["seeds"][0]["training"]["members"]
    assert [member["epochs"] for member in training] == [3]
    counts = parsed(run, "paper-text-mlp")["splits"]["random"]["seeds"][0]["counts"]
    assert (counts["train_posts"], counts["test_posts"]) == (160, 40)


def test_two_runs_give_the_same_bytes(planted_run: MakeRun) -> None:
    made = [planted_run(name, posts=100, accounts=25, text=0.5, no_image=0.2) for name in ("one", "two")]
    for run in made:
        train_run(run, names=["metadata", "fusion"], **QUICK)
    first, second = map(hashes, made)
    assert first == second
    assert len(first) == 2 * 5


def test_what_is_done_is_kept_and_what_changed_is_trained_again(
    planted_run: MakeRun, reencode: Callable[[Run], None]
) -> None:
    run = planted_run(posts=120, accounts=30, text=0.5)
    names = ["mean", "metadata", "text-mlp"]
    assert train_run(run, names=names, **QUICK).trained == ("mean", "text-mlp", "metadata")
    before = hashes(run)
    assert train_run(run, names=names, **QUICK).kept == ("mean", "text-mlp", "metadata")
    assert hashes(run) == before
    # A file that lost its end is not done.
    weights = run.models / "metadata" / models.WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1])
    assert train_run(run, names=names, **QUICK).trained == ("metadata",)
    assert hashes(run) == before
    # Other text embeddings concern the model that reads them.
    reencode(run)
    assert train_run(run, names=names, **QUICK).trained == ("text-mlp",)
    assert train_run(run, names=names, comment_weight=0.0, **QUICK).trained == ("mean", "text-mlp", "metadata")


def test_a_kill_loses_one_model(planted_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planted_run(posts=120, accounts=30)
    whole = planted_run("whole", posts=120, accounts=30)
    train_run(whole, names=["mean", "followers", "metadata"], **QUICK)
    fit = ridge.fit
    calls = iter(range(100))

    def killed(*arguments: Any) -> ridge.Ridge:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(ridge, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        train_run(run, names=["mean", "followers", "metadata"], **QUICK)
    summary = train_run(run, names=["mean", "followers", "metadata"], **QUICK)
    assert (summary.kept, summary.trained) == (("mean", "followers"), ("metadata",))
    assert hashes(run) == hashes(whole)


def test_tasks_share_the_models_and_agree_on_the_splits(planted_run: MakeRun) -> None:
    run, whole = planted_run(posts=120, accounts=30), planted_run("whole", posts=120, accounts=30)
    names = ["mean", "followers", "metadata"]
    done = [train_run(run, names=names, task=Task(k, 2), **QUICK).trained for k in (1, 0)]
    assert done == [("followers", "metadata"), ("mean",)]
    train_run(whole, names=names, **QUICK)
    assert hashes(run) == hashes(whole)


def test_predictions_can_be_made_again_from_the_weights(planted_run: MakeRun) -> None:
    run = planted_run(posts=200, accounts=40, metadata=1.0)
    train_run(run, names=["metadata"], **QUICK)
    weights = safetensors.numpy.load_file(run.models / "metadata" / models.WEIGHTS_FILE)
    held = {key.rsplit("/", 1)[1]: value for key, value in weights.items()}
    data = dataset.load(run, 1.0)
    metadata = features.gather(run, data.shards, ["metadata"], "default", None)["metadata"]
    test = splits.tested(data.accounts, 0)
    columns = np.column_stack([metadata.take(data.rows[test]), np.ones(test.sum())])
    standardised = (columns - held["mean"]) / held["deviation"] @ held["coefficients"] + held["intercept"]
    predicted = standardised * held["target_deviation"] + held["target_mean"]
    table = pq.read_table(run.models / "metadata" / models.PREDICTIONS_FILE)
    np.testing.assert_allclose(table["predicted"].to_numpy(), predicted, atol=1e-6)
    assert table["key"].to_pylist() == data.keys.filter(test).to_pylist()
    np.testing.assert_allclose(table["true"].to_numpy(), data.target[test])


def test_metrics_say_what_they_rest_on(planted_run: MakeRun) -> None:
    run = planted_run(
        posts=200, accounts=40, record={"likes": lambda row: None if row % 10 == 0 else 50 + row, "comment_count": 2}
    )
    summary = train_run(run, names=["mean", "text-mlp"], seeds=2)
    found = parsed(run, "text-mlp")
    assert summary.left_out == {"hidden_likes": 20} == found["counts"]["left_out"]
    assert (found["counts"]["posts"], found["counts"]["with_target"]) == (200, 180)
    assert found["settings"]["encoders"]["text"]["stand_in_for"] == "all-text"
    for split, held in found["splits"].items():
        for seed in held["seeds"]:
            counts = seed["counts"]
            assert counts["train_posts"] + counts["test_posts"] + counts["neither"] == 180
            if split == "influencer":
                assert counts["neither"] == 0
                assert counts["train_accounts"] + counts["test_accounts"] == found["counts"]["accounts"] > 35
        assert held["mean"]["r2"] == pytest.approx(np.mean([seed["metrics"]["r2"] for seed in held["seeds"]]))
    assert parsed(run, "mean")["splits"]["influencer"]["pooled"]["spearman"] is None
    folder = manifests.read(run.models / "mean", models.MANIFEST)
    assert folder is not None and set(folder.files) == {
        "metrics.json",
        "model.safetensors",
        "predictions.parquet",
        "card.md",
    }


def test_predictions_name_no_account(planted_run: MakeRun) -> None:
    run = planted_run(posts=120, accounts=30)
    train_run(run, names=["mean"], **QUICK)
    table = pq.read_table(run.models / "mean" / models.PREDICTIONS_FILE)
    assert table.schema.names == models.PREDICTIONS.names
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in table["account"].to_pylist())
    for path in (run.models / "mean").iterdir():
        assert b"account0" not in path.read_bytes()


def test_near_duplicates_and_renamed_accounts_stay_together(planted_run: MakeRun) -> None:
    run = planted_run(
        posts=200,
        accounts=40,
        record={
            "caption": lambda row: f"sale number {row // 4}" if row < 40 else f"caption {row}",
            "influencer": lambda row: "same.person" if row < 40 else f"account{row % 40:04d}",
            # Rows 0 and 60 are of two names with one owner.
            "owner_id": lambda row: "77" if row in (0, 60) else f"id{row % 40}" if row >= 40 else None,
        },
    )
    data = dataset.load(run, 1.0)
    assert len(np.unique(data.groups)) == 200 - 30
    assert data.accounts[0] == data.accounts[60] == data.accounts[20]
    for seed in range(5):
        test = splits.tested(data.groups, seed)
        assert not set(data.groups[test]) & set(data.groups[~test])


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
    for name in ladder.DEFAULT:
        assert parsed(run, name)["splits"]["influencer"]["interval"]["r2"] is None


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"names": ["perceptron"]}, "--model"),
        ({"names": ["fusion"], "recipe": "paper"}, "--model"),
        ({"recipe": "pancake"}, "--recipe"),
        ({"feature_set": "all"}, "--features"),
        ({"split_names": ["space"]}, "--split"),
        ({"split_names": []}, "--split"),
        ({"seeds": 0}, "--seeds"),
        ({"comment_weight": -1.0}, "--comment-weight"),
    ],
)
def test_wrong_options_are_named(planted_run: MakeRun, options: dict[str, Any], place: str) -> None:
    with pytest.raises(UsageError) as caught:
        train_run(planted_run(posts=20, accounts=5), **options)
    assert caught.value.place == place and caught.value.hint


def test_unfinished_shards_are_left_out_aloud(planted_run: MakeRun, notes: Any) -> None:
    run = planted_run(posts=90, accounts=30, shards=3)
    (run.posts / f"{posts.shard_name(1)}.json").unlink()
    train_run(run, names=["mean"], progress=notes, **QUICK)
    assert any("2 of 3 post shards" in line for line in notes.lines)
    assert parsed(run, "mean")["counts"]["posts"] == 60


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

    program = "import sys, train, train.results; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    said = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
