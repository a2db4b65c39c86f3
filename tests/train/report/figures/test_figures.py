"""Figures: valid definitions with marks in what is drawn, the numbers of metrics.json, and the same bytes each time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import altair as alt
import pytest

from postmill.shards.run.folder import Run
from postmill.train.evaluation import results
from postmill.train.evaluation.results import ModelResult
from postmill.train.report import describe
from postmill.train.report.figures import drawing, make
from postmill.train.report.figures.figure import Figure
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]
HOSTILE = "<script>alert(1)</script>\"'=HYPERLINK()"


def drawn(run: Run) -> tuple[list[Figure], list[ModelResult]]:
    models = results.read_results(run)
    return make.figures(run, describe.summarise(run), models), models


@pytest.fixture(scope="module")
def run(plant_once: MakeRun) -> Run:
    run = plant_once(
        posts=320,
        accounts=50,
        lost=4,
        text=0.5,
        account=0.5,
        record={
            "category": lambda row: HOSTILE if row % 5 < 2 else "food & <b>drink</b>",
            "missing_images": lambda row: ["gone.jpg"] if row == 3 else [],
        },
    )
    train_run(run, names=["mean", "followers", "metadata", "leak", "history"], seeds=2)
    train_run(run, recipe="paper", seeds=1)
    return run


@pytest.fixture(scope="module")
def figures(run: Run) -> list[Figure]:
    return drawn(run)[0]


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    named = {figure.name: figure for figure in figures}
    assert len(named) == len(figures)
    return named


def test_every_definition_is_valid_and_draws_marks(figures: list[Figure]) -> None:
    assert {"headline", "splits", "predicted", "figure-1-predicted", "flow"} <= by_name(figures).keys()
    for figure in figures:
        for definition in (drawing.definition(figure), drawing.paper_definition(figure)):
            alt.Chart.from_dict(definition)  # raises where it is not valid
        for svg in (drawing.svg(figure), drawing.svg(figure, 340), drawing.paper_svg(figure)):
            marks = re.findall(r'aria-roledescription="(?!axis|legend|title)[^"]+"', svg)
            assert len(marks) >= min(3, len(figure.rows)), figure.name
        assert all(len(row) == len(figure.columns) for row in figure.rows) and figure.rows


def test_a_page_colours_what_it_draws_and_a_file_is_whole(figures: list[Figure]) -> None:
    for figure in figures:
        assert 'fill="var(--' in drawing.svg(figure)
        paper = drawing.paper_svg(figure)
        assert "var(" not in paper and "href" not in paper and "url(http" not in paper and "<image" not in paper
        assert drawing.PAPER["accent"] in paper and "<script" not in paper
        assert re.search(r'<svg role="img" aria-label="[^"]{20,}"', paper)


def test_numbers_are_those_of_metrics_and_of_the_definition(run: Run, figures: list[Figure]) -> None:
    stated = {result.name: result for result in drawn(run)[1]}
    headline = by_name(figures)["headline"]
    values = {(row[0], row[1]): row[2] for row in headline.rows}
    for (model, mark), value in values.items():
        of = stated[str(model).removesuffix(" (sees comments)")].splits["influencer"]
        expected = of.pooled["r2"] if mark == "its past known" else of.first_post.pooled["r2"]  # type: ignore[union-attr]
        assert value == pytest.approx(expected, abs=5e-4)
    assert len(values) >= 2 * len(stated) - 2
    for name in ("headline", "splits"):
        figure = by_name(figures)[name]
        assert figure.chart is not None
        numbers = figure.chart["datasets"]["numbers"]
        value, low = figure.columns.index("95 % low") - 1, figure.columns.index("95 % low")
        assert [(row["value"], row["low"]) for row in numbers] == [(row[value], row[low]) for row in figure.rows]


def test_each_stage_of_the_flow_begins_with_what_the_last_one_kept(figures: list[Figure]) -> None:
    flow = by_name(figures)["flow"]
    kept = [row[2] for row in flow.rows if row[1] == "kept"]
    lost = [row[2] for row in flow.rows if row[1] != "kept"]
    assert kept[0] == 324 and kept[0] == kept[-1] + sum(lost) and len(lost) >= 1
    before = None
    for stage in dict.fromkeys(row[0] for row in flow.rows):
        counts = [row[2] for row in flow.rows if row[0] == stage]
        assert before in (None, sum(counts))
        before = counts[0]


def test_figures_are_the_same_each_time(run: Run, figures: list[Figure]) -> None:
    again, _ = drawn(run)
    assert [json.dumps(figure.chart) for figure in again] == [json.dumps(figure.chart) for figure in figures]
    assert [drawing.paper_pdf(figure) for figure in again] == [drawing.paper_pdf(figure) for figure in figures]
