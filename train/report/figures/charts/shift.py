"""What brings a difference: a bar for each part, to the left where it lowers and to the right where it raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from postmill.train.report.figures.charts import theme

_LINE = 18


@dataclass(frozen=True)
class Part:
    """A part of a difference.

    Attributes:
        choice: What has to be chosen on the page to see it; empty where nothing is chosen.
        name: What it is called.
        size: How much it brings, with its sign.
        said: What a pointer is told, by heading.
    """

    choice: str
    name: str
    size: float
    said: Mapping[str, str]


def shift(
    parts: Sequence[Part], x_title: str, choices: Mapping[str, str] | None = None, asked: str = ""
) -> dict[str, Any]:
    """Return the definition of bars to both sides of nothing, from top to bottom as they come.

    Args:
        parts: Of each choice, in the order in which they stand.
        x_title: Quantity and unit.
        choices: What :attr:`Part.choice` may be, and its name in the list; without them there is no list.
        asked: What stands before the list.
    """
    rows = [
        {
            **({"choice": part.choice} if choices else {}),
            **{"place": place, "name": part.name, "size": part.size, "raises": part.size > 0},
            **part.said,
        }
        for place, part in enumerate(parts)
    ]
    lines = max(sum(part.choice == choice for part in parts) for choice in {part.choice for part in parts})
    chart = alt.Chart(theme.named())
    if choices:
        chart = chart.transform_filter("datum.choice === choice")
    told = list(dict.fromkeys(name for part in parts for name in part.said))
    in_order = alt.EncodingSortField(field="place", op="min", order="ascending")
    bars = chart.mark_bar(size=_LINE - 7).encode(
        x=alt.X("size:Q", title=x_title, axis=alt.Axis(tickCount=5, format="~g", grid=True)),
        y=alt.Y("name:N", sort=in_order, axis=theme.names_axis()),
        color=alt.condition("datum.raises", alt.value("var(--accent)"), alt.value("var(--other)")),
        tooltip=[alt.Tooltip("name:N", title="word"), *(alt.Tooltip(f"{name}:N", title=name) for name in told)],
    )
    once = alt.Chart(theme.named(theme.ONCE))
    nothing = once.mark_rule(color="var(--soft)", strokeWidth=1).encode(x=alt.X(datum=0, type="quantitative"))
    made = alt.layer(bars, nothing).properties(height=_LINE * lines)
    if choices:
        made = made.add_params(theme.listed(choices, asked))
    return theme.finished(made, {theme.NUMBERS: rows})
