"""Numbers by month, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from postmill.train.report.figures.charts import theme

_HEIGHT = 190


@dataclass(frozen=True)
class Moment:
    """A number of a stretch of time.

    Attributes:
        choice: What has to be chosen on the page to see it; empty where nothing is chosen.
        start: Its first day, as ISO 8601 has it.
        value: The number.
        low, high: Its interval; None for both where it has none.
        said: What a pointer is told, by heading.
    """

    choice: str
    start: str
    value: float
    low: float | None
    high: float | None
    said: Mapping[str, str]


def timeline(
    moments: Sequence[Moment], y_title: str, colour: str, choices: Mapping[str, str] | None = None, asked: str = ""
) -> dict[str, Any]:
    """Return the definition of a line through numbers in order of time.

    Args:
        moments: In the order of time, of each choice.
        y_title: Quantity and unit.
        colour: One of :data:`.figure.ROLES`.
        choices: What :attr:`Moment.choice` may be, and its name in the list; without them there is no list.
        asked: What stands before the list.
    """
    rows = [
        {
            **({"choice": of.choice} if choices else {}),
            **{"start": of.start, "value": of.value, "low": of.low, "high": of.high},
            **of.said,
        }
        for of in moments
    ]
    chart = alt.Chart(theme.named())
    if choices:
        chart = chart.transform_filter("datum.choice === choice")
    axis = alt.Axis(tickCount=6, labelOverlap="greedy", labelSeparation=8, format="%b %Y", grid=False)
    x = alt.X("start:T", title="time of publication (UTC)", axis=axis, scale=alt.Scale(type="utc", nice=False))
    scale = alt.Scale(zero=False)
    y = alt.Y("value:Q", title=y_title, scale=scale, axis=alt.Axis(tickCount=4, format="~g"))
    painted = f"var(--{colour})"
    told = list(dict.fromkeys(name for of in moments for name in of.said))
    layers = [
        chart.mark_line(strokeWidth=1.5, color=painted, opacity=0.5).encode(x=x, y=y),
        chart.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2, color=painted)
        .encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        chart.mark_point(filled=True, size=40, opacity=1, color=painted).encode(
            x=x, y=y, tooltip=[alt.Tooltip(f"{name}:N", title=name) for name in told]
        ),
    ]
    made = alt.layer(*layers).properties(height=_HEIGHT)
    if choices:
        made = made.add_params(theme.listed(choices, asked))
    return theme.finished(made, {theme.NUMBERS: rows})
