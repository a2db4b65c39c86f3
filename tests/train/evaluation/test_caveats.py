"""What is to be borne in mind of numbers: one list, and every place where the numbers stand says the whole of it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from postmill import cli
from postmill.shards.run import folder as runs
from postmill.shards.run.folder import Run
from postmill.train.evaluation import caveats, results
from postmill.train.evaluation.caveats import Kind
from postmill.train.evaluation.results import ModelResult
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.train.evaluation.stated import METRICS, SETTINGS

MODELS = ("followers", "history", "leak")


@pytest.fixture(scope="module")
def run(plant_once: Callable[..., Run]) -> Run:
    run = runs.open_run(plant_once(posts=90, accounts=12, account=0.5, invented=True).folder)
    train_run(run, names=list(MODELS), seeds=1, split_names=("influencer", "random"))
    train_run(run, names=["text-mlp"], seeds=1, split_names=("influencer",))
    write_report(run)
    return run


def spoken(*words: str) -> str:
    """What a command prints, in one line."""
    done = CliRunner().invoke(cli.app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


RENDERINGS: Mapping[str, Callable[[Run], str]] = {
    "the page": lambda run: unescape((run.report / "index.html").read_text()),
    "results.md": lambda run: (run.report / "results.md").read_text(),
    "report/metrics.json": lambda run: json.dumps(
        json.loads((run.report / "metrics.json").read_text())["caveats"], ensure_ascii=False
    ),
    "the terminal": lambda run: spoken("report", str(run.folder)),
}


@pytest.mark.parametrize("where", RENDERINGS)
def test_every_rendering_of_a_run_says_the_whole_list(run: Run, where: str) -> None:
    said = caveats.of_models(run, results.read_results(run))
    assert {caveat.kind for caveat in said} == set(Kind) - {Kind.IN_SAMPLE}
    text = RENDERINGS[where](run)
    missing = [caveat.kind for caveat in said if caveat.text not in text]
    assert missing == [] and "invented" in text


@pytest.mark.parametrize("model", [*MODELS, "text-mlp"])
def test_what_a_model_wrote_says_its_own_list(run: Run, model: str) -> None:
    of = next(result for result in results.read_results(run) if result.name == model)
    said = caveats.of_models(run, [of])
    folder = run.models / model
    assert of.metrics.caveats == said
    card = (folder / "card.md").read_text()
    assert all(f"- {caveat.text}" in card for caveat in said)
    assert caveats.stated(pq.read_table(folder / "predictions.parquet")) == [caveat.text for caveat in said]
    kinds = {Kind.INVENTED, Kind.NO_CLAIM}
    kinds |= {"history": {Kind.PAST_KNOWN}, "leak": {Kind.COMMENTS, Kind.STAND_IN}, "text-mlp": {Kind.STAND_IN}}.get(
        model, set()
    )
    assert {caveat.kind for caveat in said} == kinds


def of_predict(run: Run, other: Run, tmp_path: Path, suffix: str) -> tuple[Sequence[str], str, list[str]]:
    """The column, what the terminal says, and what the schema says of the file that `predict` writes."""
    target = tmp_path / f"scored{suffix}"
    words = "predict", str(run.folder), str(other.folder), "--model", "history", "--output", str(target)
    text = spoken(*words)
    if suffix == ".csv":
        column = [row["caveats"] for row in csv.DictReader(io.StringIO(target.read_text()))]
        return column, text, []
    table = pq.read_table(target)
    return table["caveats"].to_pylist(), text, caveats.stated(table)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_of_the_runs_own_posts(run: Run, tmp_path: Path, suffix: str) -> None:
    column, terminal, schema = of_predict(run, run, tmp_path, suffix)
    history = next(result for result in results.read_results(run) if result.name == "history")
    said = caveats.of_predictions(run, history, run, 90, 90)
    assert [caveat.kind for caveat in said] == [Kind.INVENTED, Kind.NO_CLAIM, Kind.IN_SAMPLE, Kind.PAST_KNOWN]
    assert set(column) == {"invented data; no claim; in-sample; past known"} and len(column) == 90
    assert all(f"note: {caveat.text}" in terminal for caveat in said)
    assert suffix == ".csv" or schema == [caveat.text for caveat in said]


def test_a_table_on_standard_output_is_a_table_and_the_caveats_are_said_beside_it(run: Run) -> None:
    words = "predict", str(run.folder), str(run.folder), "--model", "history"
    program = [sys.executable, "-m", "postmill.cli", *words]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 90 and {row["caveats"] for row in rows} == {"invented data; no claim; in-sample; past known"}
    history = next(result for result in results.read_results(run) if result.name == "history")
    said = [f"note: {caveat.text}" for caveat in caveats.of_predictions(run, history, run, 90, 90)]
    assert [line for line in done.stderr.splitlines() if line.startswith("note: ")] == said


def test_predictions_of_other_posts_are_no_sample_of_the_training(
    run: Run, planted_run: Callable[..., Run], tmp_path: Path
) -> None:
    keys = {"key": lambda row: f"q{row:06d}"}
    other = planted_run("other", posts=20, accounts=5, seed=3, record=keys)
    column, terminal, schema = of_predict(run, other, tmp_path, ".parquet")
    assert set(column) == {"invented data; no claim; past known"}
    assert "The data that history was trained on are invented" in terminal
    assert schema[0].startswith("The data that history was trained on are invented")
    half = planted_run("half", posts=20, accounts=5, seed=3)  # whose keys are those of posts of the training
    assert (
        "In-sample: 20 of 20 posts are of the run that history was trained in."
        in of_predict(run, half, tmp_path, ".csv")[1]
    )


def test_real_data_are_not_called_invented(planted_run: Callable[..., Run]) -> None:
    run = planted_run(posts=60, accounts=10)
    train_run(run, names=["followers"], seeds=1, split_names=("influencer",))
    write_report(run)
    everything = [path.read_bytes() for path in (*run.models.rglob("*"), *run.report.rglob("*")) if path.is_file()]
    assert not any(b"invented" in content for content in everything)


def test_every_output_of_invented_data_has_the_word(run: Run) -> None:
    texts = [path for path in (*run.models.rglob("*"), *run.report.rglob("*")) if path.suffix in (".md", ".html")]
    numbers = [*run.models.rglob("metrics.json"), run.report / "metrics.json", *run.models.rglob("*.parquet")]
    assert len(texts) == 4 + 3 and len(numbers) == 2 * 4 + 1
    for path in [*texts, *numbers]:
        assert b"invented" in path.read_bytes(), path


def test_a_run_without_models_says_that_its_data_are_invented(planted_run: Callable[..., Run]) -> None:
    run = runs.open_run(planted_run(posts=12, accounts=3, invented=True).folder)
    assert "The data are invented" in write_report(run).path.read_text()


def test_splits_that_are_too_small_for_one_reason_are_told_together() -> None:
    split = replace(METRICS.splits["random"], notes={"r2": "too few accounts"})
    metrics = replace(METRICS, splits={"influencer": split, "random": split}, leak=None)
    told = caveats.of_models(ANY_RUN, [ModelResult("fusion", metrics)])
    assert [caveat.text for caveat in told if caveat.kind == Kind.NO_CLAIM] == [
        "No claim is made of the split influencer and random: too few accounts."
    ]


def test_a_model_that_is_shown_no_past_knows_none() -> None:
    shown = replace(METRICS, settings=replace(SETTINGS, encoders={"text": SETTINGS.encoders["text"]}))
    with_past = replace(SETTINGS, encoders={"history": SETTINGS.encoders["text"]})
    for metrics, knows in ((shown, False), (replace(METRICS, settings=with_past), True)):
        told = caveats.of_models(ANY_RUN, [ModelResult("fusion", metrics)])
        assert any(caveat.kind == Kind.PAST_KNOWN for caveat in told) == knows


ANY_RUN: Any = type("AnyRun", (), {"invented": False})
