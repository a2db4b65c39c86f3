"""A target by name goes through a whole training: folder, settings, history, leak, gains, card, and new posts."""

from __future__ import annotations

import json
from collections.abc import Callable
from shlex import split

import numpy as np
import pyarrow.parquet as pq
import pytest

from postmill.shards.formats import models
from postmill.shards.run import secret
from postmill.shards.run.folder import Run
from postmill.train import predict
from postmill.train.data import dataset, history
from postmill.train.data.hashing import Pseudonyms
from postmill.train.data.target import Definition
from postmill.train.evaluation import results, serialise, table
from postmill.train.evaluation.gains import gains
from postmill.train.options import TargetName
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.train.conftest import Notes

MakeRun = Callable[..., Run]
RECORD = {
    "comment_count": lambda row: 3 + row % 40,
    "followers": lambda row: {1: None, 2: 0}.get(row % 20, 100 + row),
}
NAMES = ["metadata", "leak", "history"]


@pytest.fixture(scope="module")
def trained(plant_once: MakeRun) -> Run:
    run = plant_once(posts=300, accounts=40, account=0.6, metadata=0.5, record=RECORD)
    for name in TargetName:
        train_run(run, names=NAMES, seeds=2, split_names=("influencer",), target_name=name)
    return run


def test_a_target_has_folders_of_its_own_and_the_usual_one_no_suffix(trained: Run) -> None:
    suffixes = ("", "-likes", "-comments", "-rate")
    expected = {f"{name}{suffix}" for name in NAMES for suffix in suffixes}
    assert {folder.name for folder in trained.models.iterdir()} == expected
    by_target = results.by_target(results.read_results(trained))
    assert [definition.name for definition in by_target] == list(TargetName)
    assert [len(of) for of in by_target.values()] == [3, 3, 3, 3]


@pytest.mark.parametrize("name", [name for name in TargetName if name != TargetName.LIKES_AND_COMMENTS])
def test_the_command_that_makes_a_model_again_names_its_target(trained: Run, name: TargetName) -> None:
    folder = f"history-{name}"
    words = split(models.command(trained, folder))
    assert words[words.index("--target") + 1] == name and words[words.index("--model") + 1] == "history"
    (trained.models / folder / "manifest.json").rename(trained.models / folder / "kept")
    try:  # the folder's name tells as much
        words = split(models.command(trained, folder))
        assert words[words.index("--target") + 1] == name and words[words.index("--model") + 1] == "history"
    finally:
        (trained.models / folder / "kept").rename(trained.models / folder / "manifest.json")


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("fusion-comments", ["--model", "fusion", "--target", "comments"]),
        ("fusion-with-comments", ["--model", "fusion", "--features", "paper"]),
        ("fusion-with-comments-comments", ["--model", "fusion", "--features", "paper", "--target", "comments"]),
        ("paper-text-mlp-standardised", ["--model", "text-mlp-standardised", "--recipe", "paper"]),
        ("paper-text-mlp-rate", ["--model", "text-mlp", "--recipe", "paper", "--target", "rate"]),
        ("fusion-likes", ["--model", "fusion", "--target", "likes"]),
    ],
)
def test_a_folders_name_says_what_is_in_it(trained: Run, folder: str, words: list[str]) -> None:
    assert split(models.command(trained, folder))[3:] == words


def test_what_is_finished_is_told_by_recipe_and_target(trained: Run, planted_run: MakeRun) -> None:
    assert models.is_trained(trained, None, None) and models.is_trained(trained, None, "rate")
    assert not models.is_trained(trained, "paper", None)
    other = planted_run(posts=40, accounts=10)
    train_run(other, names=["text-mlp"], recipe="paper", split_names=("random",), seeds=1, target_name="likes")
    assert models.is_trained(other, "paper", "likes") and not models.is_trained(other, "paper", None)
    assert not models.is_trained(other, None, "likes")


