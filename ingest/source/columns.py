"""Which columns the rows of a text file have: told by the names in its header where it has them, else by position."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from postmill.shards.runtime.errors import PostmillError

_DELIMITERS = "\t;|,"  # the first of these that a first line has: lists of pictures have commas of their own


@dataclass(frozen=True)
class Columns:
    """How the fields lie in a row.

    Attributes:
        delimiter: The character between two fields.
        width: How many fields a row has.
        positions: Where those lie that are wanted, from 0, in the order in which they are wanted.
        named: Whether a header names them.
    """

    delimiter: str
    width: int
    positions: tuple[int, ...]
    named: bool

    def below(self, row: str) -> Columns:
        """Return the columns of the rows below the header, of which ``row`` is one: R puts a name before each row."""
        if not self.named or len(split_fields(row, self.delimiter)) != self.width + 1:
            return self
        return Columns(self.delimiter, self.width + 1, tuple(position + 1 for position in self.positions), True)

    @property
    def usual(self) -> bool:
        """Whether rows are as in the dataset's own files: the wanted fields, no others, with tabs between."""
        return self.delimiter == "\t" and self.positions == tuple(range(self.width))


def find_columns(first_line: str, wanted: Sequence[str], path: str) -> Columns:
    """Return where the columns ``wanted`` lie in the rows of the file ``path``.

    Names count in upper and lower case, without a leading ``#``. A first line that has none of them, as a header of
    another kind or a row, leaves the columns where the dataset's own file has them.

    Raises:
        PostmillError: Some of the names are there, and others are not.
    """
    delimiter = next((each for each in _DELIMITERS if each in first_line), "\t")
    names = [_name(field) for field in split_fields(first_line, delimiter)]
    missing = [name for name in wanted if _name(name) not in names]
    if len(missing) == len(wanted):
        return Columns(delimiter, len(wanted), tuple(range(len(wanted))), False)
    if missing:
        raise PostmillError(
            f"has no column {' and no column '.join(missing)}: its first line is {first_line[:80]!r}",
            place=path,
            hint=f"its columns should be {', '.join(wanted)}",
        )
    return Columns(delimiter, len(names), tuple(names.index(_name(name)) for name in wanted), True)


def split_fields(line: str, delimiter: str) -> list[str]:
    """Return the fields of ``line``, quotation marks around them taken off and doubled ones within made single."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [""])
    except csv.Error:  # a field longer than it takes
        return line.split(delimiter)


def _name(field: str) -> str:
    return field.strip().removeprefix("#").removeprefix("X.").strip().casefold()  # X. is what R makes of a #
