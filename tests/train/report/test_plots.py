"""Drawings: as many points as can be told apart, and ticks that people can read."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate, ResultRow
from postmill.train.report import plots, section_results


def test_many_points_are_drawn_as_hexagons() -> None:
    random = np.random.default_rng(0)
    few, many = random.normal(size=plots.MAX_POINTS), random.normal(size=200_000)
    assert plots.scatter(few, few, -4, 4, "few").count("<circle") == plots.MAX_POINTS
    drawn = plots.scatter(many, many * 0.5, -4, 4, "many")
    assert "<circle" not in drawn and len(drawn) < 200_000


def test_the_headline_is_drawn_with_the_past_known_as_first_posts_and_beside_followers() -> None:
    def row(model: str, split: str, value: float, first: float) -> ResultRow:
        as_first = {"r2": Estimate(first, Interval(first - 0.1, first + 0.1))}
        return ResultRow(model, split, {"r2": Estimate(value)}, 1, 100, 20, as_first)

    rows = [row("followers", "influencer", 0.3, 0.3), row("fusion", "influencer", 0.7, 0.1)]
    rows.append(row("x", "random", 0.9, 0.9))
    drawn = section_results.headline_chart(rows)
    left, size, low = 190, 600, -0.13

    def x(value: float) -> float:
        return round(left + (value - low) / (1 - low) * size, 1)

    marks = re.findall(r'<g class="(\w+)">.*?<circle class="dot" cx="([\d.]+)"', drawn)
    values = [("disjoint", 0.3), ("first", 0.3), ("disjoint", 0.7), ("first", 0.1)]
    assert [(css, float(at)) for css, at in marks] == [(css, x(value)) for css, value in values]
    (at,) = re.findall(r'<path class="baseline" d="M([\d.]+) ', drawn)
    assert float(at) == x(0.3) and ">x<" not in drawn
    assert section_results.headline_chart(rows[2:]) == ""
    assert "baseline" not in section_results.headline_chart(rows[1:])


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.93, 1.0), (3.0, 17.0), (0.0, 12_345.0), (0.0, 0.003)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = plots.ticks(low, high, 6)
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high + 1e-9 for tick in ticks)
    assert len({round(b - a, 9) for a, b in itertools.pairwise(ticks)}) == 1
