"""A text file that was not copied whole: it ends within a row, or zeros stand where rows were."""

from __future__ import annotations

from postmill.shards.runtime.errors import DamagedSource

_HOLE = bytes(64)  # so many zeros in a row are nobody's row, but what a copy has allocated and not filled
_SHOWN = 60  # characters of a row in a message
_AGAIN = "copy it again, then run the same command"


def refuse_hole(path: str, block: bytes, line: int) -> None:
    """Refuse ``block``, whose first line is line ``line`` of the file ``path``, if it has a hole.

    Raises:
        DamagedSource: It has.
    """
    if _HOLE in block:
        line += block.count(b"\n", 0, block.index(_HOLE))
        raise DamagedSource(f"holds zeros where rows must be, at line {line}", place=path, hint=_AGAIN)


def torn(path: str, block: bytes, line: int) -> DamagedSource:
    """Return the error for the file ``path`` whose last block ends in the middle of line ``line``."""
    row = block.rpartition(b"\n")[2].decode("utf-8", "replace")
    if "\0" in row:  # as `>>` of PowerShell 5 appends to what was UTF-8
        cause = f"goes on in another encoding than it began with: line {line} is {row[:_SHOWN]!r}"
        return DamagedSource(cause, place=path, hint="write all of it in one encoding, such as UTF-8")
    cause = f"ends in the middle of a row, so that rows are missing: line {line} is {row[:_SHOWN]!r}"
    return DamagedSource(cause, place=path, hint=_AGAIN)
