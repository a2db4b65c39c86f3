"""Numbers with their intervals, a line each on one axis: several marks a line, told apart by shape and colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from postmill.train.evaluation.results import Estimate
from postmill.train.report.figures.charts import theme
from postmill.train.report.figures.said import DIGITS, ends, interval_words, rounded
from postmill.train.report.formatting import number

LOWEST = -1.0
"""Where an axis begins at the earliest, unless it is asked for more: what lies below is marked at its end."""

_ROLES = ("accent", "other", "third", "fourth")
_SHAPES = ("circle", "diamond", "square", "triangle-up")
_ROW, _MARK, _LEAST = 14, 11, 28  # pixels: of a line without marks, of each mark, and of a line at least
_SHORT = 16  # letters


@dataclass(frozen=True)
class Mark:
    """One number of a forest.

    Attributes:
        row: The name on the left.
        series: Which of the marks of the row.
        estimate: The number; it is left out where it is undefined.
        choice: What has to be chosen on the page to see it; empty where nothing is chosen.
        hollow: Whether only its outline is drawn.
        told: What a pointer is told beside it, by heading.
    """

    row: str
    series: str
    estimate: Estimate
    choice: str = ""
    hollow: bool = False
    told: Mapping[str, str | int] | None = None


@dataclass(frozen=True)
class Axis:
    """The axis of a forest.

    Attributes:
        title: Quantity and unit.
        lines: Where lines stand, by what they mean: the first solid, others broken.
        low, high: Its ends; None where the numbers say.
        digits: Of what a pointer is told.
        percent: Whether shares are shown in percent.
        span: What the line of a mark is.
    """

    title: str
    lines: Mapping[str, float]
    low: float | None = None
    high: float | None = None
    digits: int = DIGITS
    percent: bool = False
    span: str = "95 % interval"


def forest(
    marks: Sequence[Mark],
    axis: Axis,
    choices: Mapping[str, str] | None = None,
    asked: str = "",
    *,
    apart: bool = True,
) -> dict[str, Any]:
    """Return the definition of a forest.

    Args:
        marks: In the order of the lines; of a line, in the order of the series.
        axis: What they are drawn on.
        choices: What :attr:`Mark.choice` may be, and its name in the list; without them there is no list.
        asked: What stands before the list.
        apart: Whether the marks of a row stand below one another; else each row has but one.
    """
    marks = [mark for mark in marks if mark.estimate.value is not None]
    rows = list(dict.fromkeys(theme.broken(mark.row) for mark in marks))
    series = list(dict.fromkeys(mark.series for mark in marks))
    height = len(rows) * max(_LEAST, _ROW + _MARK * (len(series) if apart else 1))
    numbers = [_numbers(mark, axis) for mark in marks]
    chart = alt.Chart(theme.named())
    if choices:
        chart = chart.transform_filter("datum.choice === choice")
    y = alt.Y("row:N", scale=alt.Scale(domain=rows, paddingInner=0.25), axis=theme.names_axis())
    offset = alt.YOffset("series:N", scale=alt.Scale(domain=series))
    shown = {"y": y, "yOffset": offset} if apart and len(series) > 1 else {"y": y}
    columns = 1 if max(map(len, series)) > _SHORT else 2  # side by side on a phone
    legend = alt.Legend(title=None, columns=columns) if len(series) > 1 else None
    colours = [f"var(--{role})" for role in _ROLES]
    painted = alt.Scale(domain=series, range=colours[: len(series)])
    colour = alt.Color("series:N", scale=painted, legend=legend)
    shape = alt.Shape("series:N", scale=alt.Scale(domain=series, range=list(_SHAPES[: len(series)])), legend=legend)
    scale = alt.Scale(zero=False, nice=axis.low is None, **_domain(numbers, axis, bool(choices)))
    x = alt.X("at:Q", title=axis.title, scale=scale, axis=alt.Axis(tickCount=5, grid=True, **_percent(axis)))
    layers = [
        *_lines(axis, scale),
        chart.transform_filter("isValid(datum.from)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("from:Q", scale=scale), x2="to:Q", color=colour, **shown),
        chart.transform_filter("datum.off === ''")
        .mark_point(filled=False, size=62, opacity=1, strokeWidth=1.5)
        .encode(
            x=x,
            color=colour,
            shape=shape,
            fill=alt.Fill("series:N", scale=painted, legend=legend),
            fillOpacity=alt.condition("datum.hollow", alt.value(0), alt.value(1)),
            tooltip=[alt.Tooltip(f"{name}:N", title=title) for name, title in _told(marks, axis.span)],
            **shown,
        ),
        *_off_the_axis(chart, numbers, colour, shown, scale),
    ]
    made = alt.layer(*layers).properties(height=height)
    if choices:
        made = made.add_params(theme.listed(choices, asked))
    return theme.finished(made, {theme.NUMBERS: numbers})


def _told(marks: Sequence[Mark], span: str) -> Iterator[tuple[str, str]]:
    yield "name", "of"
    if len({mark.series for mark in marks}) > 1:
        yield "series", "mark"
    yield "number", "number"
    yield "interval", span
    headings = dict.fromkeys(heading for mark in marks for heading in mark.told or {})
    yield from ((heading, heading) for heading in headings)


def _numbers(mark: Mark, axis: Axis) -> dict[str, Any]:
    """Return one mark's row: where it is drawn, its numbers as they are, and in words."""
    estimate = mark.estimate
    value, (low, high) = rounded(estimate.value), ends(estimate)
    assert value is not None
    lowest = axis.low if axis.low is not None else LOWEST
    highest = axis.high if axis.high is not None else float("inf")
    off = "lower" if value < lowest else "higher" if value > highest else ""
    inside = low is not None and high is not None and low < highest and high > lowest
    words = f"{value:.1%}" if axis.percent else number(value, axis.digits)
    bounds = interval_words(estimate, axis.digits, percent=axis.percent)
    return {
        "row": theme.broken(mark.row),
        "name": mark.row,
        "series": mark.series,
        **({"choice": mark.choice} if mark.choice else {}),
        "value": value,
        "low": low,
        "high": high,
        "at": min(max(value, lowest), highest),
        "from": max(low, lowest) if inside and low is not None else None,
        "to": min(high, highest) if inside and high is not None else None,
        "off": off,
        "hollow": mark.hollow,
        "number": words,
        "interval": bounds,
        **(mark.told or {}),
    }


