"""A forest shows each number where it is, marks what lies beyond its axis, and draws no interval that is not there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import vl_convert

from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate
from postmill.train.report.figures.charts import theme
from postmill.train.report.figures.charts.forest import Axis, Mark, forest

AXIS = Axis("R²", {"the mean": 0.0, "baseline": 0.3})


def numbers(*estimates: Estimate) -> list[dict[str, object]]:
    chart = forest([Mark(f"m{n}", "past", estimate) for n, estimate in enumerate(estimates)], AXIS)
    rows: list[dict[str, object]] = chart["datasets"]["numbers"]
    return rows


def test_a_number_stands_where_it_is_and_beyond_the_axis_at_its_end_with_its_value() -> None:
    inside, below = numbers(Estimate(0.51237, Interval(0.4, 0.6)), Estimate(-5.6, Interval(-9.0, -0.5)))
    assert (inside["value"], inside["at"], inside["off"], inside["from"], inside["to"]) == (0.512, 0.512, "", 0.4, 0.6)
    assert (below["value"], below["at"], below["off"], below["from"]) == (-5.6, -1.0, "lower", -1.0)
    svg = vl_convert.vegalite_to_svg({**forest([Mark("m", "", Estimate(-5.6))], AXIS), "width": 400})
    assert "\N{MINUS SIGN}5.600" in svg


def test_no_interval_is_drawn_where_there_is_none_and_undefined_numbers_are_left_out() -> None:
    (row,) = numbers(Estimate(0.5, None, "too few accounts"), Estimate(None))
    assert row["from"] is None and row["interval"] == "none: too few accounts"
    chart = {**forest([Mark("m", "", Estimate(0.5))], AXIS), "width": 400}
    with_interval = {**forest([Mark("m", "", Estimate(0.5, Interval(0.4, 0.6)))], AXIS), "width": 400}
    lines = [
        len(re.findall(r'<line [^>]*stroke-width="2"', vl_convert.vegalite_to_svg(of))) for of in (chart, with_interval)
    ]
    assert lines == [0, 1]


def test_a_pointer_is_told_the_number_and_its_interval() -> None:
    (row,) = numbers(Estimate(0.5, Interval(0.4, 0.6)))
    assert (row["name"], row["number"], row["interval"]) == ("m0", "0.500", "0.400 to 0.600")
    chart = forest([Mark("all", "", Estimate(0.9, Interval(0.85, 0.95)))], replace(AXIS, percent=True, high=1.0))
    (row,) = chart["datasets"]["numbers"]
    assert (row["number"], row["interval"]) == ("90.0%", "85.0% to 95.0%")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("fusion", ["fusion"]),
        ("paper-text-mlp-standardised", ["paper-text-mlp-", "standardised"]),
        ("leak (sees comments)", ["leak (sees", "comments)"]),
        ("x" * 45, ["x" * 19, "x" * 19, "x" * 7]),
        ("a\nb <script>", ["a b <script>"]),
    ],
)
def test_long_names_are_broken(name: str, lines: list[str]) -> None:
    assert theme.broken(name).split("\n") == lines
