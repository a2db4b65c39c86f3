"""A metric is one line: one that is registered appears wherever metrics are measured, stated or shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from postmill.shards.run.folder import Run
from postmill.train.evaluation import gains, measures, metrics, results, table
from postmill.train.evaluation.metrics import METRICS, Metric
from postmill.train.evaluation.probes import missing
from postmill.train.report import section_certainty, section_gains, section_quality
from postmill.train.report.page import write_report
from postmill.train.report.terminal import results_tables
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]


def root_mean_squared_error(drawn: measures.Sums) -> float:
    return float(np.sqrt(drawn.squared_errors / drawn.posts))


RMSE = Metric("rmse", "Root of MSE", "RMSE", measures.of_sums(root_mean_squared_error), lower_is_better=True, digits=3)
SKILL = Metric("skill", "Skill beyond R²", "Skill", measures.of_sums(measures.r2))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "METRICS", {**METRICS, **metrics.registry(RMSE, SKILL)})


@pytest.fixture
def run(planted_run: MakeRun, registered: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(missing, "LEAST_MODALITIES", 2)  # for the sake of models that are quickly trained
    run = planted_run(posts=350, accounts=75, metadata=0.8, account=0.5)
    train_run(run, names=["metadata", "leak"], seeds=2, split_names=("influencer",))
    return run


def test_a_new_metric_is_measured_stated_and_shown(run: Run) -> None:
    stated = json.loads((run.models / "leak" / "metrics.json").read_bytes())["splits"]["influencer"]
    for of in (*(stated[key] for key in ("pooled", "mean", "spread")), *(seed["metrics"] for seed in stated["seeds"])):
        assert of["rmse"] > 0
    assert stated["pooled"]["rmse"] == pytest.approx(stated["pooled"]["mse"] ** 0.5)
    assert stated["interval"]["rmse"][0] < stated["pooled"]["rmse"] < stated["interval"]["rmse"][1]
    slices = stated["errors_by_kind"]["category"]
    assert slices[0]["rmse"] == pytest.approx(slices[0]["mse"] ** 0.5)
    assert stated["missing"][0]["rmse"] == pytest.approx(stated["missing"][0]["mse"] ** 0.5)

    value = f"{stated['pooled']['rmse']:.3f}"
    card = (run.models / "leak" / "card.md").read_text()
    assert "| Root of MSE |" in card and f"| {value} [" in card
    table.write_results(run)
    markdown = (run.report / "results.md").read_text()
    assert f"|  | Root of MSE | {value} [" in markdown
    assert "| leak | metadata | influencer | Skill beyond R² |" in markdown
    numbers = json.loads((run.report / "metrics.json").read_bytes())
    assert numbers["models"]["leak"]["influencer"]["pooled"]["rmse"] == stated["pooled"]["rmse"]
    assert {gain["statistic"] for gain in numbers["gains"]} >= {"skill", "r2"}
    page = write_report(run).path.read_text()
    assert page.count('<th scope="col" class="n"><span>RMSE</span></th>') >= 4 and f"<td>{value}</td>" not in page
    assert f'<td class="n">{value}</td>' in page and "Skill beyond R²" in page
    out = StringIO()
    for shown in results_tables(run):
        Console(file=out, width=200).print(shown)
    assert "RMSE" in out.getvalue() and "Skill, 95 %" in out.getvalue() and value in out.getvalue()


def test_a_metric_that_older_models_lack_is_a_dash(planted_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = planted_run(posts=150, accounts=40, text=0.8)
    train_run(run, names=["mean", "history"], seeds=1, split_names=("influencer",))
    monkeypatch.setattr(metrics, "METRICS", {**METRICS, **metrics.registry(RMSE)})
    table.write_results(run)
    assert "|  | Root of MSE | - |" in (run.report / "results.md").read_text()
    assert "RMSE" in write_report(run).path.read_text()


def test_all_headings_come_from_the_registry(run: Run) -> None:
    models = results.read_results(run)
    rows = [row for split in ("influencer",) for row in results.rows_of(models, split)]
    part = next(shown for shown in section_quality.tables(rows, models) if shown.name == "split-influencer")
    headings = [column.heading for column in part.columns]
    assert headings[1:-2] == [metric.short for metric in metrics.METRICS.values() if metric.has_interval]
    measured = gains.gains(run, models)
    shown = [*section_gains.tables(measured, models), *section_certainty.tables(models)]
    headings = [column.heading for table in shown for column in table.columns]
    assert headings.count("RMSE") == 1 + sum(1 for _ in (models[0].splits["influencer"].slices or {}))
    assert gains.measured() == ["r2", "spearman", "within_account", "skill"]
