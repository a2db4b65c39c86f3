"""The page's templates: jinja2 with everything escaped, whatever the data is called, and undefined names refused."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from postmill.train.report.figures.spreadsheet import as_csv


@dataclass(frozen=True)
class Measured:
    """A cell that holds a value with what stands below it: its interval, or its deviation."""

    value: str
    beside: str


Cell = str | int | Measured
_NEGATIVE = re.compile("\N{MINUS SIGN}[\\d.,]+%?")


@dataclass(frozen=True)
class TableColumn:
    """A column of a table: its heading, whether it holds numbers, and whether it is set back.

    ``beside`` says what stands below the values; empty where nothing does.
    """

    heading: str
    numeric: bool = True
    soft: bool = False
    beside: str = ""

    @property
    def css(self) -> str:
        """Classes of its cells."""
        return " ".join(name for name, on in (("n", self.numeric), ("soft", self.soft)) if on)


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
        name: Of its place on the page and of its file: small letters, digits and hyphens.
        title: A few words, which are shown while it is folded.
        caption: What it shows.
        columns: One for each cell of a row.
        rows: Texts, whole numbers, which are shown with thousands apart, and values with their intervals.
        folded: Whether only the title is shown at first.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[TableColumn]
    rows: Sequence[Sequence[Cell]]
    folded: bool = True

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row of the table {self.title!r} has not {len(self.columns)} cells")

    @property
    def csv(self) -> str:
        """The table as CSV, of which a value with its interval takes two columns."""
        pairs = [bool(column.beside) for column in self.columns]
        heads = [[of.heading, *([f"{of.heading}, {of.beside}"] if of.beside else [])] for of in self.columns]
        rows = [
            [part for value, pair in zip(row, pairs, strict=True) for part in _parts(value, pair)] for row in self.rows
        ]
        return as_csv([head for pair in heads for head in pair], rows)


def _parts(value: Cell, pair: bool) -> Iterator[str]:
    if isinstance(value, Measured):
        yield _typed(value.value)
        yield value.beside
    else:
        yield _typed(str(value))
        if pair:
            yield ""


def _typed(value: str) -> str:
    """Return a cell as a program reads it: of a number, with the minus sign that can be typed."""
    return value.replace("\N{MINUS SIGN}", "-") if _NEGATIVE.fullmatch(value) else value


def cell(value: str | int) -> str:
    """Return what stands in a cell; whole numbers with thousands apart."""
    return value if isinstance(value, str) else f"{value:,}"


def data_address(content: str, kind: str) -> str:
    """Return ``content`` as an address that holds all of it, so that a page may offer it as a file."""
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(content.encode()).decode()}"


def csp_hash(content: str) -> str:
    """Return what a content security policy calls an inline script or style sheet by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def inline_json(value: object) -> str:
    """Return JSON that may stand in a script element: nothing in it ends one, or begins a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


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
    made.filters["csv_address"] = lambda content: data_address(content, "text/csv")
    made.filters["svg_address"] = lambda content: data_address(content, "image/svg+xml")
    made.filters["inline_json"] = inline_json
    made.tests["measured"] = lambda value: isinstance(value, Measured)
    return made


def source(name: str) -> str:
    """Return the text of ``templates/NAME`` as it is, of a script or a style sheet."""
    environment = templates()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def paragraphs(name: str) -> list[str]:
    """Return the paragraphs of the text ``templates/NAME``, each as one line."""
    return [" ".join(part.split()) for part in source(name).split("\n\n")]


def render(template: str, page: object, libraries: Sequence[str] = ()) -> str:
    """Return a page as HTML that loads nothing from anywhere and runs nothing but what is named by its hash.

    Args:
        template: Its name.
        page: What the templates call so.
        libraries: Scripts that run before the page's own.
    """
    style, scripts = source("style.css"), [*libraries, source("page.js")]
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {csp_hash(style)}",
            f"script-src {' '.join(map(csp_hash, scripts))}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    values: Mapping[str, Any] = {"page": page, "style": style, "scripts": scripts, "policy": policy}
    return templates().get_template(template).render(**values)
