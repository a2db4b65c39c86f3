"""Rebuild the directory of an archive whose end is lost, from its local headers.

``Walk`` goes over what is there, front to back. Where a header is not where the entry before it ends, the next one
that is plausible is searched for, and the stretch between is reported; where a central directory follows, it ends
the walk. What an entry is called and how large it is comes from its local header alone, so what only the directory
holds (comments, attributes, which entries were deleted) is lost. Format: APPNOTE 6.3.10, section 4.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from ingest.directory import RECORD_SIGNATURE, RECORD_SIZE
from ingest.entry import ENCRYPTED
from ingest.extent import LOCAL_SIGNATURE, Extent, Extents, Local, plausible, read_local
from ingest.inflate import METHODS, STORED
from ingest.names import decode, written_on_unix
from ingest.reasons import EntryFault, Reason
from ingest.records import SCHEMA
from ingest.space import AddressSpace
from ingest.window import Window

_MARKERS = (b"PK\x07\x08", b"PK00")
_END = 22  # bytes of an end record
_LOCATOR = 20  # bytes
_MOST_RECORD = 1 << 16  # bytes of records that are met without having been asked for
_ROWS = 16_384  # in a batch
_MOST_SHOWN = 20  # stretches and names to remember
_REASONS = tuple(Reason)


@dataclass
class Salvaged:
    """What a walk found, and what it could not. Complete when the walk is.

    Attributes:
        entries: How many local headers were found.
        cut: How many of these entries reach into what is not there, and the names of the first.
        skipped: Bytes that belong to no entry that was found, and where: (start, end) of the first stretches.
        directory: Where the central directory begins, if it was reached; None if it is lost.
    """

    entries: int = 0
    cut: int = 0
    cut_names: list[str] = field(default_factory=list)
    skipped: int = 0
    stretches: list[tuple[int, int]] = field(default_factory=list)
    directory: int | None = None

    def sentences(self, space: AddressSpace) -> list[str]:
        """Say it, with the parts' names."""
        reached = "up to its central directory" if self.directory is not None else "without its end, which is not there"
        said = [f"salvaged from local headers, {reached}: {self.entries} entries"]
        if self.cut:
            more = ", ..." if self.cut > len(self.cut_names) else ""
            said.append(f"{self.cut} entries are cut off: {', '.join(self.cut_names)}{more}")
        if self.skipped:
            shown = [f"{end - start} at byte {_at(space, start)}" for start, end in self.stretches]
            more = ", ..." if len(shown) == _MOST_SHOWN else ""
            said.append(f"{self.skipped} bytes belong to no entry that could be found: {', '.join(shown)}{more}")
        return said

    def skip(self, start: int, end: int) -> None:
        """Note that the bytes from ``start`` to ``end`` are not accounted for."""
        if start < end:
            self.skipped += end - start
            if len(self.stretches) < _MOST_SHOWN:
                self.stretches.append((start, end))


