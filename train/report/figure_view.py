"""A figure as it stands on a page: drawn, with its definition, and as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure
from postmill.train.report.figures.spreadsheet import as_csv
from postmill.train.report.html import Table, TableColumn


@dataclass(frozen=True)
class FigureView:
    """A figure on a page.

    Attributes:
        figure: What it shows.
        svg: As drawn on the page without a script, in colours of the style sheet; empty where nothing can draw it.
        definition: What a script draws in its place.
        file: As a file of its own, SVG.
    """

    figure: Figure
    svg: str
    definition: Mapping[str, Any]
    file: str

    @property
    def csv(self) -> str:
        """Its numbers as CSV."""
        return as_csv(self.figure.columns, self.figure.rows)

    @property
    def numbers(self) -> Table:
        """Its numbers as a table, for a page without drawings."""
        columns = [TableColumn(name, numeric=_is_numeric(self.figure, n)) for n, name in enumerate(self.figure.columns)]
        rows = [[_cell(value) for value in row] for row in self.figure.rows]
        return Table(f"numbers-{self.figure.name}", f"The numbers of {self.figure.title}", "", columns, rows)


def _is_numeric(figure: Figure, column: int) -> bool:
    return all(not isinstance(row[column], str) for row in figure.rows)


def _cell(value: str | int | float | None) -> str | int:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.4g}" if isinstance(value, float) else value


def view(figure: Figure) -> FigureView:
    """Return ``figure`` as it stands on a page."""
    if figure.chart is None:
        return FigureView(figure, "", {}, "")
    return FigureView(figure, drawing.svg(figure), drawing.definition(figure), drawing.paper_svg(figure))
