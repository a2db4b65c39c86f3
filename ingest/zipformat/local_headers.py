"""The entries of a window by the hundred: local headers checked against the directory a column at a time.

What is right in every respect is located here; of the rest :func:`.local_header.locate` says what is wrong, or that a
data descriptor or a ZIP64 field makes it right. Format: APPNOTE 6.3.10, section 4.3.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from postmill.ingest.zipformat.local_header import locate
from postmill.ingest.zipformat.signatures import (
    FLAG_DESCRIPTOR,
    FLAG_ENCRYPTED,
    LOCAL_FIELDS,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
)
from postmill.ingest.zipformat.unaligned import AnyArray, gather_records

_HEADER_SIZE = LOCAL_HEADER.size
_LOCAL_WORD = int.from_bytes(LOCAL_SIGNATURE, "little")
_LOCAL_DTYPE = np.dtype(LOCAL_FIELDS)


class ExpectedEntry(NamedTuple):
    """What the directory says of one planned entry: a :class:`.local_header.Declared`."""

    raw_name: bytes
    method: int
    flags: int
    crc32: int
    compressed_size: int
    size: int


class Expected(NamedTuple):
    """Planned entries in order of place, as arrays of one value each; offsets and sizes in bytes."""

    offset: AnyArray  # of the local header
    end: AnyArray  # where the next record begins at the latest
    method: AnyArray
    flags: AnyArray
    crc32: AnyArray
    compressed_size: AnyArray
    size: AnyArray
    names: AnyArray  # the bytes of all names, one behind the other
    name_bounds: AnyArray  # where in `names` each begins, and where the last ends

    @classmethod
    def of(cls, planned: pa.Table) -> Expected:
        """Return what ``planned`` (schema :data:`.plan.ENTRIES`) says."""
        names = pa.concat_arrays([pa.array([], pa.binary()), *planned["name"].chunks])
        _, offsets, data = names.buffers()
        bounds = np.frombuffer(offsets, np.int32)[names.offset :][: len(names) + 1].astype(np.int64)
        fixed = {name: planned[name].to_numpy() for name in cls._fields[:-2]}
        return cls(**fixed, names=np.frombuffer(data or b"", np.uint8), name_bounds=bounds)

    def name(self, row: int) -> bytes:
        """Return the name of ``row`` as the directory has it."""
        return bytes(self.names[self.name_bounds[row] : self.name_bounds[row + 1]])

    def entry(self, row: int) -> ExpectedEntry:
        """Return what is expected of ``row``."""
        return ExpectedEntry(
            self.name(row),
            int(self.method[row]),
            int(self.flags[row]),
            int(self.crc32[row]),
            int(self.compressed_size[row]),
            int(self.size[row]),
        )

    def cut(self, block: int) -> Iterator[slice]:
        """Yield the rows in batches that span ``block`` bytes at most; a longer entry is a batch of its own."""
        start = 0
        while start < len(self.end):
            limit = self.offset[start] + block
            begun = int(np.searchsorted(self.offset, limit, "right"))  # what begins behind it does not end before
            ends = np.maximum.accumulate(self.end[start:begun])  # entries may overlap, in archives that lie
            stop = start + max(1, int(np.searchsorted(ends, limit, "right")))
            yield slice(start, stop)
            start = stop


def locate_all(buffer: memoryview, base: int, expected: Expected, rows: slice) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return where in ``buffer`` the compressed data of ``rows`` begin and end, and which of them are sure.

    Args:
        buffer: The archive's bytes from ``base`` to the last ``end`` of ``rows``.
        base: The first ``offset`` of ``rows``.
        expected: What the directory says.
        rows: Which entries.

    Returns:
        Three arrays of shape (rows,): begin and end as indices, which mean something where the third is true.
    """
    position, limit = expected.offset[rows] - base, expected.end[rows] - base
    sure = position + _HEADER_SIZE <= limit
    if len(buffer) < _HEADER_SIZE:
        return position, position, sure
    headers = gather_records(buffer, len(buffer), _LOCAL_DTYPE, np.where(sure, position, 0))
    bounds = expected.name_bounds[rows.start : rows.stop + 1]
    lengths = np.diff(bounds)
    starts = position + _HEADER_SIZE + lengths + headers["extra_length"]
    ends = starts + expected.compressed_size[rows]
    sure &= (headers["signature"] == _LOCAL_WORD) & (headers["name_length"] == lengths) & (ends <= limit)
    sure &= (headers["flags"] & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR)) == 0
    sure &= (expected.flags[rows] & FLAG_ENCRYPTED) == 0
    for name in ("method", "crc32", "compressed_size", "size"):
        sure &= headers[name] == getattr(expected, name)[rows]
    first, last = bounds[0], bounds[-1]
    indices = np.repeat(position + _HEADER_SIZE - bounds[:-1], lengths) + np.arange(first, last)
    same = np.frombuffer(buffer, np.uint8).take(indices, mode="clip") == expected.names[first:last]
    if not same.all():
        sure[np.searchsorted(bounds, np.flatnonzero(~same) + first, "right") - 1] = False
    return starts, ends, sure


def locate_one(buffer: memoryview, base: int, expected: Expected, row: int) -> tuple[int, int]:
    """Return where in ``buffer`` the compressed data of ``row`` begin and end, sure or not (:func:`locate_all`).

    Raises:
        EntryFault: The header is not there, contradicts the directory, or the data pass the next record.
    """
    position, limit = int(expected.offset[row]) - base, int(expected.end[row]) - base
    return locate(buffer, position, limit, expected.entry(row))
