"""What figures say of data and losses: sums that hold whatever is missing, months of many people, and no post alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

from postmill.shards.run.folder import Run
from postmill.train.evaluation.cells import Cell
from postmill.train.report import describe
from postmill.train.report.describe import Category, DataSummary
from postmill.train.report.figures import data as data_figures
from postmill.train.report.figures import losses, months
from postmill.train.report.figures.figure import Figure
from postmill.train.report.figures.months import Months

MakeRun = Callable[..., Run]


@pytest.fixture(scope="module")
def run(plant_once: MakeRun) -> Run:
    return plant_once(posts=300, accounts=40, lost=3)


@pytest.fixture(scope="module")
def data(run: Run) -> DataSummary:
    return describe.summarise(run)


def stages(figure: Figure) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for stage, what, count in figure.rows:
        assert isinstance(count, int) and count >= 0
        found.setdefault(str(stage), {})[str(what)] = count
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"waiting": 7, "mapped": 310}, "waiting for their bytes"),
        ({"not_chosen": 100, "mapped": 403}, "not chosen"),
        ({"mapped": 1_000, "planned_shards": 9}, "in post shards that are not done"),
        ({"mapped": 1_000}, "not accounted for: run postmill verify"),
        ({"left_out": {"hidden_likes": 300}}, "hidden likes"),
    ],
)
def test_each_stage_begins_with_what_the_last_one_kept(
    run: Run, data: DataSummary, change: dict[str, object], said: str
) -> None:
    changed = replace(data, **change)  # type: ignore[arg-type]
    flow = next(figure for figure in losses.figures(run, changed, []) if figure.name == "flow")
    found = stages(flow)
    assert next(iter(found.values())) == {"kept": changed.mapped}
    assert found["in post shards"]["kept"] == 300 and found["with a target"]["kept"] == changed.with_target
    for before, after in pairwise(found.values()):
        assert sum(after.values()) == before["kept"]
    assert said in " ".join(what for of in found.values() for what in of)
    assert flow.chart is not None
    drawn = [(row["name"], row["count"]) for row in flow.chart["datasets"]["numbers"]]
    assert [count for _, count in drawn] == [row[2] for row in flow.rows]
    assert [row["to"] - row["from"] for row in flow.chart["datasets"]["numbers"]] == [count for _, count in drawn]


def test_pictures_of_posts_in_shards_add_up(run: Run, data: DataSummary) -> None:
    changed = replace(data, images=500, missing_images=20, unusable_images=3)
    figure = next(figure for figure in losses.figures(run, changed, []) if figure.name == "flow-pictures")
    assert stages(figure) == {
        "listed": {"kept": 520},
        "in post shards": {"kept": 500, "lost: could not be had": 20},
        "usable": {"kept": 497, "lost: no encoder can use": 3},
    }
    without = [figure.name for figure in losses.figures(run, replace(changed, text_only=True), [])]
    assert without == ["flow"]


def accounts(number: int) -> frozenset[int]:
    return frozenset(range(number))


def test_months_are_joined_until_they_may_be_shown() -> None:
    start = 2019 * 12
    cells = [(0, 150, 30), (1, 60, 30), (2, 60, 30), (4, 99, 10), (5, 500, 19), (6, 10, 40), (7, 3, 2)]
    bars = months.joined([(start + month, Cell(posts, accounts(people))) for month, posts, people in cells])
    assert bars == [
        Months(date(2019, 1, 1), date(2019, 2, 1), 150),
        Months(date(2019, 2, 1), date(2019, 4, 1), 120),
        Months(date(2019, 5, 1), date(2019, 9, 1), 612),
    ]
    assert [bar.number for bar in bars] == [1, 2, 4]
    assert months.joined([(start, Cell(99, accounts(99))), (start + 1, Cell(0, accounts(0)))]) == []
    assert months.joined([(start + 11, Cell(100, accounts(20)))]) == [Months(date(2019, 12, 1), date(2020, 1, 1), 100)]


def test_the_bars_hold_the_posts_of_the_summary(run: Run, data: DataSummary) -> None:
    changed = replace(
        data,
        categories=(Category("=a<b>", 200, 25), *(Category(f"c{n}", 100, 20) for n in range(20))),
        hidden_categories=1,
    )
    figures = {figure.name: figure for figure in data_figures.figures(run, changed)}
    target, categories = figures["target"], figures["categories"]
    assert [row[2] for row in target.rows] == list(data.histogram.counts) and sum(data.histogram.counts) == 300
    assert [row[0] for row in target.rows] == pytest.approx(data.histogram.edges[:-1], abs=1e-3)
    assert len(categories.rows) == 16 and categories.rows[-1][0] == "7 others"
    assert sum(int(row[1] or 0) for row in categories.rows) == 2_200 + data.hidden.posts
    for figure in figures.values():
        assert figure.chart is not None and len(figure.chart["datasets"]["numbers"]) == len(figure.rows)
