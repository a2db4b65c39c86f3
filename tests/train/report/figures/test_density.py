"""Hexagons: no post by itself, and what is not drawn is counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from postmill.train.report.figures import density
from postmill.train.report.figures.density import Frame


@pytest.mark.parametrize(("posts", "low", "high"), [(97, 3, 17), (400, 6, 7), (1_874, 3, 14), (20_000, 0, 16)])
def test_no_post_can_be_singled_out(posts: int, low: float, high: float) -> None:
    random = np.random.default_rng(posts)
    true = np.clip(random.normal((low + high) / 2, (high - low) / 7, posts), low, high)
    predicted = np.clip(true * 0.8 + random.normal(0.2 * (low + high) / 2, 0.4, posts), low, high)
    axes = Frame(low, high)
    width = density.width_of(axes, posts)
    drawn = density.density(true, predicted, axes, width)
    centres = [np.array([getattr(hexagon, name) for hexagon in drawn.hexagons]) for name in ("true", "predicted")]
    # Each centre is that of a hexagon, and each post lies in one.
    drawn_cells, of_posts = cells_of(*centres, low, width), cells_of(true, predicted, low, width)
    counts = [of_posts.count(cell) for cell in drawn_cells]
    assert counts == [hexagon.posts for hexagon in drawn.hexagons]
    assert len(set(drawn_cells)) == len(drawn_cells) > 3 and min(counts) >= 5
    assert drawn.left_out == posts - sum(counts) and (drawn.below, drawn.above) == (0, 0)
    # A mark tells a true value to half a hexagon at best, and that of no fewer than five posts.
    gaps = np.diff(np.unique(centres[0][np.abs(centres[1] - centres[1][0]) < 0.01]))
    assert width >= 0.2 and (gaps > 0.15).all()


def cells_of(true: np.ndarray, predicted: np.ndarray, low: float, width: float) -> list[tuple[int, int]]:
    """The row and column of each point in a grid of hexagons, of which every second row is moved by half of one."""
    rows = np.round((predicted - low) / (width * math.sqrt(3) / 2)).astype(int)
    columns = np.round((true - low) / width - 0.5 * (rows % 2)).astype(int)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_what_is_not_drawn_is_counted() -> None:
    true = np.array([1.0] * 5 + [3.0] * 4 + [5.0])
    drawn = density.density(true, true, Frame(0, 6), 0.5)
    assert drawn.left_out == 5 and len(drawn.hexagons) == 1
    predicted = np.array([1.0] * 5 + [-3.0] * 4 + [50.0])
    outside = density.density(true, predicted, Frame(0, 6), 0.5)
    assert (outside.below, outside.above, outside.left_out) == (4, 1, 0)
