"""Parquet tables of a run: written with one set of options, read by the calling thread alone.

`pyarrow.parquet.read_table` hands the work to a pool of threads, and where none can be started, for want of address
space, it waits for it for ever. It also loads a library of its own, which takes longer than to read most tables here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from postmill.shards.run import checked
from postmill.shards.run.checked import CheckedFile
from postmill.shards.run.manifests import FileState

_NO_MEMORY = "bad_alloc"  # in what libraries in C++ say, whatever kind of error Arrow makes of it


class Sink(Protocol):
    """A file that is open for writing, front to back."""

    def write(self, data: bytes, /) -> int:
        """Append ``data``; return its length in bytes."""


Equal = Mapping[str, int | str]


def write(sink: Sink, table: pa.Table, row_group_size: int | None = None) -> None:
    """Write ``table`` to ``sink``."""
    pq.write_table(table, sink, compression="zstd", version="2.6", row_group_size=row_group_size, store_schema=True)


def open_file(path: Path) -> pq.ParquetFile:
    """Open ``path``, unchecked, for reading, which the calling thread does if it says ``use_threads=False`` then too.

    Raises:
        OSError: The file cannot be read.
        pyarrow.ArrowException: It is not Parquet, or damaged.
    """
    return pq.ParquetFile(path, pre_buffer=False)


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of ``path``, unchecked.

    Raises:
        OSError: The file cannot be read.
        pyarrow.ArrowException: It is not Parquet, or damaged.
        MemoryError: There is not enough.
    """
    with _memory_errors(), open_file(path) as file:
        return file.read(columns, use_threads=False)


def read_checked(path: Path, state: FileState, command: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of ``path``, which holds what its manifest states.

    Args:
        path: A Parquet file.
        state: What the manifest states of it.
        command: What makes it anew, for the message.
        columns: Which columns, all by default.

    Raises:
        PostmillError: It is missing, damaged, or cannot be read.
        pyarrow.ArrowException: It lacks a column.
        MemoryError: There is not enough.
    """
    return parsed(checked.read(path, state, command), columns)


def parsed(content: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a Parquet file of which ``content`` is all.

    Raises:
        pyarrow.ArrowException: It is none, or lacks a column.
        MemoryError: There is not enough.
    """
    with _memory_errors(), pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
        return file.read(columns, use_threads=False)


def rows_equal(path: Path, state: FileState, command: str, equal: Equal) -> pa.Table:
    """Return the rows of ``path`` whose columns have the values of ``equal``, in their order.

    Row groups that by their statistics hold none are not read; of the others every block is checked, and they stay in
    memory for the next calls, which ask for the rows behind these.

    Args:
        path: A Parquet file.
        state: What the manifest states of it; without blocks, the file is checked from end to end.
        command: What makes it anew, for the message.
        equal: Values by column, which is not a list.

    Raises:
        PostmillError: The file is missing, damaged, or cannot be read.
        pyarrow.ArrowException: It lacks a column.
        MemoryError: There is not enough.
    """
    if not state.blocks:
        return _where(read_checked(path, state, command), equal)
    source = _Source(path, state, command)
    with _memory_errors():
        groups = set(range(_footer(source).num_row_groups))
        for name, value in equal.items():
            groups &= {number for number, low, high in _limits(source, name) if low is None or low <= value <= high}
        if not groups:
            return _footer(source).schema.to_arrow_schema().empty_table()
        return _where(pa.concat_tables(_group(source, number) for number in sorted(groups)), equal)


@contextmanager
def _memory_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:  # which would be taken for damage
        if isinstance(error, pa.ArrowMemoryError) or _NO_MEMORY in str(error):
            raise MemoryError(*error.args) from error
        raise


def _where(table: pa.Table, equal: Equal) -> pa.Table:
    """Return the rows with the values of ``equal``; those that lie together, as a plan's do, without a copy."""
    if not equal:
        return table
    hits = np.flatnonzero(np.logical_and.reduce([table[name].to_numpy() == value for name, value in equal.items()]))
    start, count = (int(hits[0]), len(hits)) if len(hits) else (0, 0)
    if count and hits[-1] - start + 1 > count:
        return table.take(pa.array(hits))
    return table.slice(start, count)


class _Source(NamedTuple):
    """A table that is read in places. What is kept of it is what its manifest states, whatever the file becomes."""

    path: Path
    state: FileState
    command: str


def _opened(source: _Source, footer: pq.FileMetaData | None = None) -> pq.ParquetFile:
    return pq.ParquetFile(CheckedFile(*source), metadata=footer, pre_buffer=False)


# A worker reads rows of one table a hundred times. The footer of ten million rows takes longer than they do, and a row
# group holds those of several windows.
@lru_cache(maxsize=4)
def _footer(source: _Source) -> pq.FileMetaData:
    with _opened(source) as file:
        return file.metadata


@lru_cache(maxsize=8)
def _limits(source: _Source, name: str) -> list[tuple[int, Any, Any]]:
    """Return number, least and greatest value of ``name`` of all row groups; None for the values where not stated."""
    footer = _footer(source)
    column = footer.schema.names.index(name)
    groups = range(footer.num_row_groups)
    statistics = [footer.row_group(number).column(column).statistics for number in groups]
    return [
        (number, stated.min, stated.max) if stated is not None and stated.has_min_max else (number, None, None)
        for number, stated in zip(groups, statistics, strict=True)
    ]


@lru_cache(maxsize=6)  # of posts and entries, two of each at a time, and of windows
def _group(source: _Source, number: int) -> pa.Table:
    with _opened(source, _footer(source)) as file:
        return file.read_row_groups([number], use_threads=False)