def _domain(numbers: Sequence[Mapping[str, Any]], axis: Axis, chosen: bool) -> dict[str, Any]:
    if chosen:
        return {}  # each choice has its own
    drawn = [row[name] for row in numbers for name in ("at", "from", "to") if row[name] is not None]
    drawn += list(axis.lines.values())
    low = axis.low if axis.low is not None else min(drawn)
    high = axis.high if axis.high is not None else max(drawn)
    margin = 0.03 * ((high - low) or 1.0)
    least = low - margin if axis.low is None or any(row["off"] == "lower" for row in numbers) else low
    return {"domain": [round(least, DIGITS), round(high + (margin if axis.high is None else 0.0), DIGITS)]}


def _percent(axis: Axis) -> dict[str, Any]:
    return {"format": ".0%"} if axis.percent else {"format": "~g"}


def _lines(axis: Axis, scale: alt.Scale) -> Iterator[alt.Chart]:
    for place, at in enumerate(axis.lines.values()):
        dash = [4, 3] if place else [1, 0]
        line = alt.Chart(theme.named(theme.ONCE)).mark_rule(strokeDash=dash, color="var(--soft)", strokeWidth=1)
        x = alt.X(datum=round(at, DIGITS), type="quantitative", scale=scale)
        yield line.encode(x=x)


def _off_the_axis(
    chart: alt.Chart,
    numbers: Sequence[Mapping[str, Any]],
    colour: alt.Color,
    shown: Mapping[str, Any],
    scale: alt.Scale,
) -> Iterator[alt.Chart]:
    """Yield arrow heads for numbers beyond an end of the axis, with the numbers."""
    for off, shape, inwards in (("lower", "triangle-left", 1), ("higher", "triangle-right", -1)):
        if not any(row["off"] == off for row in numbers):
            continue
        outside = chart.transform_filter(f"datum.off === '{off}'")
        x = alt.X("at:Q", scale=scale)
        yield outside.mark_point(filled=True, shape=shape, size=70, opacity=1).encode(
            x=x, color=colour, tooltip=["name:N", "series:N", "number:N", "interval:N"], **shown
        )
        text = outside.mark_text(
            align="left" if inwards > 0 else "right",
            dx=8 * inwards,
            fontSize=10,
            baseline="middle",
            color="var(--soft)",
        )
        yield text.encode(x=x, text="number:N", **shown)
