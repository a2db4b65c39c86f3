"""Drawings: no post by itself, and ticks that people can read."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest

from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate, ResultRow
from postmill.train.report import plots, section_results


class Drawn:
    """What an onlooker reads off a drawing: the centre of each hexagon on the axes, from its path."""

    def __init__(self, density: plots.Density, low: float, high: float) -> None:
        self.svg = density.svg
        frame = re.search(r'class="frame" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', density.svg)
        assert frame is not None
        left, top, size = map(float, frame.groups())
        inside = density.svg.split('<g class="points">')[1].split("</g>")[0]
        assert re.sub(r"<path [^>]*/>", "", inside) == ""
        paths = re.findall(r'd="M([\d.-]+) ([\d.-]+)((?:l[\d.-]+ [\d.-]+)+)z"', inside)
        starts = np.array([(float(x), float(y)) for x, y, _ in paths]).reshape(-1, 2)
        steps = [np.array([[float(n) for n in step.split()] for step in p[1:].split("l")]) for _, _, p in paths]
        corners = [np.vstack([[0, 0], np.cumsum(step, axis=0)]) for step in steps]
        centres = np.array([start + corner.mean(axis=0) for start, corner in zip(starts, corners, strict=True)])
        self.centres = centres.reshape(-1, 2)
        self.true = low + (self.centres[:, 0] - left) / size * (high - low)
        self.predicted = low + (top + size - self.centres[:, 1]) / size * (high - low)


@pytest.mark.parametrize(("posts", "low", "high"), [(97, 3, 17), (400, 6, 7), (1_874, 3, 14), (20_000, 0, 16)])
def test_no_post_can_be_singled_out_in_a_drawing(posts: int, low: float, high: float) -> None:
    random = np.random.default_rng(posts)
    true = np.clip(random.normal((low + high) / 2, (high - low) / 7, posts), low, high)
    predicted = np.clip(true * 0.8 + random.normal(0.2 * (low + high) / 2, 0.4, posts), low, high)
    density = plots.density(true, predicted, low, high, "many")
    drawn = Drawn(density, low, high)
    assert "<circle" not in density.svg and len(density.svg) < 200_000
    # Each centre is that of a hexagon, and each post lies in one.
    width = max((high - low) / min(25, max(8, math.isqrt(posts))), 0.2)
    drawn_cells = cells_of(drawn.true, drawn.predicted, low, width)
    of_posts = cells_of(true, predicted, low, width)
    counts = [of_posts.count(cell) for cell in drawn_cells]
    assert len(set(drawn_cells)) == len(drawn_cells) > 3 and min(counts) >= 5
    assert density.left_out == posts - sum(counts)
    # A mark tells a true value to half a hexagon at best, and that of no fewer than five posts.
    gaps = np.diff(np.unique(np.round(drawn.true[np.abs(drawn.predicted - drawn.predicted[0]) < 0.01], 2)))
    assert width >= 0.2 and (gaps > 0.15).all()


def cells_of(true: np.ndarray, predicted: np.ndarray, low: float, width: float) -> list[tuple[int, int]]:
    """The row and column of each point in a grid of hexagons, of which every second row is moved by half of one."""
    rows = np.round((predicted - low) / (width * math.sqrt(3) / 2)).astype(int)
    columns = np.round((true - low) / width - 0.5 * (rows % 2)).astype(int)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_what_is_not_drawn_is_counted() -> None:
    true = np.array([1.0] * 5 + [3.0] * 4 + [5.0])
    density = plots.density(true, true, 0, 6, "few")
    assert density.left_out == 5 and len(Drawn(density, 0, 6).true) == 1
    assert plots.density(np.array([2.0]), np.array([2.0]), 0, 6, "one").left_out == 1


def test_a_wide_bar_is_as_high_as_the_narrow_ones_are_on_average() -> None:
    drawn = plots.histogram([0.0, 1.0, 2.0, 5.0], [100, 200, 300], "log", "bars")
    bars = [(float(w), float(h)) for w, h in re.findall(r'class="bar"[^>]* width="([\d.]+)" height="([\d.]+)"', drawn)]
    assert bars[0][1] == pytest.approx(bars[2][1]) and bars[1][1] == pytest.approx(2 * bars[0][1])
    assert bars[2][0] + 1.5 == pytest.approx(3 * (bars[0][0] + 1.5), abs=0.3)


def test_the_headline_is_drawn_with_the_past_known_as_first_posts_and_beside_followers() -> None:
    def row(model: str, split: str, value: float, first: float) -> ResultRow:
        as_first = {"r2": Estimate(first, Interval(first - 0.1, first + 0.1))}
        return ResultRow(model, split, {"r2": Estimate(value)}, 1, 100, 20, as_first, rung=model)

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