def test_posts_without_followers_have_no_rate_and_are_counted(trained: Run) -> None:
    counts = {result.name: result.metrics.counts for result in results.read_results(trained)}
    assert counts["history-rate"].left_out == {"unknown_followers": 15, "no_followers": 15}
    assert counts["history-rate"].with_target == 270 and counts["history"].with_target == 300
    card = (trained.models / "history-rate" / models.CARD_FILE).read_text()
    assert "Predicts likes and comments per follower of a post" in card and "left out, no followers: 15" in card
    assert "log(1 + likes + comments) - log(1 + followers), natural logarithm" in card


def test_history_is_of_the_same_target(trained: Run) -> None:
    mean = history.COLUMNS.index("past_mean")
    means = {
        name: dataset.load(trained, Definition(name)).history[:, mean]
        for name in (TargetName.LIKES, TargetName.COMMENTS, TargetName.RATE)
    }
    assert means[TargetName.COMMENTS].max() < np.log1p(43) < means[TargetName.LIKES].max()
    assert means[TargetName.RATE].min() < 0 <= means[TargetName.LIKES].min()


def test_where_comments_are_the_target_the_leak_is_total(trained: Run) -> None:
    of = {result.name: result for result in results.read_results(trained)}
    assert (of["leak-comments"].headline("influencer") or 0) > 0.999
    assert "the leak is total" in str(of["leak-comments"].metrics.leak)
    assert "the leak is total" not in str(of["leak"].metrics.leak) and of["history-comments"].metrics.leak is None


def test_only_models_of_one_target_are_compared(trained: Run) -> None:
    of = results.read_results(trained)
    for definition, models_of in results.by_target(of).items():
        assert {gain.target for gain in gains(trained, models_of)} == {definition.formula}
    write_report(trained)
    numbers = serialise.validate_json(table.ResultsJson, (trained.report / table.NUMBERS).read_bytes())
    by_target = {gain.target: gain.difference for gain in numbers.gains if gain.metric == "r2"}
    assert len(by_target) == 4 and len(set(by_target.values())) == 4
    page = (trained.report / "index.html").read_text()
    assert "history-likes" not in page and "history-rate" not in page
    text = (trained.report / table.MARKDOWN).read_text()
    assert all(f"| {name}{suffix}" in text for name in ("metadata", "history") for suffix in ("", "-likes", "-rate"))


@pytest.mark.parametrize("name", list(TargetName))
def test_new_posts_are_scored_in_the_targets_own_unit(trained: Run, name: TargetName) -> None:
    folder = "history" if name == TargetName.LIKES_AND_COMMENTS else f"history-{name}"
    scored = predict.predict(trained, folder, trained.folder)
    definition = Definition(name)
    assert set(scored["target"].to_pylist()) == {definition.formula}
    predicted = scored["predicted"].to_numpy()
    np.testing.assert_allclose(scored["engagement_median"].to_numpy(), definition.counts(predicted))
    assert (scored["engagement_expected"].to_numpy() > definition.counts(predicted)).all()
    tested = pq.read_table(trained.models / folder / models.PREDICTIONS_FILE)
    names = Pseudonyms(secret.of_run(trained)).posts(scored["key"].combine_chunks()).to_pylist()
    said = dict(zip(names, predicted.tolist(), strict=True))
    true = tested["true"].to_numpy()
    bias = np.mean([said[key] for key in tested["key"].to_pylist()]) - true.mean()
    assert abs(bias) < 0.3 * true.std()


def test_the_target_is_among_the_settings(trained: Run, notes: Notes) -> None:
    settings = json.loads((trained.models / "history-likes" / models.METRICS_FILE).read_bytes())["settings"]
    assert settings["target"] == "likes"
    again = train_run(trained, names=NAMES, seeds=2, split_names=("influencer",), target_name="likes", progress=notes)
    assert again.trained == () and len(again.kept) == 3
