"""Training a run: planted signals are found, the same bytes come out, a killed call carries on, small data is told."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

from postmill.shards.formats import models
from postmill.shards.run import manifests, secret
from postmill.shards.run.folder import Run
from postmill.shards.state.tasks import Task
from postmill.train.data import dataset, features, splits
from postmill.train.data.hashing import Pseudonyms
from postmill.train.data.target import Definition
from postmill.train.evaluation import gains, results
from postmill.train.models import registry, ridge
from postmill.train.options import RecipeName, Split
from postmill.train.stage import train_run
from tests.train.conftest import Notes

MakeRun = Callable[..., Run]
QUICK: dict[str, Any] = dict(seeds=1, split_names=("influencer",))
MULTIMODAL = dict(posts=650, accounts=140, text=0.7, image=0.7, metadata=0.5, sentiment=0.4, noise=0.3)


def r2(run: Run) -> dict[tuple[str, str], float | None]:
    models = results.read_results(run)
    return {(row.model, row.split): row.r2 for split in Split for row in results.rows_of(models, split)}


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
    planted_r2 = r2(run)[model, "influencer"]
    assert planted_r2 is not None and planted_r2 > 0.6
    other = planted_run("other", posts=200, accounts=40, noise=1.0)
    train_run(other, names=[model], **QUICK)
    nothing = r2(other)[model, "influencer"]
    assert nothing is not None and -0.2 < nothing < 0.15


def test_fusion_beats_the_best_single_model_where_all_modalities_matter(planted_run: MakeRun) -> None:
    run = planted_run(**MULTIMODAL, no_text=0.1, no_image=0.1)
    train_run(run, **QUICK)
    reached = {model: value for (model, _), value in r2(run).items() if value is not None}
    assert list(reached) == list(registry.default_names())
    assert reached["leak"] > reached["metadata"]
    best = max(value for model, value in reached.items() if model not in ("fusion", "boosting", "leak"))
    assert reached["fusion"] > best + 0.15
    assert reached["mean"] < 0.01
    comparison = gains.compare_fusion(run, results.read_results(run), "influencer")
    assert comparison is not None and comparison.interval is not None
    assert comparison.interval.low > 0


def test_a_planted_account_effect_flatters_the_random_split(planted_run: MakeRun) -> None:
    run = planted_run(posts=400, accounts=40, account=1.0, noise=0.3)
    train_run(run, names=["text-mlp"], seeds=1)
    reached = r2(run)
    disjoint, random = reached["text-mlp", "influencer"], reached["text-mlp", "random"]
    assert disjoint is not None and random is not None
    assert random > 0.4 and disjoint < 0.2


def test_comments_that_know_the_answer_help_the_papers_features_alone(planted_run: MakeRun) -> None:
    run = planted_run(posts=300, accounts=60, text=0.5, comments=0.9, noise=0.8)
    train_run(run, names=["text-mlp"], **QUICK)
    train_run(run, names=["text-mlp"], feature_set="paper", **QUICK)
    reached = r2(run)
    clean, leaked = reached["text-mlp", "influencer"], reached["text-mlp-with-comments", "influencer"]
    assert clean is not None and leaked is not None and leaked > clean + 0.2
    assert parsed(run, "text-mlp")["leak"] is None
    assert "only after a post is published" in parsed(run, "text-mlp-with-comments")["leak"]


def test_the_papers_recipe(planted_run: MakeRun) -> None:
    run = planted_run(posts=200, accounts=40, text=0.5)
    summary = train_run(run, recipe="paper", seeds=1)
    names = [f"paper-{name}" for name in registry.names(RecipeName.PAPER)]
    assert list(summary.trained) == names and len(names) == 6
    assert summary.splits == ("random", "influencer", "time", "time-influencer")  # its own first
    settings = parsed(run, "paper-text-mlp")["settings"]
    assert settings["encoders"]["text"]["encoder"] == "text-with-comments"
    method = settings["method"]
    assert (method["rate"], method["batch"], method["epochs"], method["adamw"]) == (1e-4, 64, 3, False)
    training = parsed(run, "paper-text-mlp")["splits"]["random"]["seeds"][0]["training"]
    assert (training["epochs"], training["steps"]) == (3, 9)  # 160 posts are three batches
    counts = parsed(run, "paper-text-mlp")["splits"]["random"]["seeds"][0]["counts"]
    assert (counts["train_posts"], counts["test_posts"]) == (160, 40)


def test_the_papers_recipe_takes_the_papers_encoders_where_there_are_others(
    planted_run: MakeRun, another_text: Callable[[Run], None], notes: Notes
) -> None:
    run = planted_run(posts=60, accounts=20)
    another_text(run)
    shutil.rmtree(run.embeddings / "text-with-comments.tiny-text-with-comments")
    train_run(run, recipe="paper", names=["text-mlp"], split_names=("random",), seeds=1, progress=notes)
    assert parsed(run, "paper-text-mlp")["settings"]["encoders"]["text"]["model"] == "big-text"
    assert any("trained on captions alone" in line for line in notes.lines)
    assert models.command(run, "paper-text-mlp").endswith(
        "--model text-mlp --recipe paper --models paper --split random --seeds 1"
    )


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
    # Other text embeddings concern all models: near-duplicates are found by them.
    reencode(run)
    assert train_run(run, names=names, **QUICK).trained == ("mean", "text-mlp", "metadata")
    assert train_run(run, names=names, comment_weight=0.0, **QUICK).trained == ("mean", "text-mlp", "metadata")


def test_a_kill_loses_one_model(planted_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planted_run(posts=120, accounts=30)
    undisturbed = planted_run("undisturbed", posts=120, accounts=30)
    train_run(undisturbed, names=["mean", "followers", "metadata"], **QUICK)
    solve = ridge.solve
    calls = iter(range(100))

    def killed(*arguments: Any) -> ridge.Ridge:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return solve(*arguments)

    monkeypatch.setattr(ridge, "solve", killed)
    with pytest.raises(KeyboardInterrupt):
        train_run(run, names=["mean", "followers", "metadata"], **QUICK)
    summary = train_run(run, names=["mean", "followers", "metadata"], **QUICK)
    assert (summary.kept, summary.trained) == (("mean", "followers"), ("metadata",))
    assert hashes(run) == hashes(undisturbed)


def test_tasks_share_the_models_and_agree_on_the_splits(planted_run: MakeRun) -> None:
    run, alone = planted_run(posts=120, accounts=30), planted_run("alone", posts=120, accounts=30)
    names = ["mean", "followers", "metadata"]
    done = [train_run(run, names=names, task=Task(k, 2), **QUICK).trained for k in (1, 0)]
    assert done == [("followers", "metadata"), ("mean",)]
    train_run(alone, names=names, **QUICK)
    assert hashes(run) == hashes(alone)


def test_predictions_can_be_made_again_from_the_weights(planted_run: MakeRun) -> None:
    run = planted_run(posts=200, accounts=40, metadata=1.0)
    train_run(run, names=["metadata"], **QUICK)
    weights = safetensors.numpy.load_file(run.models / "metadata" / models.WEIGHTS_FILE)
    learnt = {key.rsplit("/", 1)[1]: value for key, value in weights.items()}
    data = dataset.load(run, Definition())
    metadata = features.open_modalities(run, data.shards, ["metadata"], "default", None)["metadata"]
    test = splits.tested(data.accounts, 0)
    columns = np.column_stack([metadata.take(data.rows[test]), np.ones(test.sum())])
    standardised = (columns - learnt["mean"]) / learnt["deviation"] @ learnt["coefficients"] + learnt["intercept"]
    predicted = standardised * learnt["target_deviation"] + learnt["target_mean"]
    table = pq.read_table(run.models / "metadata" / models.PREDICTIONS_FILE)
    names = Pseudonyms(secret.of_run(run)).posts(data.keys.filter(test)).to_pylist()
    order = np.argsort(names)
    assert table["key"].to_pylist() == sorted(names)
    np.testing.assert_allclose(table["predicted"].to_numpy(), predicted[order], atol=1e-6)
    np.testing.assert_allclose(table["true"].to_numpy(), data.target[test][order])


def test_only_the_weights_that_score_new_posts_are_kept(planted_run: MakeRun) -> None:
    run = planted_run(posts=200, accounts=40, metadata=1.0)
    train_run(run, names=["followers"], **{**QUICK, "split_names": ["random", "time"]})
    folder = run.models / "followers"
    weights = safetensors.numpy.load_file(folder / models.WEIGHTS_FILE)
    assert {key.split("/")[0] for key in weights} == {"random"}
    assert set(pq.read_table(folder / models.PREDICTIONS_FILE)["split"].to_pylist()) == {"random", "time"}
    assert "every seed of the split `random`" in (folder / models.CARD_FILE).read_text()


def test_metrics_say_what_they_rest_on(planted_run: MakeRun) -> None:
    run = planted_run(
        posts=200, accounts=40, record={"likes": lambda row: None if row % 10 == 0 else 50 + row, "comment_count": 2}
    )
    summary = train_run(run, names=["mean", "text-mlp"], seeds=2)
    stated = parsed(run, "text-mlp")
    assert summary.left_out == {"hidden_likes": 20} == stated["counts"]["left_out"]
    assert (stated["counts"]["posts"], stated["counts"]["with_target"]) == (200, 180)
    assert stated["settings"]["encoders"]["text"]["stand_in_for"] == "all-text"
    for split, result in stated["splits"].items():
        for seed in result["seeds"]:
            counts = seed["counts"]
            assert counts["train_posts"] + counts["test_posts"] + counts["neither"] == 180
            if split == "influencer":
                assert counts["neither"] == 0
                assert counts["train_accounts"] + counts["test_accounts"] == stated["counts"]["accounts"] > 35
        assert result["mean"]["r2"] == pytest.approx(np.mean([seed["metrics"]["r2"] for seed in result["seeds"]]))
    assert parsed(run, "mean")["splits"]["influencer"]["pooled"]["spearman"] is None
    folder = manifests.read(run.models / "mean", models.MANIFEST)
    assert folder is not None and set(folder.files) == {
        "metrics.json",
        "model.safetensors",
        "predictions.parquet",
        "card.md",
    }


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
    data = dataset.load(run, Definition())
    assert len(np.unique(data.near_duplicates)) == 200 - 30
    assert data.accounts[0] == data.accounts[60] == data.accounts[20]
    for seed in range(5):
        test = splits.tested(data.near_duplicates, seed)
        assert not set(data.near_duplicates[test]) & set(data.near_duplicates[~test])


def test_what_several_accounts_post_is_counted_and_not_trained_on_where_it_is_tested(planted_run: MakeRun) -> None:
    campaign = "our new lipstick is here, ask me for the code of this week"
    run = planted_run(
        posts=200, accounts=40, record={"caption": lambda row: campaign if row % 20 == 0 else f"a caption of {row}"}
    )
    train_run(run, names=["mean"], split_names=("influencer", "random"), seeds=5)
    metrics = parsed(run, "mean")
    assert metrics["counts"]["cross_account_groups"] == 1
    data = dataset.load(run, Definition())
    of_campaign = np.array([int(key.removeprefix("p")) % 20 == 0 for key in data.keys.to_pylist()])
    for seed, result in enumerate(metrics["splits"]["influencer"]["seeds"]):
        train, test = splits.divide(data.split_by, "influencer", seed)
        tested = bool((of_campaign & test).any())
        assert result["counts"]["neither"] == (int((of_campaign & ~test).sum()) if tested else 0)
        assert not tested or not (of_campaign & train).any()
    assert {result["counts"]["neither"] for result in metrics["splits"]["random"]["seeds"]} == {0}
    card = (run.models / "mean" / models.CARD_FILE).read_text()
    assert "Groups with posts of several accounts: 1." in card