class Walk:
    """One pass over the local headers of ``space``; iterate over :meth:`batches`, then look at ``found``."""

    def __init__(self, space: AddressSpace) -> None:
        self.found = Salvaged()
        self._space = space
        self._window = Window(space)
        self._extents = Extents(space, self._window)
        self._in_step = True  # every record so far stood where the one before it ended

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the entries in order of place, as record batches of :data:`ingest.records.SCHEMA`.

        Memory is one batch and what one entry needs to be checked, 64 MiB at the most.

        Raises:
            PartError: A part that is there cannot be read.
        """
        rows: list[tuple[Local, Extent]] = []
        for row in self._entries():
            rows.append(row)
            if len(rows) == _ROWS:
                yield self._batch(rows)
                rows = []
        if rows:
            yield self._batch(rows)

    def _entries(self) -> Iterator[tuple[Local, Extent]]:
        for start, end in self._space.stretches():
            if start == 0 and self._window.peek(0, 4, end) in _MARKERS:
                start = 4
            yield from self._stretch(start, end)
            if self._in_step and self.found.directory is not None:
                return
            self._in_step = False

    def _stretch(self, at: int, end: int) -> Iterator[tuple[Local, Extent]]:
        """Yield the entries that begin between ``at`` and ``end``, between which nothing is missing."""
        cut = self._cut(end)
        sure = self._in_step
        while at < end:
            local = read_local(self._window, at, end, searching=not sure)
            if local is not None:
                extent = self._extents.find(local, end, cut)
                self.found.directory = None  # what looked like one was another zip's
                yield local, extent
                at, sure = extent.end, extent.sure
            else:
                after = self._directory(at, end)
                if after > at:
                    self.found.directory = self.found.directory or at
                    if self._in_step:
                        return
                at, sure = after, False
            if not sure:
                self._in_step = False
                start, at = at, self._search(at, end)
                self.found.skip(start, at)

    def _search(self, at: int, end: int) -> int:
        """Return where from ``at`` on a local header or a directory begins, or ``end``."""
        while (at := self._window.find((LOCAL_SIGNATURE, RECORD_SIGNATURE), at, end)) >= 0:
            if read_local(self._window, at, end, searching=True) is not None or self._directory(at, end) > at:
                return at
            at += 1
        return end

    def _directory(self, start: int, end: int) -> int:
        """Return where the directory and end records from ``start`` on end; ``start`` unless at least two are there.

        One is enough where what is there ends with it.
        """
        at, count = start, 0
        while at < end and (length := _record_length(self._window.peek(at, RECORD_SIZE, end))):
            at, count = at + length, count + 1
        return min(at, end) if count > 1 or at >= end else start

    def _cut(self, end: int) -> EntryFault:
        if end == self._space.size:
            return EntryFault(Reason.TRUNCATED, "reaches beyond the end of what is there")
        part = self._space.parts[self._space.part_at(end)]
        return EntryFault(Reason.PART_MISSING, f"reaches into {part.name}, which is missing")

    def _batch(self, rows: list[tuple[Local, Extent]]) -> pa.RecordBatch:
        first = self.found.entries
        self.found.entries += len(rows)
        names, codes, details = [], [], []
        for local, extent in rows:
            name, reason, detail = decode(local.raw_name, local.flags, local.extra, written_on_unix(local.extra))
            names.append(name)
            if extent.fault is not None and extent.fault.reason in (Reason.TRUNCATED, Reason.PART_MISSING):
                self.found.cut += 1
                if len(self.found.cut_names) < _MOST_SHOWN:
                    self.found.cut_names.append(name)
            if reason is None and (fault := _fault(local, extent)) is not None:
                reason, detail = fault.reason, fault.detail
            codes.append(None if reason is None else _REASONS.index(reason))
            details.append(detail)
        columns = [
            range(first, first + len(rows)),
            names,
            [local.raw_name for local, _ in rows],
            [local.offset for local, _ in rows],
            [extent.compressed_size for _, extent in rows],
            [extent.size for _, extent in rows],
            [extent.crc32 for _, extent in rows],
            [local.method for local, _ in rows],
            [local.flags for local, _ in rows],
            [len(local.raw_name) for local, _ in rows],
            [local.raw_name.endswith(b"/") for local, _ in rows],
        ]
        types = [SCHEMA.field(at).type for at in range(len(columns))]
        arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
        dictionary = pa.array([str(each) for each in _REASONS])
        faults = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), dictionary)
        return pa.RecordBatch.from_arrays([*arrays, faults, pa.array(details, pa.string())], schema=SCHEMA)


def _fault(local: Local, extent: Extent) -> EntryFault | None:
    """What the header shows beside what the search for the end has shown."""
    if extent.fault is not None:
        return extent.fault
    if local.flags & ENCRYPTED:
        return EntryFault(Reason.ENCRYPTED, f"flags {local.flags:#06x}")
    if local.method not in METHODS:
        return EntryFault(Reason.METHOD_UNSUPPORTED, f"method {local.method}")
    if local.method == STORED and extent.size != extent.compressed_size:
        return EntryFault(Reason.SIZE_MISMATCH, f"stored {extent.size} bytes in {extent.compressed_size}")
    return None


def _record_length(head: bytes) -> int:
    """Return the bytes of the directory or end record that begins with ``head``; 0 if it is none.

    APPNOTE 6.3.10, sections 4.3.11 to 4.3.16. A record that is cut off has the length that is known of it.
    """
    kind = head[:4]
    if kind == RECORD_SIGNATURE:
        lengths = (int.from_bytes(head[at : at + 2], "little") for at in (28, 30, 32))
        sane = plausible(*struct.unpack("<HH2xH", head[4:12])) if len(head) >= 12 else True
        return RECORD_SIZE + sum(lengths) if sane else 0
    if kind == b"PK\x05\x06":
        return _END + int.from_bytes(head[20:22], "little")
    if kind == b"PK\x05\x05":
        return 6 + int.from_bytes(head[4:6], "little")
    if kind == b"PK\x06\x07":
        return _LOCATOR
    if kind == b"PK\x06\x06":
        length = 12 + int.from_bytes(head[4:12], "little")
    elif kind == b"PK\x06\x08":
        length = 8 + int.from_bytes(head[4:8], "little")
    else:
        return 0
    return length if length <= _MOST_RECORD else 0


def _at(space: AddressSpace, offset: int) -> str:
    part = space.parts[space.part_at(offset)]
    return f"{offset - part.start} of {part.name}"
