"""The page's templates: jinja2 with everything escaped, whatever the data is called, and undefined names refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

PAGE = "page.html.j2"
Cell = str | int


@dataclass(frozen=True)
class TableColumn:
    """A column of a table: its heading, whether it holds numbers, and whether it is set back."""

    heading: str
    numeric: bool = True
    soft: bool = False

    @property
    def css(self) -> str:
        """Classes of its cells."""
        return " ".join(name for name, on in (("n", self.numeric), ("soft", self.soft)) if on)


INTERVAL_COLUMN = TableColumn("95 % interval", soft=True)


def text_columns(*headings: str) -> list[TableColumn]:
    """Return columns of texts."""
    return [TableColumn(heading, numeric=False) for heading in headings]


def number_columns(*headings: str) -> list[TableColumn]:
    """Return columns of numbers."""
    return [TableColumn(heading) for heading in headings]


@dataclass(frozen=True)
class Table:
    """A table with a heading for each column; the first cell of a row is the row's heading.

    Attributes:
        caption: What it shows.
        columns: One for each cell of a row.
        rows: Texts, and whole numbers, which are shown with thousands apart.
        title: Stands before the caption, in bold.
        css: Class of the table.
    """

    caption: str
    columns: Sequence[TableColumn]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    css: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of the table {self.caption!r} has not {len(self.columns)} cells")


def cell(value: Cell) -> str:
    """Return what stands in a cell; whole numbers with thousands apart."""
    return value if isinstance(value, str) else f"{value:,}"


@cache
def templates() -> Environment:
    """Return the templates of ``templates/``, which lie in the package wherever it is installed."""
    made = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["cell"] = cell
    return made


def render_page(page: object) -> str:
    """Return the page as HTML that loads nothing from anywhere; ``page`` is what the templates call so."""
    return templates().get_template(PAGE).render(page=page)
