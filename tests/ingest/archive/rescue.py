"""What salvage makes of an archive, and what a sound one holds where."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.faults import EntryFault
from postmill.shards.formats.reasons import Reason


@dataclass
class Rescue:
    """What salvage made of an archive."""

    good: dict[str, bytes]
    faults: dict[str, Reason]
    warnings: str


class Extent(NamedTuple):
    """Where an entry of a sound archive begins and ends, and its data."""

    start: int
    end: int
    data: bytes


def rescue(source: Any) -> Rescue:
    """Salvage everything; what is streamed, read alone and read in pieces is the same."""
    good: dict[str, bytes] = {}
    faults: dict[str, Reason] = {}
    with Archive.open(source, salvage=True) as archive:
        for entry, data in archive.stream():
            try:
                alone: bytes | Reason = archive.read(entry)
                assert b"".join(archive.pieces(entry)) == alone
            except EntryFault as fault:
                alone = fault.reason
            assert alone == (data.reason if isinstance(data, EntryFault) else data)
            if isinstance(data, EntryFault):
                faults[entry.name] = data.reason
            else:
                assert entry.name not in good
                good[entry.name] = data
        for entry in archive.entries():
            if entry.offset >= archive.directory.start:
                faults[entry.name] = entry.fault or Reason.OVERLAP
        return Rescue(good, faults, "; ".join(archive.directory.warnings))


def extents(source: Any) -> dict[str, Extent]:
    """Where each entry of a sound archive lies."""
    with Archive.open(source, strict=True) as archive:
        known = {}
        for entry, data in archive.stream():
            assert isinstance(data, bytes)
            header = archive.space.read(entry.offset, 30)
            end = entry.offset + 30 + sum(struct.unpack("<HH", header[26:])) + entry.compressed_size
            if header[6] & 8:
                end = entry.limit
            known[entry.name] = Extent(entry.offset, end, data)
        return known


def cut_everywhere(path: Path, known: dict[str, Extent], cuts: range) -> None:
    """Check that what lies before each cut is salvaged, and nothing else."""
    content = path.read_bytes()
    short = path.with_name("short.zip")
    for cut in cuts:
        short.write_bytes(content[:cut])
        saved = rescue(short)
        assert saved.good == {name: extent.data for name, extent in known.items() if extent.end <= cut}, cut
        assert set(saved.faults) <= {name for name, extent in known.items() if extent.end > cut}, cut
        assert len(saved.faults) <= 1
