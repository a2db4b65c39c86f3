"""Where posts lie on a plane, told by hexagons that hold several posts each: no post is drawn by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from postmill.train.data.arrays import Floats

FEWEST_HEXAGONS, MOST_HEXAGONS = 8, 25
"""Across a plot of posts, by their number. They are never drawn one by one: a dot is a post, told by its likes."""

LEAST_WIDTH = 0.2
"""Of a hexagon, on the axes: no true value is told more closely."""

MIN_POSTS = 5
"""A hexagon with fewer posts is not drawn."""


@dataclass(frozen=True)
class Frame:
    """Both axes of a plot, from ``low`` to ``high``."""

    low: float
    high: float

    @property
    def size(self) -> float:
        """Its width and height."""
        return self.high - self.low


@dataclass(frozen=True)
class Hexagon:
    """A hexagon: its centre on the axes, and how many posts lie in it."""

    true: float
    predicted: float
    posts: int


@dataclass(frozen=True)
class Density:
    """Where posts lie.

    Attributes:
        hexagons: Those of :data:`MIN_POSTS` posts or more, row by row.
        width: Of each, on the axes.
        left_out: How many posts in the frame are in none.
        below, above: How many predictions lie outside the frame: they are in no hexagon either.
    """

    hexagons: tuple[Hexagon, ...]
    width: float
    left_out: int
    below: int
    above: int


def frame(true: Floats, predicted: Floats, beyond: float = 0.0) -> Frame:
    """Return axes between whole numbers that hold what is true, and predictions up to ``beyond`` its range outside."""
    least, most = float(true.min()), float(true.max())
    margin = beyond * (most - least)
    low = min(least, max(least - margin, float(predicted.min())))
    high = max(most, min(most + margin, float(predicted.max())))
    return Frame(math.floor(low), max(math.ceil(high), math.floor(low) + 1))


def width_of(axes: Frame, posts: int) -> float:
    """Return how wide hexagons are where so many posts are drawn."""
    across = min(MOST_HEXAGONS, max(FEWEST_HEXAGONS, math.isqrt(posts)))
    return max(axes.size / across, LEAST_WIDTH)


def density(true: Floats, predicted: Floats, axes: Frame, width: float) -> Density:
    """Return where N posts lie by what is true and what is predicted, shape (N,) each."""
    below, above = predicted < axes.low, predicted > axes.high
    inside = ~(below | above)
    rise = width * math.sqrt(3) / 2
    row = np.round((predicted[inside] - axes.low) / rise).astype(int)
    column = np.round((true[inside] - axes.low) / width - 0.5 * (row % 2)).astype(int)
    cells, counts = np.unique(np.column_stack([row, column]), axis=0, return_counts=True)
    drawn = counts >= MIN_POSTS
    hexagons = tuple(
        Hexagon(
            true=round(axes.low + (float(a) + 0.5 * (int(b) % 2)) * width, 2),
            predicted=round(axes.low + float(b) * rise, 2),
            posts=int(count),
        )
        for (b, a), count in zip(cells[drawn].tolist(), counts[drawn].tolist(), strict=True)
    )
    return Density(hexagons, width, int(counts[~drawn].sum()), int(below.sum()), int(above.sum()))
