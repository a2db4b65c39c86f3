"""Predicted against true as hexagons, the darker the more posts: one plot with lists on the page, panels in a paper."""

from __future__ import annotations

import itertools
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from postmill.train.report.figures.charts import theme
from postmill.train.report.figures.density import MIN_POSTS, Density, Frame

Layered = alt.LayerChart | alt.FacetChart  # what altair says that layers make

SIDE, PANEL = 290, 200
"""Pixels of a plot: on the page, and of a paper's panel."""

_COLUMNS = 3  # of panels
_STEPS = (MIN_POSTS, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_MOST_STEPS = 6
_HEXAGON = "M0,-1L0.866,-0.5L0.866,0.5L0,1L-0.866,0.5L-0.866,-0.5Z"
_FADED, _FULL = 0.14, 1.0
_PANELS = "panels"


@dataclass(frozen=True)
class Panel:
    """A model on a split, as it is drawn.

    Attributes:
        model, split: In words.
        density: Where its posts lie.
        posts: How many are tested.
        headline: What stands in the plot: R² with its interval.
    """

    model: str
    split: str
    density: Density
    posts: int
    headline: str


def steps(panels: Sequence[Panel]) -> list[int]:
    """Return the least number of posts of each step of the colours, at most :data:`_MOST_STEPS` of them."""
    most = max((hexagon.posts for panel in panels for hexagon in panel.density.hexagons), default=MIN_POSTS)
    reached = [step for step in _STEPS if step <= most]
    every = -(-len(reached) // _MOST_STEPS)
    return reached[::every]


def words_of(least: Sequence[int]) -> list[str]:
    """Return each step in words, such as ``5-9``."""
    spans = [f"{a:,}\N{EN DASH}{b - 1:,}" for a, b in itertools.pairwise(least)]
    return [*spans, f"{least[-1]:,} and more"]


def on_a_page(panels: Sequence[Panel], axes: Frame, formula: str) -> dict[str, Any]:
    """Return the definition of one plot in which the reader chooses model and split."""
    models, splits = (list(dict.fromkeys(getattr(panel, name) for panel in panels)) for name in ("model", "split"))
    places = {(panel.model, panel.split): panel for panel in panels}
    columns: dict[str, list[float]] = {name: [] for name in ("m", "s", "x", "y", "n")}
    for (model, split), panel in places.items():
        for hexagon in panel.density.hexagons:
            row = models.index(model), splits.index(split), hexagon.true, hexagon.predicted, hexagon.posts
            for column, number in zip(columns.values(), row, strict=True):
                column.append(number)
    said = [
        {"m": m, "s": s, **_words(places[model, split])}
        if (model, split) in places
        else {"m": m, "s": s, "text": "not judged\non this split", "above": "", "below": ""}
        for m, model in enumerate(models)
        for s, split in enumerate(splits)
    ]
    widths = {splits.index(panel.split): panel.density.width / axes.size for panel in panels}
    radius = f"width * [{', '.join(f'{widths[s]:.5f}' for s in range(len(splits)))}][datum.s] / sqrt(3)"
    chosen = "datum.m == model && datum.s == split"
    # Columns are a third of the size of rows. As CSV they would be smaller still, but Vega makes code to read that.
    hexagons = alt.Chart(theme.named()).transform_flatten(list(columns))
    hexagons = hexagons.transform_filter(chosen).transform_calculate(size=f"pow(2 * {radius}, 2)")
    texts = alt.Chart(theme.named(_PANELS)).transform_filter(chosen)
    chart = _plot(hexagons, texts, axes, formula, steps(panels)).properties(width=SIDE, height=SIDE)
    lists = {"model": ("Model: ", models), "split": ("Split: ", splits)}
    first = panels[0]
    values = {"model": models.index(first.model), "split": splits.index(first.split)}
    for name, (asked, labels) in lists.items():
        bound = alt.binding_select(options=list(range(len(labels))), labels=labels, name=asked)
        chart = chart.add_params(alt.param(name=name, value=values[name], bind=bound))
    return theme.finished(chart, {theme.NUMBERS: [columns], _PANELS: said}, fits=False, square=True)


def in_a_paper(panels: Sequence[Panel], axes: Frame, formula: str) -> dict[str, Any]:
    """Return the definition of panels (a), (b), ... side by side."""
    least = steps(panels)
    tables: dict[str, Sequence[Mapping[str, Any]]] = {}
    charts = []
    for letter, panel in zip(string.ascii_lowercase, panels, strict=False):
        size = round((2 * PANEL * panel.density.width / axes.size / 3**0.5) ** 2, 2)
        tables[letter] = [{"x": h.true, "y": h.predicted, "n": h.posts, "size": size} for h in panel.density.hexagons]
        tables[f"{letter}-said"] = [_words(panel)]
        hexagons, texts = (alt.Chart(theme.named(name)) for name in (letter, f"{letter}-said"))
        chart = _plot(hexagons, texts, axes, formula, least).properties(width=PANEL, height=PANEL)
        charts.append(chart.properties(title=alt.TitleParams(f"({letter}) {panel.model}", anchor="start", offset=4)))
    return theme.finished(alt.concat(*charts, columns=_COLUMNS), tables, fits=False)


def _words(panel: Panel) -> dict[str, str]:
    of = panel.density
    few = f"\n{of.left_out:,} not drawn" if of.left_out else ""
    return {
        "text": f"n = {panel.posts:,}\n{panel.headline}{few}",
        "above": f"\N{BLACK UP-POINTING TRIANGLE} {of.above:,} above" if of.above else "",
        "below": f"\N{BLACK DOWN-POINTING TRIANGLE} {of.below:,} below" if of.below else "",
    }


def _plot(hexagons: alt.Chart, texts: alt.Chart, axes: Frame, formula: str, least: Sequence[int]) -> Layered:
    scale = alt.Scale(domain=[axes.low, axes.high], nice=False, zero=False)
    labels = words_of(least)
    # One step after another asks whether a hexagon has fewer posts than the next begins with.
    step = "".join(f"datum.n < {after} ? '{label}' : " for after, label in zip(least[1:], labels, strict=False))
    opacities = [
        round(_FADED + (_FULL - _FADED) * (place + 1) / len(labels), 2) if len(labels) > 1 else _FULL
        for place in range(len(labels))
    ]
    ticks = alt.Axis(tickCount=5, grid=True, format="~g")
    x = alt.X("x:Q", scale=scale, axis=ticks, title=f"true {formula}")
    y = alt.Y("y:Q", scale=scale, axis=ticks, title=f"predicted {formula}")
    drawn = (
        hexagons.transform_calculate(step=f"{step}'{labels[-1]}'")
        .mark_point(shape=_HEXAGON, filled=True, color="var(--accent)", strokeWidth=0, clip=True)
        .encode(
            x=x,
            y=y,
            size=alt.Size("size:Q", scale=None, legend=None),
            opacity=alt.Opacity(
                "step:O",
                scale=alt.Scale(type="ordinal", domain=labels, range=opacities),
                legend=alt.Legend(title="posts in a hexagon", columns=3, symbolSize=140, symbolType=_HEXAGON),
            ),
            tooltip=[
                alt.Tooltip("x:Q", title="true, about", format=".2f"),
                alt.Tooltip("y:Q", title="predicted, about", format=".2f"),
                alt.Tooltip("n:Q", title="posts", format=","),
            ],
        )
    )
    once = alt.Chart(theme.named(theme.ONCE))
    ends = {"x": axes.low, "x2": axes.high, "y": axes.low, "y2": axes.high}
    identity = once.mark_rule(strokeDash=[5, 4], color="var(--ink)", strokeWidth=1.2).encode(
        **{name: _at(name, value, scale) for name, value in ends.items()}
    )
    said = texts.mark_text(align="left", baseline="top", dx=5, dy=5, lineBreak="\n", lineHeight=14)
    return alt.layer(
        drawn,
        identity,
        said.encode(text="text:N", x=alt.value(0), y=alt.value(0)),
        texts.mark_text(align="left", baseline="top", dx=5, dy=48).encode(
            text="above:N", x=alt.value(0), y=alt.value(0)
        ),
        texts.mark_text(align="right", baseline="bottom", dx=-5, dy=-5).encode(
            text="below:N", x=alt.value("width"), y=alt.value("height")
        ),
    )


def _at(name: str, value: float, scale: alt.Scale) -> Any:
    if name == "x":
        return alt.X(datum=value, type="quantitative", scale=scale)
    if name == "y":
        return alt.Y(datum=value, type="quantitative", scale=scale)
    return alt.X2(datum=value) if name == "x2" else alt.Y2(datum=value)
