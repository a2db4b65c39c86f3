"""What became of things from stage to stage: a bar for what is kept, and below it one for each reason of a loss.

Losses are a few in thousands: what they are told by is a tick, which is as wide for one as for many, and their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt

from postmill.train.report.figures.charts import theme

_HEIGHT, _KEPT, _LOST = 25, 16, 8  # pixels: of a line, and of the bars in it
_ROOM = 92  # pixels for numbers on the right


@dataclass(frozen=True)
class Stage:
    """A stage: its name, how many came through, and how many did not, by reason."""

    name: str
    kept: int
    lost: Mapping[str, int] = field(default_factory=dict)

    @property
    def before(self) -> int:
        """How many there were before it."""
        return self.kept + sum(self.lost.values())


def flow(stages: Sequence[Stage], unit: str) -> dict[str, Any]:
    """Return the definition of the flow of ``unit`` through stages; each begins with what the last one kept."""
    rows = [row for stage in stages for row in _rows(stage)]
    for place, row in enumerate(rows):
        row["line"] = f"{place:03d}{theme.broken(row['name'])}"  # names may be alike, lines are not
    most = max(stage.before for stage in stages) or 1
    scale = alt.Scale(domain=[0, most], nice=False, range=[0, alt.expr(f"width - {_ROOM}")])
    y = alt.Y("line:N", scale=alt.Scale(domain=[row["line"] for row in rows]), axis=theme.names_axis(skip=3))
    colours = alt.Scale(domain=["kept", "lost"], range=["var(--accent)", "var(--other)"])
    colour = alt.Color("kind:N", scale=colours, legend=alt.Legend(title=None, symbolOpacity=1, symbolType="square"))
    told = [
        alt.Tooltip("name:N", title="what"),
        alt.Tooltip("count:Q", title=unit, format=","),
        alt.Tooltip("share:N", title="share"),
    ]
    base = alt.Chart(theme.named())
    x = alt.X("from:Q", scale=scale, axis=None)
    drawn = {"x": x, "x2": "to:Q", "y": y, "color": colour, "tooltip": told}
    ends = base.transform_filter("datum.kind === 'lost'").mark_tick(thickness=3, size=14)
    numbers = base.mark_text(align="right", color="var(--ink)")
    layers = [
        base.transform_filter("datum.kind === 'kept'").mark_bar(size=_KEPT).encode(**drawn),
        base.transform_filter("datum.kind === 'lost'").mark_bar(size=_LOST).encode(**drawn),
        ends.encode(x=alt.X("to:Q", scale=scale, axis=None), y=y, color=colour, tooltip=told),
        numbers.encode(x=alt.value(alt.expr("width")), y=y, text="number:N"),
    ]
    return theme.finished(alt.layer(*layers).properties(height=_HEIGHT * len(rows)), {theme.NUMBERS: rows})


def _rows(stage: Stage) -> Iterator[dict[str, Any]]:
    yield _row(stage.name, "kept", stage.kept, stage.before, 0, stage.kept)
    left = stage.before
    for reason, lost in stage.lost.items():
        yield _row(reason, "lost", lost, stage.before, left - lost, left)
        left -= lost


def _row(name: str, kind: str, count: int, before: int, start: int, end: int) -> dict[str, Any]:
    share = f"{count / before:.1%} of {before:,}" if before else ""
    return {
        "name": name,
        "kind": kind,
        "count": count,
        "share": share,
        "number": f"{count:,}" if kind == "kept" else f"\N{MINUS SIGN}{count:,}",
        "from": start,
        "to": end,
    }
