"""Figures: valid definitions with marks in what is drawn, the numbers of metrics.json, and the same bytes each time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import altair as alt
import pytest

from postmill.shards.run.folder import Run
from postmill.train.evaluation import optimism, results
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema_splits import Coverage, CoverageRow, MissingModality
from postmill.train.report import describe
from postmill.train.report.figures import certainty, drawing, gains, make
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


def marks(svg: str) -> int:
    """How many marks are drawn, without axes, legends and titles."""
    groups = re.findall(r'<g class="mark-\w+ role-mark[^"]*"[^>]*>(.*?)</g>', svg, re.DOTALL)
    return sum(len(re.findall(r"<(?:path|line|rect|text)", group)) for group in groups)


def test_every_definition_is_valid_and_draws_marks(figures: list[Figure]) -> None:
    assert {"headline", "splits", "predicted", "figure-1-predicted", "flow"} <= by_name(figures).keys()
    for figure in figures:
        for definition in (drawing.definition(figure), drawing.paper_definition(figure)):
            alt.Chart.from_dict(definition)  # raises where it is not valid
        for svg in (drawing.svg(figure), drawing.svg(figure, 340), drawing.paper_svg(figure)):
            assert marks(svg) >= min(3, len(figure.rows)), figure.name
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


def test_without_what_draws_there_are_the_same_numbers_and_words(
    run: Run, figures: list[Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_PACKAGES", ("altair", "no_such_package"))
    without, _ = drawn(run)
    assert [replace(figure, chart=None, paper=None) for figure in figures] == without
    with pytest.raises(ValueError, match="not installed"):
        drawing.svg(without[0])


def test_steps_are_the_gains_and_the_step_of_comments_is_none(run: Run) -> None:
    models = [result for result in results.read_results(run) if not result.of_study]
    settled = Gain("fusion", "history-fusion", "influencer", "r2", 0.08, 0.01, Interval(0.02, 0.14), 0.001, True, "")
    open_ = replace(
        settled, split="time", difference=-0.0004, interval=None, p=None, holds=None, note="too few accounts"
    )
    leak = replace(settled, model="leak", base="metadata", difference=0.7, interval=Interval(0.6, 0.8))
    order = replace(settled, metric="spearman", difference=0.05, holds=False)
    found = by_name(list(gains.figures(run, models, [order, settled, open_, leak])))
    steps, leaks = found["gains"], found["leaks"]
    assert [(row[0], row[3], *row[4:]) for row in steps.rows] == [
        ("R²", "influencer", 0.08, 0.02, 0.14, 0.01, "yes"),
        ("R²", "time", 0.0, None, None, 0.01, None),
        ("Spearman", "influencer", 0.05, 0.02, 0.14, 0.01, "no"),
    ]
    assert steps.chart is not None and steps.paper is not None
    drawn_as = [(row["value"], row["hollow"], row["choice"]) for row in steps.chart["datasets"]["numbers"]]
    assert drawn_as == [(0.08, False, "r2"), (0.0, True, "r2"), (0.05, True, "spearman")]
    assert len(steps.paper["datasets"]["numbers"]) == 2 and "params" not in steps.paper
    assert leaks.rows[0] == ("comments known", "leak", "metadata", "accounts not trained on", 0.7, 0.6, 0.8)
    met = {row[1]: row[4] for row in leaks.rows[1:]}
    for result in models:
        measured = None if result.leaks else optimism.measured(run, result)
        assert (result.name in met) == (measured is not None and measured.inference.value is not None)
        if measured is not None and measured.inference.value is not None:
            assert met[result.name] == pytest.approx(measured.inference.value, abs=6e-4)


def test_certainty_is_what_the_model_states(run: Run) -> None:
    models = results.read_results(run)
    best = next(result for result in models if result.name == "history")
    of = best.splits["influencer"]
    rows = (CoverageRow("0", 50, 50, 0.7, Interval(0.6, 0.8)), CoverageRow("kinds not shown", 7))
    coverage = Coverage(0.9, 0.88, Interval(0.85, 0.91), 2.0)
    curve = tuple(MissingModality("image", share, {"r2": 0.5 - share / 10}) for share in (0.0, 0.5, 1.0))
    stated = replace(
        of,
        calibration=replace(of.calibration, coverage=coverage),
        coverage={"earlier_posts": rows},
        missing=(*curve, MissingModality("history", 1.0, {"r2": 0.1})),
    )
    model = replace(best, metrics=replace(best.metrics, splits={"influencer": stated}))
    found = by_name(list(certainty.figures(run, [model])))
    assert found["coverage"].rows[0] == ("all", of.counts.test_posts, of.counts.test_accounts, 0.88, 0.85, 0.91)
    assert found["coverage"].rows[-1] == ("earlier posts: 0", 50, 50, 0.7, 0.6, 0.8)
    assert "kinds not shown" not in json.dumps(found["coverage"].chart)
    assert found["missing"].rows == [
        ("image", 0.0, 0.5),
        ("image", 0.5, 0.45),
        ("image", 1.0, 0.4),
        ("history", 1.0, 0.1),
    ]
    assert found["calibration"].rows == [
        (pytest.approx(bin_.predicted, abs=6e-4), pytest.approx(bin_.true, abs=6e-4), bin_.posts)
        for bin_ in of.calibration.bins
    ]
    spread = {row[1]: row[2:4] for row in found["divisions"].rows}
    assert spread["influencer"] == pytest.approx((of.mean["r2"], of.std["r2"]), abs=6e-4)


def test_one_model_is_enough(run: Run) -> None:
    models = [result for result in results.read_results(run) if result.name == "mean"]
    figures = make.figures(run, describe.summarise(run), models)
    names = [figure.name for figure in figures]
    assert "headline" in names and "gains" not in names and "predicted" not in names
    for figure in figures:
        assert drawing.svg(figure).startswith("<svg") and drawing.paper_svg(figure).startswith("<svg")
