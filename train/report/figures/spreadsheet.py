"""Tables as CSV that a spreadsheet opens as what they are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

_STARTS = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet takes a text for a formula
_NUMBER = re.compile(r"[-+]?[\d.]+(?:e[-+]?\d+)?%?")


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[str | int | float | None]]) -> str:
    """Return a table as CSV that begins with a line of headings; what is not known is empty.

    An apostrophe stands before each text that a spreadsheet would take for a formula.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_plain(value) for value in row] for row in rows])
    return text.getvalue()


def _plain(value: str | int | float | None) -> str | int | float:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_STARTS) and not _NUMBER.fullmatch(value) else value
    return "" if value is None else value
