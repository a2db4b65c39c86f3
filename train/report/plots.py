"""Figures as inline SVG: text alone, the same bytes for the same numbers, colours from the page's style sheet.

They carry classes instead of colours, so that one figure serves a light and a dark page. Drawn by hand, because what
plotting libraries write carries colours, fonts or scripts of its own, and seldom the same bytes twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from postmill.train.data.arrays import Floats

FEWEST_HEXAGONS, MOST_HEXAGONS = 8, 25
"""Across a plot of posts, by their number. They are never drawn one by one: a dot is a post, told by its likes."""

LEAST_WIDTH = 0.2
"""Of a hexagon, on the axes: no true value is told more closely."""

MIN_POSTS = 5
"""A hexagon with fewer posts is not drawn."""


@dataclass(frozen=True)
class ForestMark:
    """One value in :func:`forest`: a dot, and its interval where it has one."""

    value: float | None
    low: float | None
    high: float | None
    css: str


@dataclass(frozen=True)
class Density:
    """A drawing of where posts lie, as SVG, and how many of them are in no hexagon that is drawn."""

    svg: str
    left_out: int


def density(true: Floats, predicted: Floats, low: float, high: float, label: str) -> Density:
    """Return predicted against true with the identity line; both axes run from ``low`` to ``high``.

    Posts outside lie on the edge. Hexagons are the darker the more posts lie in them.
    """
    size, left, top, bottom = 250, 34, 6, 34
    width, height = left + size + 8, top + size + bottom
    x, y = _axis(low, high, left, left + size), _axis(low, high, top + size, top)
    parts = [_open(width, height, label), f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>']
    for tick in ticks(low, high, 5):
        parts.append(f'<path class="grid" d="M{x(tick)} {top}V{top + size}M{left} {y(tick)}H{left + size}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{top + size + 13}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text class="tick" x="{left - 5}" y="{y(tick) + 3.5}" text-anchor="end">{tick:g}</text>')
    shown_x, shown_y = np.clip(true, low, high), np.clip(predicted, low, high)
    hexagons, left_out = _hexagons(shown_x, shown_y, low, high, x, y, size)
    parts += ['<g class="points">', *hexagons, "</g>"]
    parts.append(f'<path class="identity" d="M{x(low)} {y(low)}L{x(high)} {y(high)}"/>')
    parts.append(f'<text class="axis" x="{left + size / 2:g}" y="{height - 4}" text-anchor="middle">true</text>')
    middle = top + size / 2
    turned = f'transform="rotate(-90 9 {middle:g})"'
    parts.append(f'<text class="axis" x="9" y="{middle:g}" text-anchor="middle" {turned}>predicted</text>')
    return Density("".join([*parts, "</svg>"]), left_out)


def forest(
    names: Sequence[str],
    marks: Sequence[Sequence[ForestMark]],
    low: float,
    high: float,
    label: str,
    baseline: float | None = None,
) -> str:
    """Return one row a name with its marks above one another, on an axis from ``low`` to ``high`` with a line at 0.

    A value outside the axis is drawn as an arrow head at its end. Another line stands at ``baseline``, if it is on the
    axis.
    """
    row, left, right, top = 34, 190, 16, 8
    size = 600
    width, height = left + size + right, top + row * len(names) + 30
    x = _axis(low, high, left, left + size)
    end = top + row * len(names)
    parts = [_open(width, height, label)]
    for tick in ticks(low, high, 7):
        parts.append(f'<path class="grid" d="M{x(tick)} {top}V{end}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{end + 16}" text-anchor="middle">{_signed(tick)}</text>')
    if low < 0 < high:
        parts.append(f'<path class="zero" d="M{x(0)} {top}V{end}"/>')
    if baseline is not None and low < baseline < high:
        parts.append(f'<path class="baseline" d="M{x(baseline)} {top}V{end}"/>')
    for number, (name, of_name) in enumerate(zip(names, marks, strict=True)):
        middle = top + row * (number + 0.5)
        parts.append(f'<text class="name" x="{left - 12}" y="{middle + 4:g}" text-anchor="end">{escape(name)}</text>')
        for line, mark in enumerate(of_name):
            if mark.value is not None:
                parts.append(_mark(mark, x, middle + 13 * (line - (len(of_name) - 1) / 2), low, high))
    return "".join([*parts, "</svg>"])


def histogram(edges: Sequence[float], counts: Sequence[int], axis: str, label: str) -> str:
    """Return bars of ``counts`` between ``edges``, one more of these than counts, with ``axis`` below them.

    Of a bar that is wider than the narrowest the height is what that many of these have on average.
    """
    size, tall, left, top = 520, 150, 40, 8
    width, height = left + size + 10, top + tall + 34
    widths = [b - a for a, b in itertools.pairwise(edges)]
    heights = [count * min(widths) / width for count, width in zip(counts, widths, strict=True)]
    highest = max(heights)
    x, y = _axis(edges[0], edges[-1], left, left + size), _axis(0, highest, top + tall, top)
    parts = [_open(width, height, label)]
    for tick in ticks(0, highest, 4):
        if tick == int(tick):
            parts.append(f'<path class="grid" d="M{left} {y(tick)}H{left + size}"/>')
            parts.append(f'<text class="tick" x="{left - 6}" y="{y(tick) + 3.5}" text-anchor="end">{tick:,.0f}</text>')
    for (a, b), posts in zip(itertools.pairwise(edges), heights, strict=True):
        if posts:
            wide, high = max(x(b) - x(a) - 1.5, 0.5), top + tall - y(posts)
            parts.append(
                f'<rect class="bar" x="{x(a) + 0.75:g}" y="{y(posts)}" width="{wide:.2f}" height="{high:.2f}"/>'
            )
    for tick in ticks(edges[0], edges[-1], 8):
        parts.append(f'<text class="tick" x="{x(tick)}" y="{top + tall + 14}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<path class="base" d="M{left} {top + tall}H{left + size}"/>')
    position = f'x="{left + size / 2:g}" y="{height - 4}"'
    parts.append(f'<text class="axis" {position} text-anchor="middle">{escape(axis)}</text>')
    return "".join([*parts, "</svg>"])


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return about ``about`` round numbers from ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    if rough <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _axis(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: round(start + (value - low) / span * (end - start), 1)


def _open(width: float, height: float, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img"'
        f' aria-label="{escape(label)}">'
    )


def _mark(mark: ForestMark, x: Callable[[float], float], y: float, low: float, high: float) -> str:
    assert mark.value is not None
    parts = [f'<g class="{mark.css}">']
    if mark.low is not None and mark.high is not None:
        a, b = max(mark.low, low), min(mark.high, high)
        if a < b:
            parts.append(f'<path class="interval" d="M{x(a)} {y:g}H{x(b)}"/>')
    if mark.value < low:
        parts.append(f'<path class="dot" d="M{x(low)} {y:g}l8 -4.5v9z"/>')
    elif mark.value > high:
        parts.append(f'<path class="dot" d="M{x(high)} {y:g}l-8 -4.5v9z"/>')
    else:
        parts.append(f'<circle class="dot" cx="{x(mark.value)}" cy="{y:g}" r="4.2"/>')
    return "".join([*parts, "</g>"])


def _hexagons(
    true: Floats,
    predicted: Floats,
    low: float,
    high: float,
    x: Callable[[float], float],
    y: Callable[[float], float],
    size: float,
) -> tuple[list[str], int]:
    """Return hexagons whose opacity grows with the square root of their posts, and how many posts lie in none."""
    across = min(MOST_HEXAGONS, max(FEWEST_HEXAGONS, math.isqrt(len(true))))
    step = max((high - low) / across, LEAST_WIDTH)
    rise = step * math.sqrt(3) / 2
    row = np.round((predicted - low) / rise).astype(int)
    column = np.round((true - low) / step - 0.5 * (row % 2)).astype(int)
    cells, counts = np.unique(np.column_stack([row, column]), axis=0, return_counts=True)
    left_out = int(counts[counts < MIN_POSTS].sum())
    cells, counts = cells[counts >= MIN_POSTS], counts[counts >= MIN_POSTS]
    radius = size * step / (high - low) / math.sqrt(3)
    corners = [(radius * math.sin(math.pi * n / 3), radius * math.cos(math.pi * n / 3)) for n in range(6)]
    steps = "".join(f"l{b[0] - a[0]:.2f} {b[1] - a[1]:.2f}" for a, b in itertools.pairwise(corners))
    parts = []
    for (cell_row, cell_column), count in zip(cells, counts, strict=True):
        a, b = low + (cell_column + 0.5 * (cell_row % 2)) * step, low + cell_row * rise
        opacity = 0.08 + 0.92 * math.sqrt(count / counts.max())
        start_x, start_y = x(a) + corners[0][0], y(b) + corners[0][1]
        parts.append(f'<path fill-opacity="{opacity:.2f}" d="M{start_x:.1f} {start_y:.1f}{steps}z"/>')
    return parts, left_out


def _signed(number: float) -> str:
    return f"{number:g}".replace("-", "\N{MINUS SIGN}")
