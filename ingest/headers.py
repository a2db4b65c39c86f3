"""The entries of a window by the hundred: local headers checked against the directory a column at a time.

What holds in every respect is found here; of the rest :func:`ingest.entry.locate` says what is wrong, or that a data
descriptor or a ZIP64 field makes it right. Format: APPNOTE 6.3.10, section 4.3.7.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.entry import DESCRIPTOR, ENCRYPTED, LOCAL_HEADER, LOCAL_SIGNATURE, locate
from ingest.gather import HEADER_FIELDS, gather

Array = npt.NDArray[Any]

_LOCAL = np.dtype([("signature", "<u4"), *HEADER_FIELDS])


class Expected(NamedTuple):
    """Planned entries in order of place, as arrays of one value each; offsets and sizes in bytes."""

    offset: Array  # of the local header
    end: Array  # where the next record begins at the latest
    method: Array
    flags: Array
    crc32: Array
    compressed_size: Array
    size: Array
    names: Array  # the bytes of all names, one behind the other
    name_at: Array  # where in `names` each begins, and where the last ends

    @classmethod
    def of(cls, planned: pa.Table) -> Expected:
        """Return what ``planned`` (schema :data:`shards.plan.ENTRIES`) says."""
        names = pa.concat_arrays([pa.array([], pa.binary()), *planned["name"].chunks])
        _, name_at, data = names.buffers()
        bounds = np.frombuffer(name_at, np.int32)[names.offset :][: len(names) + 1].astype(np.int64)
        fixed = {name: planned[name].to_numpy() for name in cls._fields[:-2]}
        return cls(**fixed, names=np.frombuffer(data or b"", np.uint8), name_at=bounds)

    def name(self, row: int) -> bytes:
        """Return the name of ``row`` as the directory has it."""
        return bytes(self.names[self.name_at[row] : self.name_at[row + 1]])

    def cut(self, block: int) -> Iterator[slice]:
        """Yield the rows in batches that span ``block`` bytes at most; a longer entry is a batch of its own."""
        ends = np.maximum.accumulate(self.end)
        start = 0
        while start < len(ends):
            stop = max(start + 1, int(np.searchsorted(ends, self.offset[start] + block, "right")))
            yield slice(start, stop)
            start = stop


def locate_all(buffer: memoryview, base: int, expected: Expected, rows: slice) -> tuple[Array, Array, Array]:
    """Return where in ``buffer`` the compressed data of ``rows`` begin and end, and which of them are sure.

    Args:
        buffer: The archive's bytes from ``base`` to the last ``end`` of ``rows``.
        base: The first ``offset`` of ``rows``.
        expected: What the directory says.
        rows: Which entries.

    Returns:
        Three arrays of shape (rows,): begin and end as indices, which mean something where the third is true.
    """
    at, limit = expected.offset[rows] - base, expected.end[rows] - base
    sure = at + LOCAL_HEADER <= limit
    if len(buffer) < LOCAL_HEADER:
        return at, at, sure
    found = gather(buffer, len(buffer), _LOCAL, np.where(sure, at, 0))
    names = expected.name_at[rows.start : rows.stop + 1]
    lengths = np.diff(names)
    starts = at + LOCAL_HEADER + lengths + found["extra_length"]
    ends = starts + expected.compressed_size[rows]
    sure &= (found["signature"] == LOCAL_SIGNATURE) & (found["name_length"] == lengths) & (ends <= limit)
    sure &= ((found["flags"] & (ENCRYPTED | DESCRIPTOR)) == 0) & ((expected.flags[rows] & ENCRYPTED) == 0)
    for name in ("method", "crc32", "compressed_size", "size"):
        sure &= found[name] == getattr(expected, name)[rows]
    first, last = names[0], names[-1]
    where = np.repeat(at + LOCAL_HEADER - names[:-1], lengths) + np.arange(first, last)
    same = np.frombuffer(buffer, np.uint8).take(where, mode="clip") == expected.names[first:last]
    if not same.all():
        sure[np.searchsorted(names, np.flatnonzero(~same) + first, "right") - 1] = False
    return starts, ends, sure


def locate_one(buffer: memoryview, base: int, expected: Expected, row: int) -> tuple[int, int]:
    """Return where in ``buffer`` the compressed data of ``row`` begin and end, sure or not (:func:`locate_all`).

    Raises:
        EntryFault: The header is not there, contradicts the directory, or the data pass the next record.
    """
    columns = ("method", "flags", "crc32", "compressed_size", "size")
    stated = [int(getattr(expected, column)[row]) for column in columns]
    return locate(buffer, int(expected.offset[row]) - base, int(expected.end[row]) - base, expected.name(row), *stated)
