"""How every chart looks, whatever it shows: altair's, with colours by role and the numbers beside what draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from postmill.train.report.figures.drawing import PAGE_FONT

NUMBERS, ONCE = "numbers", "once"
"""The name of a chart's numbers, where it has but one table of them, and of a table of one row for what stands once."""

LABEL_WIDTH = 120
"""Pixels for names on the left of a chart."""

_LETTERS = 19  # of a line of such a name
_AXIS = {
    "labelColor": "var(--soft)",
    "titleColor": "var(--soft)",
    "gridColor": "var(--grid)",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "labelFontSize": 11,
    "titleFontSize": 11,
    "titleFontWeight": "normal",
    "titlePadding": 8,
    "labelLimit": LABEL_WIDTH,
}
_CONFIG = {
    "font": PAGE_FONT,
    "view": {"stroke": None},
    "axis": _AXIS,
    "axisY": {"labelColor": "var(--ink)", "labelLineHeight": 12},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "labelLimit": 260,
        "symbolStrokeWidth": 1.5,
        "columns": 2,
        "offset": 8,
        "rowPadding": 4,
    },
    "title": {"color": "var(--ink)", "fontSize": 11, "fontWeight": 600},
    "text": {"color": "var(--ink)", "fontSize": 11},
}
_FIT = {"type": "fit-x", "contains": "padding"}

Row = Mapping[str, Any]


def finished(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart | alt.ConcatChart,
    tables: Mapping[str, Sequence[Row]],
    *,
    fits: bool = True,
    square: bool = False,
) -> dict[str, Any]:
    """Return the chart's definition with its numbers in it.

    Args:
        chart: It names its numbers (:func:`named`); what altair finds wrong with it, it raises.
        tables: The rows of these, by name.
        fits: Whether it is as wide as what holds it.
        square: Whether its height follows its width.
    """
    made: dict[str, Any] = chart.to_dict()
    made.pop("config", None)  # of a theme that the user of altair may have chosen
    made["datasets"] = {name: list(map(dict, rows)) for name, rows in tables.items()}
    made["datasets"][ONCE] = [{"once": 1}]
    made["padding"] = 4
    made["config"] = _CONFIG
    if fits:
        made |= {"width": "container", "autosize": _FIT}
    if square:
        made["usermeta"] = {"square": True}
    return made


def named(name: str = NUMBERS) -> alt.NamedData:
    """Return what a chart draws: the table ``name`` of :func:`finished`."""
    return alt.NamedData(name=name)


def listed(choices: Mapping[str, str], asked: str) -> alt.Parameter:
    """Return a list from which one of ``choices`` is chosen, named by their values; ``asked`` stands before it.

    A chart calls what is chosen ``choice``. Of one there is nothing to choose, and no list.
    """
    if len(choices) == 1:
        return alt.param(name="choice", value=next(iter(choices)))
    bound = alt.binding_select(options=list(choices), labels=list(choices.values()), name=asked)
    return alt.param(name="choice", value=next(iter(choices)), bind=bound)


def broken(name: str) -> str:
    """Return a name for the left of a chart in lines of at most :data:`_LETTERS`, broken after blanks and hyphens."""
    lines, rest = [], " ".join(name.split())
    while len(rest) > _LETTERS:
        at = max(rest.rfind(" ", 0, _LETTERS), rest.rfind("-", 0, _LETTERS)) + 1 or _LETTERS
        lines.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return "\n".join([*lines, rest])


def names_axis(skip: int = 0) -> alt.Axis:
    """Return an axis for names that :func:`broken` broke, without the first ``skip`` letters."""
    name = f"slice(datum.value, {skip})" if skip else "datum.value"
    return alt.Axis(title=None, labelExpr=f"split({name}, '\\n')", domain=False, ticks=False)
