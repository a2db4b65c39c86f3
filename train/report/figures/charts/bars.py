"""Counts as bars: between numbers or days, and by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from postmill.train.report.figures.charts import theme

_HEIGHT, _LINE = 190, 22
_ROOM = 56  # pixels for numbers on the right
_BAR = "var(--accent)"


@dataclass(frozen=True)
class Bar:
    """A bar: from where to where, numbers or days as ISO 8601 has them; its height; and what it stands for."""

    start: float | str
    end: float | str
    height: float
    said: str


def histogram(bars: Sequence[Bar], x_title: str, y_title: str) -> dict[str, Any]:
    """Return the definition of bars that lie side by side on an axis."""
    rows = [{"start": bar.start, "end": bar.end, "height": bar.height, "said": bar.said} for bar in bars]
    days = any(isinstance(bar.start, str) for bar in bars)
    axis = alt.Axis(tickCount=6, labelOverlap="greedy", labelSeparation=8, format="%b %Y" if days else "~g", grid=False)
    x = alt.X(
        "start:T" if days else "start:Q",
        title=x_title,
        axis=axis,
        scale=alt.Scale(type="utc", nice=False) if days else alt.Scale(zero=False, nice=False),
    )
    y = alt.Y("height:Q", title=y_title, axis=alt.Axis(tickCount=4, format="~s"))
    chart = alt.Chart(theme.named()).mark_bar(color=_BAR, binSpacing=0, stroke="var(--card)", strokeWidth=1)
    chart = chart.encode(
        x=x,
        x2="end:T" if days else "end:Q",
        y=y,
        y2=alt.datum(0),
        tooltip=[alt.Tooltip("said:N", title="posts")],
    )
    return theme.finished(chart.properties(height=_HEIGHT), {theme.NUMBERS: rows})


def named(names: Sequence[str], counts: Sequence[int], unit: str, said: Sequence[str]) -> dict[str, Any]:
    """Return the definition of a bar for each name, the longest as they come."""
    lines = [
        f"{place:03d}{theme.broken(name)}" for place, name in enumerate(names)
    ]  # names may be alike, lines are not
    rows = [
        {"line": line, "name": name, "count": count, "number": f"{count:,}", "said": words}
        for line, name, count, words in zip(lines, names, counts, said, strict=True)
    ]
    base = alt.Chart(theme.named())
    y = alt.Y("line:N", scale=alt.Scale(domain=lines), axis=theme.names_axis(skip=3))
    scale = alt.Scale(domain=[0, max([*counts, 1])], nice=False, range=[0, alt.expr(f"width - {_ROOM}")])
    bars = base.mark_bar(size=_LINE - 8, color=_BAR).encode(
        x=alt.X("count:Q", axis=None, scale=scale),
        y=y,
        tooltip=[
            alt.Tooltip("name:N", title="name"),
            alt.Tooltip("count:Q", title=unit, format=","),
            alt.Tooltip("said:N", title="of"),
        ],
    )
    numbers = base.mark_text(align="right", color="var(--ink)").encode(
        x=alt.value(alt.expr("width")), y=y, text="number:N"
    )
    return theme.finished(alt.layer(bars, numbers).properties(height=_LINE * len(rows)), {theme.NUMBERS: rows})
