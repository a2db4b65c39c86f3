"""Numbers that change with a share: a line for each name, told apart by shape and colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from postmill.train.report.figures.charts import theme
from postmill.train.report.formatting import number

_HEIGHT, _SIDE = 230, 260
_ROLES = ("accent", "other", "third", "fourth", "soft")
_SHAPES = ("circle", "diamond", "square", "triangle-up", "triangle-down")


@dataclass(frozen=True)
class Point:
    """A point of a line: which, where, and what a pointer is told."""

    line: str
    x: float
    y: float
    said: str


def curves(points: Sequence[Point], x_title: str, y_title: str) -> dict[str, Any]:
    """Return the definition of lines over a share from 0 to 1."""
    rows = [{"line": point.line, "x": point.x, "y": point.y, "said": point.said} for point in points]
    lines = list(dict.fromkeys(point.line for point in points))
    colours = alt.Scale(domain=lines, range=[f"var(--{role})" for role in _ROLES[: len(lines)]])
    shapes = alt.Scale(domain=lines, range=list(_SHAPES[: len(lines)]))
    legend = alt.Legend(title=None, columns=2)
    colour = alt.Color("line:N", scale=colours, legend=legend)
    x = alt.X(
        "x:Q", title=x_title, scale=alt.Scale(domain=[0, 1], nice=False), axis=alt.Axis(format=".0%", tickCount=5)
    )
    y = alt.Y("y:Q", title=y_title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5, format="~g"))
    base = alt.Chart(theme.named())
    drawn = base.mark_point(filled=True, size=60, opacity=1, clip=False).encode(
        x=x,
        y=y,
        color=colour,
        shape=alt.Shape("line:N", scale=shapes, legend=legend),
        tooltip=[alt.Tooltip("line:N", title="without"), alt.Tooltip("said:N", title=y_title)],
    )
    chart = alt.layer(base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour), drawn)
    return theme.finished(chart.properties(height=_HEIGHT), {theme.NUMBERS: rows})


def calibration(points: Sequence[tuple[float, float, int]], low: float, high: float, formula: str) -> dict[str, Any]:
    """Return the definition of mean predictions and mean targets of parts of the posts, with the line of equality."""
    rows = [
        {"x": x, "y": y, "posts": posts, "said": f"predicted {number(x)}, true {number(y)}, {posts:,} posts"}
        for x, y, posts in points
    ]
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    ticks = alt.Axis(tickCount=5, grid=True, format="~g")
    drawn = (
        alt.Chart(theme.named())
        .mark_point(filled=True, size=60, opacity=1, color="var(--accent)")
        .encode(
            x=alt.X("x:Q", scale=scale, axis=ticks, title=f"mean predicted {formula}"),
            y=alt.Y("y:Q", scale=scale, axis=ticks, title=f"mean true {formula}"),
            tooltip=[alt.Tooltip("said:N", title="a part of the posts")],
        )
    )
    ends = [{"x": low, "y": low}, {"x": high, "y": high}]
    line = (
        alt.Chart(theme.named("equal"))
        .mark_line(strokeDash=[5, 4], color="var(--ink)", strokeWidth=1.2)
        .encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale))
    )
    chart = alt.layer(line, drawn).properties(width=_SIDE, height=_SIDE)
    return theme.finished(chart, {theme.NUMBERS: rows, "equal": ends}, fits=False, square=True)
