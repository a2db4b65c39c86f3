"""Where posts are drawn: in hexagons that single none out, with what is left out or outside counted, in few bytes."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from postmill.train.report.figures import density
from postmill.train.report.figures.charts import hexagons
from postmill.train.report.figures.density import Frame


def cells_of(true: np.ndarray, predicted: np.ndarray, low: float, width: float) -> list[tuple[int, int]]:
    """The row and column of each point in a grid of hexagons, of which every second row is moved by half of one."""
    rows = np.round((predicted - low) / (width * math.sqrt(3) / 2)).astype(int)
    columns = np.round((true - low) / width - 0.5 * (rows % 2)).astype(int)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


@pytest.mark.parametrize(("posts", "low", "high"), [(97, 3, 17), (400, 6, 7), (1_874, 3, 14), (20_000, 0, 16)])
def test_no_post_can_be_singled_out(posts: int, low: float, high: float) -> None:
    random = np.random.default_rng(posts)
    true = np.clip(random.normal((low + high) / 2, (high - low) / 7, posts), low, high)
    predicted = np.clip(true * 0.8 + random.normal(0.2 * (low + high) / 2, 0.4, posts), low, high)
    axes = density.frame(true, predicted)
    width = density.width_of(axes, posts)
    found = density.density(true, predicted, axes, width)
    # Each centre is that of a hexagon, and each post lies in one.
    assert width == max(axes.size / min(25, max(8, math.isqrt(posts))), 0.2)
    counts = Counter(cells_of(true, predicted, axes.low, width))
    centres = np.array([(one.true, one.predicted) for one in found.hexagons])
    drawn = cells_of(centres[:, 0], centres[:, 1], axes.low, width)
    assert [counts[cell] for cell in drawn] == [one.posts for one in found.hexagons]
    assert len(set(drawn)) == len(drawn) > 3 and min(one.posts for one in found.hexagons) >= 5
    assert found.left_out == posts - sum(one.posts for one in found.hexagons)
    assert (found.below, found.above) == (0, 0)
    # A mark tells a true value to half a hexagon at best, and that of no fewer than five posts.
    gaps = np.diff(np.unique(centres[np.abs(centres[:, 1] - centres[0, 1]) < 0.01, 0]))
    assert width >= 0.2 and (gaps > 0.15).all()


def test_what_is_not_drawn_or_outside_is_counted() -> None:
    true = np.array([1.0] * 5 + [3.0] * 4 + [5.0])
    found = density.density(true, true, Frame(0, 6), 0.75)
    assert found.left_out == 5 and len(found.hexagons) == 1
    predicted = np.array([-1.0, -2.0, 7.0, *true[3:]])
    outside = density.density(true, predicted, Frame(0, 6), 0.75)
    assert (outside.below, outside.above, outside.left_out, outside.hexagons) == (2, 1, 7, ())
    panel = hexagons.Panel("m", "s", outside, len(true), "R² 0.10")
    chart = json.dumps(hexagons.on_a_page([panel], Frame(0, 6), "y"), ensure_ascii=False)
    assert "▼ 2 below" in chart and "▲ 1 above" in chart and "7 not drawn" in chart


def test_a_frame_follows_predictions_as_far_as_it_is_asked_to() -> None:
    true, predicted = np.array([2.5, 8.2]), np.array([-40.0, 9.9])
    assert density.frame(true, predicted) == Frame(2, 9)
    assert density.frame(true, predicted, beyond=1.0) == Frame(-4, 10)
    assert density.frame(np.array([4.0]), np.array([4.0])) == Frame(4, 5)


def test_posts_of_many_models_and_splits_stay_small() -> None:
    random = np.random.default_rng(0)
    true = random.normal(8, 2, 200_000)
    axes = density.frame(true, true)
    width = density.width_of(axes, len(true))
    panels = []
    for number in range(10):
        predicted = true * number / 10 + random.normal(8 * (1 - number / 10), 1.2, len(true))
        found = density.density(true, predicted, axes, width)
        panels += [hexagons.Panel(f"model-{number}", f"split {split}", found, len(true), "R²") for split in range(4)]
    assert sum(len(panel.density.hexagons) for panel in panels) > 4_000
    assert len(json.dumps(hexagons.on_a_page(panels, axes, "log(1 + likes)"))) < 300_000


@pytest.mark.parametrize("most", [5, 9, 10, 730, 123_456])
def test_the_steps_of_the_colours_are_few_and_hold_every_number(most: int) -> None:
    found = density.Density((density.Hexagon(1, 1, 5), density.Hexagon(2, 2, most)), 0.2, 0, 0, 0)
    steps = hexagons.steps([hexagons.Panel("m", "s", found, most, "R²")])
    assert steps[0] == 5 and 1 <= len(steps) <= 6 and steps == sorted(set(steps)) and steps[-1] <= most
    assert len(hexagons.words_of(steps)) == len(steps)
