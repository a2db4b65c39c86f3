"""Entries of an archive, made from record batches of its directory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from postmill.ingest.zipformat.directory_records import SCHEMA
from postmill.shards.formats.reasons import Reason

Offsets = npt.NDArray[np.uint64]


class Entry(NamedTuple):
    """One file of an archive, as the directory has it. Offsets and sizes in bytes.

    A tuple, because a frozen dataclass takes ten times as long to make, and there are millions.
    """

    number: int  # position in the directory, from 0
    name: str  # escaped and shortened, for showing only, if the fault is about the name
    raw_name: bytes
    offset: int  # of the local header in the address space
    limit: int  # where the next record begins
    compressed_size: int
    size: int
    crc32: int
    method: int
    flags: int
    is_dir: bool
    fault: Reason | None
    detail: str | None


def to_entries(batch: pa.RecordBatch, limits: Offsets) -> Iterator[Entry]:
    """Yield the rows of ``batch`` (of :data:`.directory_records.SCHEMA`) as entries.

    Args:
        batch: Of the directory; a table does too.
        limits: Shape (rows,). Of :func:`limits_of`.
    """
    columns = {name: _values(batch[name]) for name in SCHEMA.names}
    columns["number"], columns["limit"] = columns["index"], limits.tolist()
    columns["fault"] = [None if reason is None else Reason(reason) for reason in columns["fault"]]
    yield from map(Entry, *(columns[name] for name in Entry._fields))


def limits_of(offsets: Offsets, placed: Offsets, holes: tuple[tuple[int, int], ...], end: int) -> Offsets:
    """Return where the next record begins, or what is there ends.

    Args:
        offsets: Of local headers.
        placed: Of all local headers, ascending.
        holes: Ranges of the address space that are missing, ascending.
        end: Where the directory begins.
    """
    after = np.searchsorted(placed, offsets, side="right")
    limits: Offsets = np.append(placed, np.uint64(end))[after]
    if holes:
        edges = np.array([start for start, _ in holes], dtype=np.uint64)
        after = np.searchsorted(edges, offsets, side="right")
        limits = np.minimum(limits, np.append(edges, np.uint64(end))[after])
    return limits


def between(batch: pa.RecordBatch, low: int, high: int) -> pa.RecordBatch:
    """Return the rows of ``batch`` whose local headers lie from ``low`` to before ``high``."""
    offset = batch["offset"]
    after = pc.greater_equal(offset, pa.scalar(low, pa.uint64()))
    return batch.filter(pc.and_(after, pc.less(offset, pa.scalar(high, pa.uint64()))))


def _values(column: pa.Array) -> list[Any]:
    if column.null_count == len(column):
        return [None] * len(column)
    # Twice as fast for numbers as Arrow's own.
    return column.to_numpy().tolist() if pa.types.is_integer(column.type) else column.to_pylist()  # type: ignore[no-any-return]
