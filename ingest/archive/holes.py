"""Entries of a whole directory that lie on parts which are not there, or were cut short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from postmill.ingest.zipformat.faults import with_faults
from postmill.ingest.zipformat.local_header import descriptor_size, header_size
from postmill.ingest.zipformat.signatures import (
    FLAG_DESCRIPTOR,
    LOCAL_HEADER,
    MOST_DESCRIPTOR,
    MOST_LOCAL_HEADER,
    NOWHERE,
)
from postmill.ingest.zipformat.space import AddressSpace
from postmill.ingest.zipformat.unaligned import AnyArray
from postmill.shards.formats.reasons import Reason


def first_entries(space: AddressSpace, batches: Iterable[pa.RecordBatch]) -> AnyArray:
    """Return for each part the lowest offset of an entry on it or a later part."""
    starts = np.array([part.start for part in space.parts], dtype=np.uint64)
    first = np.full(len(starts), NOWHERE, dtype=np.uint64)
    for batch in batches:
        offset = batch["offset"].to_numpy()
        offset = offset[offset < np.uint64(space.size)]
        np.minimum.at(first, np.searchsorted(starts, offset, side="right") - 1, offset)
    return np.minimum.accumulate(first[::-1])[::-1]


def mark_holes(space: AddressSpace, first: AnyArray, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield ``batches`` (of :data:`.directory_records.SCHEMA`) with a fault for entries that are not wholly there.

    An entry that lies on a missing part or reaches into one is ``part_missing``. One that reaches beyond an entry that
    begins on a later part is ``truncated``: its own part is shorter than it was. Reads a header for each entry of
    which the directory alone does not show on which side of a boundary it ends.

    Args:
        space: All parts, with holes for those that are missing.
        first: From :func:`first_entries`.
        batches: The directory.

    Raises:
        PartError: A part that is there cannot be read.
    """
    starts = np.array([part.start for part in space.parts], dtype=np.uint64)
    holes = np.array([*space.holes, (NOWHERE, NOWHERE)], dtype=np.uint64)
    later = np.append(first, np.uint64(NOWHERE))
    for batch in batches:
        rows = np.flatnonzero(batch["fault"].is_null().to_numpy(zero_copy_only=False))
        columns = ("offset", "compressed_size", "name_length")
        offset, packed, names = (batch[name].to_numpy()[rows].astype(np.uint64) for name in columns)
        end = offset + packed + names + np.uint64(LOCAL_HEADER.size)
        hole = holes[np.searchsorted(holes[:-1, 1], offset, side="right"), 0]
        faults: dict[int, tuple[Reason, str]] = {}
        for index in np.flatnonzero(hole < end + np.uint64(MOST_LOCAL_HEADER + MOST_DESCRIPTOR)).tolist():
            row, edge = int(rows[index]), int(hole[index])
            if edge < int(end[index]) or _reaches(space, batch, row, edge):
                part = space.parts[space.part_at(max(edge, int(offset[index])))]
                faults[row] = Reason.PART_MISSING, f"lies on {part.name}, which is missing, or reaches into it"
        part_of = np.searchsorted(starts, offset, side="right") - 1
        for index in np.flatnonzero(end > later[part_of + 1]).tolist():
            name, next_entry = space.parts[int(part_of[index])].name, later[part_of[index] + 1]
            detail = f"reaches beyond the entry at {next_entry}, on a later part; {name} was cut short"
            faults.setdefault(int(rows[index]), (Reason.TRUNCATED, detail))
        yield with_faults(batch, faults)


def _reaches(space: AddressSpace, batch: pa.RecordBatch, row: int, edge: int) -> bool:
    """Tell, from its local header, whether an entry reaches beyond ``edge``."""
    offset, crc32, packed, size = (
        int(batch[name][row].as_py()) for name in ("offset", "crc32", "compressed_size", "size")
    )
    if offset + LOCAL_HEADER.size > edge:
        return True
    header = space.read(offset, LOCAL_HEADER.size)
    _, _, flags, *_ = LOCAL_HEADER.unpack(header)
    end = offset + header_size(header) + packed
    if end > edge or not flags & FLAG_DESCRIPTOR:
        return end > edge
    after = space.read(end, min(MOST_DESCRIPTOR, edge - end))
    return descriptor_size(after, 0, len(after), crc32, packed, size) == 0
