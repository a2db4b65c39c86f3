"""Extra fields, of one record or of thousands at once: ZIP64 values above all.

Format: APPNOTE 6.3.10, sections 4.5.1 (extra fields) and 4.5.3 (ZIP64).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from postmill.ingest.zipformat.faults import Faults
from postmill.ingest.zipformat.signatures import (
    EXTRA_HEADER,
    EXTRA_UNICODE_PATH,
    EXTRA_ZIP64,
    SENTINEL16,
    SENTINEL32,
)
from postmill.ingest.zipformat.unaligned import AnyArray, at_every_byte
from postmill.shards.formats.reasons import Reason


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield id and bytes of each field of an extra area; the last may be cut off."""
    position = 0
    while position + EXTRA_HEADER.size <= len(extra):
        kind, length = EXTRA_HEADER.unpack_from(extra, position)
        position += EXTRA_HEADER.size
        yield kind, extra[position : position + length]
        position += length


def zip64_sizes(extra: bytes, size: int, compressed_size: int) -> tuple[int, int]:
    """Return the sizes in bytes, those that are all ones replaced from the ZIP64 field, one after the other."""
    for kind, body in extra_fields(extra):
        if kind == EXTRA_ZIP64:
            words = [int.from_bytes(body[start : start + 8], "little") for start in range(0, len(body) - 7, 8)]
            if size == SENTINEL32 and words:
                size = words.pop(0)
            if compressed_size == SENTINEL32 and words:
                compressed_size = words.pop(0)
            break
    return size, compressed_size


def find_extras(
    buffer: bytearray, filled: int, starts: AnyArray, ends: AnyArray
) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Walk all extra areas at once.

    Args:
        buffer: A block of the directory.
        filled: How many bytes of it.
        starts: Shape (records,). Where the extra area of each record begins in ``buffer``, and
        ends: shape (records,), where it ends.

    Returns:
        Where each record's ZIP64 field has its values (-1 where there is none), how many bytes these are, and
        whether the record has a Unicode Path field.
    """
    zip64_starts = np.full(len(starts), -1, dtype=np.int64)
    zip64_lengths = np.zeros(len(starts), dtype=np.int64)
    unicode_path = np.zeros(len(starts), dtype=bool)
    words = at_every_byte(buffer, filled, "<u2")
    rows = np.flatnonzero(ends - starts >= EXTRA_HEADER.size)
    position, stop = starts[rows], ends[rows]
    while len(rows):
        kind = words[position]
        after = position + EXTRA_HEADER.size + words[position + 2]
        inside = after <= stop
        unicode_path[rows[(kind == EXTRA_UNICODE_PATH) & inside]] = True
        zip64 = (kind == EXTRA_ZIP64) & inside & (zip64_starts[rows] < 0)
        if zip64.any():
            zip64_starts[rows[zip64]] = position[zip64] + EXTRA_HEADER.size
            zip64_lengths[rows[zip64]] = (after - position)[zip64] - EXTRA_HEADER.size
        more = after + EXTRA_HEADER.size <= stop
        rows, position, stop = rows[more], after[more], stop[more]
    return zip64_starts, zip64_lengths, unicode_path


def zip64_values(
    buffer: bytearray, filled: int, records: AnyArray, starts: AnyArray, lengths: AnyArray, faults: Faults
) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
    """Put the ZIP64 values in, field by field, where the field of the record is all ones.

    Args:
        buffer: A block of the directory.
        filled: How many bytes of it.
        records: Shape (records,). Of :data:`.signatures.RECORD_FIELDS`.
        starts: Where the ZIP64 values of each record begin, of :func:`find_extras`, and
        lengths: how many bytes they are.
        faults: Of the records.

    Returns:
        Size, compressed size and offset as uint64, disk number as int64.
    """
    values = [records[name].astype(np.uint64) for name in ("size", "compressed_size", "offset")]
    disk = records["disk"].astype(np.int64)
    taken = np.zeros(len(records), dtype=np.int64)
    short = np.zeros(len(records), dtype=bool)
    for column, width, sentinel in (*((value, 8, SENTINEL32) for value in values), (disk, 4, SENTINEL16)):
        rows = np.flatnonzero((column == sentinel) & (starts >= 0))
        if len(rows) == 0:
            continue
        fits = taken[rows] + width <= lengths[rows]
        short[rows[~fits]] = True
        rows = rows[fits]
        column[rows] = at_every_byte(buffer, filled, f"<u{width}")[starts[rows] + taken[rows]]
        taken[rows] += width
    faults.mark(short, Reason.HEADER_CORRUPT, lambda row: f"a ZIP64 field of {lengths[row]} bytes lacks a value")
    return values[0], values[1], values[2], disk
