"""Tables that fit: whole in a file or a pipe, within the width of a terminal, as lines where that is too narrow."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table

WIDE = 100_000  # columns of what is no terminal: nothing is that long
_BETWEEN = "  "  # a value and its interval: a number breaks nowhere else
_NUMBER = re.compile(r"-?\d")


def fitted(table: Table, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
    """Yield ``table`` as it is best shown in the width of ``options``: no word and no number of it is ever cut.

    Where it fits it stays; else columns are made narrower between words; and where even that is too wide, each row
    becomes lines of their own, one for each cell, with its heading before it. Where the width is no matter, title and
    caption stand above and below it, and each row is one line.

    Args:
        table: What is to be shown. One without headings stays as it is.
        console: What measures it.
        options: The width that there is.
    """
    free = options.update(width=WIDE)
    if not table.show_header:
        yield table
    elif options.max_width >= WIDE:
        yield from _texts(table.title)
        yield _with_columns(table, [_on_one_line(column) for column in table.columns], bare=True)
        yield from _texts(table.caption)
    elif Measurement.get(console, free, table).maximum <= options.max_width:
        yield table
    else:
        yield from _narrowed(table, console, free, options.max_width)


def _narrowed(table: Table, console: Console, free: ConsoleOptions, width: int) -> Iterator[RenderableType]:
    """Yield ``table``, which takes more than ``width`` columns of the terminal, with narrower columns or as lines."""
    measured = [_measured(column, console, free) for column in table.columns]
    least = [each.minimum for each in measured]
    frame = Measurement.get(console, free, table).maximum - sum(each.maximum for each in measured)
    spare = width - frame - sum(least)
    if spare < 0:
        yield from _lines(table, console, width)
        return
    columns = [copy.copy(column) for column in table.columns]
    for index in sorted(range(len(columns)), key=lambda index: measured[index].span):  # numbers first, then words
        more = min(measured[index].span, spare)
        columns[index].width = least[index] + more
        spare -= more
        if more < measured[index].span:
            columns[index]._cells = [_broken(cell) for cell in columns[index].cells]
    yield _with_columns(table, columns)


def _measured(column: Column, console: Console, options: ConsoleOptions) -> Measurement:
    """Return what of ``column`` is not to be broken, and its longest line, the heading among both."""
    cells = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    numbers = [Measurement.get(console, options, _broken(cell)) for cell in column.cells if _is_number(cell)]
    most = max(cell.maximum for cell in cells)
    least = max([*(cell.minimum for cell in cells), *(number.maximum for number in numbers)])
    return Measurement(most if column.no_wrap else least, most)


def _is_number(cell: RenderableType) -> bool:
    return isinstance(cell, str) and _NUMBER.match(cell) is not None


def _broken(cell: RenderableType) -> RenderableType:
    """Return the text of a cell with its value and its interval on lines of their own."""
    return cell.replace(_BETWEEN, "\n") if isinstance(cell, str) and _is_number(cell) else cell


def _with_columns(table: Table, columns: list[Column], *, bare: bool = False) -> Table:
    """Return ``table`` with other columns; ``bare``: without title and caption."""
    other = copy.copy(table)
    other.columns = columns
    if bare:
        other.title = other.caption = None
    return other


def _texts(text: RenderableType | None) -> Iterator[RenderableType]:
    if text:
        yield text


def _on_one_line(column: Column) -> Column:
    other = copy.copy(column)
    other.header = joined(column.header)
    other._cells = [joined(cell) for cell in column.cells]
    return other


def joined(cell: RenderableType) -> RenderableType:
    """Return the text of a cell on one line; a name that was broken behind a hyphen is whole again."""
    return cell.replace("-\n", "-").replace("\n(", " (").replace("\n", _BETWEEN) if isinstance(cell, str) else cell


def _lines(table: Table, console: Console, width: int) -> Iterator[RenderableType]:
    """Yield ``table`` from top to bottom: its title, each row's first cell, the other cells below it, its caption."""
    yield from _texts(table.title)
    headings = [joined(column.header) for column in table.columns]
    for cells in zip_longest(*(column.cells for column in table.columns), fillvalue=""):
        first, *others = (joined(cell) for cell in cells)
        yield first
        told = [f"{heading}: {cell}" for heading, cell in zip(headings[1:], others, strict=True) if cell]
        line = ""
        for each in told:
            if line and console.render_str(f"  {line}; {each}").cell_len > width:
                yield f"  {line}"
                line = ""
            line = f"{line}; {each}" if line else each
        yield f"  {line}"
    yield from _texts(table.caption)
