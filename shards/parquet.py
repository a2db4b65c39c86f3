"""Parquet tables of a run: written with one set of options, read by the calling thread alone.

`pyarrow.parquet.read_table` hands the work to a pool of threads, and where none can be started, for want of address
space, it waits for it for ever. It also loads a library of its own, which takes longer than to read most tables here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


class Sink(Protocol):
    """A file that is open for writing, front to back."""

    def write(self, data: bytes, /) -> int:
        """Append ``data``; return its length in bytes."""


Equal = Mapping[str, int | str]
_Identity = tuple[str, int, int, int]  # path, inode, size and time: of another file nothing is kept


def write(sink: Sink, table: pa.Table, row_group_size: int | None = None) -> None:
    """Write ``table`` to ``sink``."""
    pq.write_table(table, sink, compression="zstd", version="2.6", row_group_size=row_group_size, store_schema=True)


def opened(path: Path | str) -> pq.ParquetFile:
    """Open ``path`` for reading, which the calling thread does if it says ``use_threads=False`` to its methods too.

    Raises:
        OSError: The file cannot be read.
        pyarrow.ArrowException: It is not Parquet, or damaged.
    """
    return pq.ParquetFile(path, pre_buffer=False)


def read(
    path: Path | str, columns: Sequence[str] | None = None, equal: Equal | None = None, *, keep: bool = False
) -> pa.Table:
    """Return the rows of ``path`` whose columns have the values of ``equal``, in their order.

    Args:
        path: A Parquet file.
        columns: Which columns, all by default; those of ``equal`` must be among them.
        equal: Values by column, which is not a list. Row groups that by their statistics hold none are not read.
        keep: Whether the row groups stay in memory for the next calls, which ask for the rows behind these.

    Raises:
        OSError: The file cannot be read.
        pyarrow.ArrowException: It is not Parquet, or damaged.
        MemoryError: There is not enough.
    """
    try:
        return _read(path, None if columns is None else tuple(columns), equal or {}, keep)
    except pa.ArrowMemoryError as error:  # an ArrowException too, and then taken for damage
        raise MemoryError(*error.args) from error


def _read(path: Path | str, columns: tuple[str, ...] | None, equal: Equal, keep: bool) -> pa.Table:
    if not equal:
        with opened(path) as file:
            return file.read(columns, use_threads=False)
    state = Path(path).stat()
    identity = str(path), state.st_ino, state.st_size, state.st_mtime_ns
    footer = _footer(identity)
    groups = set(range(footer.num_row_groups))
    for name, value in equal.items():
        groups &= {number for number, low, high in _limits(identity, name) if low is None or low <= value <= high}
    if keep and groups:
        return _where(pa.concat_tables(_kept_groups(identity, number, columns) for number in sorted(groups)), equal)
    return _where(_groups(identity, sorted(groups), columns), equal)


def _groups(identity: _Identity, numbers: list[int], columns: tuple[str, ...] | None) -> pa.Table:
    with pq.ParquetFile(identity[0], metadata=_footer(identity), pre_buffer=False) as file:
        return file.read_row_groups(numbers, columns, use_threads=False)


def _where(table: pa.Table, equal: Equal) -> pa.Table:
    """Return the rows with the values of ``equal``; those that lie together, as a plan's do, without a copy."""
    hits = np.flatnonzero(np.logical_and.reduce([table[name].to_numpy() == value for name, value in equal.items()]))
    start, count = (int(hits[0]), len(hits)) if len(hits) else (0, 0)
    if count and hits[-1] - start + 1 > count:
        return table.take(pa.array(hits))
    return table.slice(start, count)


# A worker reads rows of one table a hundred times. The footer of ten million rows takes longer than they do, and a row
# group holds those of several windows.
@lru_cache(maxsize=4)
def _footer(identity: _Identity) -> pq.FileMetaData:
    return pq.read_metadata(identity[0])


@lru_cache(maxsize=8)
def _limits(identity: _Identity, name: str) -> list[tuple[int, Any, Any]]:
    """Return number, least and greatest value of ``name`` of all row groups; None for the values where not stated."""
    footer = _footer(identity)
    column = footer.schema.names.index(name)
    found = ((number, footer.row_group(number).column(column).statistics) for number in range(footer.num_row_groups))
    return [
        (number, known.min, known.max) if known is not None and known.has_min_max else (number, None, None)
        for number, known in found
    ]


@lru_cache(maxsize=6)  # of posts and entries, two of each at a time, and of windows
def _kept_groups(identity: _Identity, number: int, columns: tuple[str, ...] | None) -> pa.Table:
    return _groups(identity, [number], columns)
