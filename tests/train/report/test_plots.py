"""Drawings: as many points as can be told apart, and ticks that people can read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from postmill.train.report import plots


def test_many_points_are_drawn_as_hexagons() -> None:
    random = np.random.default_rng(0)
    few, many = random.normal(size=plots.MAX_POINTS), random.normal(size=200_000)
    assert plots.scatter(few, few, -4, 4, "few").count("<circle") == plots.MAX_POINTS
    drawn = plots.scatter(many, many * 0.5, -4, 4, "many")
    assert "<circle" not in drawn and len(drawn) < 200_000


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.93, 1.0), (3.0, 17.0), (0.0, 12_345.0), (0.0, 0.003)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = plots.ticks(low, high, 6)
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high + 1e-9 for tick in ticks)
    assert len({round(b - a, 9) for a, b in itertools.pairwise(ticks)}) == 1
