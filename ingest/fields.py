"""Directory records by the thousand: ZIP64 values, offsets and plausibility, a column at a time.

Each check marks rows with one of :class:`ingest.reasons.Reason`; the first mark of a row stays. Format: APPNOTE
6.3.10, sections 4.4 and 4.5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.directory import Directory
from ingest.entry import ENCRYPTED, LOCAL_HEADER
from ingest.gather import at_every_byte
from ingest.inflate import METHODS, STORED
from ingest.names import UNICODE_PATH
from ingest.reasons import Reason
from ingest.space import AddressSpace

NOWHERE = 0xFFFF_FFFF_FFFF_FFFF  # the offset of an entry that lies in no part
_ZIP64 = 1
_REASONS = tuple(Reason)
_ONES16 = 0xFFFF
_ONES32 = 0xFFFFFFFF

Array = npt.NDArray[Any]


class Faults:
    """What is wrong with each row of a batch: at most one reason, with a detail."""

    def __init__(self, count: int) -> None:
        self._codes = np.full(count, -1, dtype=np.int8)
        self._details: dict[int, str] = {}

    def mark(self, rows: Array, reason: Reason, detail: Callable[[int], str]) -> None:
        """Give ``reason`` to ``rows`` (a mask) that have none yet; ``detail`` is asked row by row."""
        if not rows.any():
            return
        fresh = np.flatnonzero(rows & (self._codes < 0))
        self._codes[fresh] = _REASONS.index(reason)
        for row in fresh.tolist():
            self._details[row] = detail(row)

    def columns(self) -> tuple[pa.DictionaryArray, pa.Array]:
        """Return the columns ``fault`` and ``detail``."""
        indices = pa.array(self._codes, mask=self._codes < 0)
        details = pa.nulls(len(self._codes), pa.string())
        if self._details:
            details = pa.array([self._details.get(row) for row in range(len(self._codes))], pa.string())
        return pa.DictionaryArray.from_arrays(indices, pa.array([str(each) for each in _REASONS])), details


def with_faults(batch: pa.RecordBatch, faults: Mapping[int, tuple[Reason, str]]) -> pa.RecordBatch:
    """Return ``batch`` (of :data:`ingest.records.SCHEMA`) with ``faults`` in those rows that have none yet."""
    if not faults:
        return batch
    dictionary = batch["fault"].dictionary
    reasons, details = batch["fault"].to_pylist(), batch["detail"].to_pylist()
    for row, (reason, detail) in faults.items():
        if reasons[row] is None:
            reasons[row], details[row] = str(reason), detail
    codes = pc.index_in(pa.array(reasons, pa.string()), dictionary).cast(pa.int8())
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns["fault"] = pa.DictionaryArray.from_arrays(codes, dictionary)
    columns["detail"] = pa.array(details, pa.string())
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def find_extras(buffer: bytearray, filled: int, at: Array, end: Array) -> tuple[Array, Array, Array]:
    """Walk all extra areas at once.

    Returns:
        Where each record's ZIP64 field has its values (-1 where there is none), how many bytes these are, and
        whether the record has a Unicode Path field.
    """
    zip64_at = np.full(len(at), -1, dtype=np.int64)
    zip64_length = np.zeros(len(at), dtype=np.int64)
    unicode_path = np.zeros(len(at), dtype=bool)
    words = at_every_byte(buffer, filled, "<u2")
    rows = np.flatnonzero(end - at >= 4)
    here, stop = at[rows], end[rows]
    while len(rows):
        kind = words[here]
        after = here + 4 + words[here + 2]
        inside = after <= stop
        unicode_path[rows[(kind == UNICODE_PATH) & inside]] = True
        found = (kind == _ZIP64) & inside & (zip64_at[rows] < 0)
        if found.any():
            zip64_at[rows[found]] = here[found] + 4
            zip64_length[rows[found]] = (after - here)[found] - 4
        more = after + 4 <= stop
        rows, here, stop = rows[more], after[more], stop[more]
    return zip64_at, zip64_length, unicode_path


def zip64_values(
    buffer: bytearray, filled: int, fixed: Array, at: Array, length: Array, faults: Faults
) -> tuple[Array, Array, Array, Array]:
    """Put the ZIP64 values in, field by field, where the field of the record is all ones.

    Returns:
        Size, compressed size and offset as uint64, disk number as int64.
    """
    values = [fixed[name].astype(np.uint64) for name in ("size", "compressed_size", "offset")]
    disk = fixed["disk"].astype(np.int64)
    taken = np.zeros(len(fixed), dtype=np.int64)
    short = np.zeros(len(fixed), dtype=bool)
    for column, width, ones in (*((each, 8, _ONES32) for each in values), (disk, 4, _ONES16)):
        rows = np.flatnonzero((column == ones) & (at >= 0))
        if len(rows) == 0:
            continue
        fits = taken[rows] + width <= length[rows]
        short[rows[~fits]] = True
        rows = rows[fits]
        column[rows] = at_every_byte(buffer, filled, f"<u{width}")[at[rows] + taken[rows]]
        taken[rows] += width
    faults.mark(short, Reason.HEADER_CORRUPT, lambda row: f"a ZIP64 field of {length[row]} bytes lacks a value")
    return values[0], values[1], values[2], disk


def place_entries(
    space: AddressSpace,
    directory: Directory,
    offset: Array,
    disk: Array,
    name_length: Array,
    compressed: Array,
    faults: Faults,
) -> Array:
    """Return the absolute offsets (uint64) of local headers; :data:`NOWHERE` where there can be none."""
    if directory.kind == "disks":
        sizes = np.array([part.size for part in space.parts], dtype=np.uint64)
        starts = np.array([part.start for part in space.parts], dtype=np.uint64)
    else:
        sizes = np.array([space.size - directory.shift], dtype=np.uint64)
        starts = np.array([directory.shift], dtype=np.uint64)
    faults.mark(
        disk >= len(sizes),
        Reason.PART_MISSING,
        lambda row: f"begins on part {disk[row] + 1} of an archive with {len(sizes)}",
    )
    on = np.minimum(disk, len(sizes) - 1)
    # At the very end of a part some writers have not yet turned to the next one.
    outside = (offset > sizes[on]) | (disk >= len(sizes))
    absolute = np.where(outside, np.uint64(NOWHERE), starts[on] + np.where(outside, np.uint64(0), offset))
    limit = np.uint64(directory.start)
    # An offset within the archive leaves room for these sums in 64 bits.
    named = np.where(outside, limit, absolute) + name_length.astype(np.uint64) + np.uint64(LOCAL_HEADER)
    faults.mark(
        outside | (named > limit),
        Reason.OFFSET_OUT_OF_RANGE,
        lambda row: f"offset {offset[row]} of part {disk[row] + 1}; the directory begins at {limit}",
    )
    faults.mark(
        ~outside & (named <= limit) & (compressed > limit - np.minimum(named, limit)),
        Reason.TRUNCATED,
        lambda row: f"{compressed[row]} bytes at {named[row]}; the directory begins at {limit}",
    )
    return absolute


def check_fields(method: Array, flags: Array, size: Array, compressed: Array, faults: Faults) -> None:
    """Mark what cannot be decompressed, and stored entries whose sizes differ."""
    faults.mark((flags & ENCRYPTED) != 0, Reason.ENCRYPTED, lambda row: f"flags {flags[row]:#06x}")
    known = np.isin(method, METHODS)
    faults.mark(~known, Reason.METHOD_UNSUPPORTED, lambda row: f"method {method[row]}")
    faults.mark(
        (method == STORED) & (size != compressed),
        Reason.SIZE_MISMATCH,
        lambda row: f"stored {size[row]} bytes in {compressed[row]}",
    )
