"""Rebuild the directory of an archive whose end is lost, from its local headers.

``Walk`` goes over what is there, front to back. Where a header is not where the entry before it ends, the next one
that is plausible is searched for, and the stretch between is reported; where a central directory follows, it ends
the walk. What an entry is called and how large it is comes from its local header alone, so what only the directory
holds (comments, attributes, which entries were deleted) is lost. Format: APPNOTE 6.3.10, section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from postmill.ingest.archive.salvage_extent import Extent, Extents
from postmill.ingest.archive.salvage_header import LocalHeader, plausible, read_local_header
from postmill.ingest.zipformat.directory_records import SCHEMA
from postmill.ingest.zipformat.entry_names import ENDS_OPEN, decode, written_on_unix
from postmill.ingest.zipformat.faults import EntryFault, Faults
from postmill.ingest.zipformat.lookahead import Lookahead
from postmill.ingest.zipformat.methods.decoder import METHODS
from postmill.ingest.zipformat.signatures import (
    ARCHIVE_EXTRA_SIGNATURE,
    DIGITAL_SIGNATURE,
    DIRECTORY_RECORD,
    END,
    END_SIGNATURE,
    FLAG_ENCRYPTED,
    LOCAL_SIGNATURE,
    RECORD_LENGTHS,
    RECORD_SIGNATURE,
    SINGLE_MARKER,
    SPLIT_MARKER,
    STORED,
    ZIP64_END_SIGNATURE,
    ZIP64_LOCATOR,
    ZIP64_LOCATOR_SIGNATURE,
    method_name,
)
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.reasons import Reason

_MOST_UNASKED = 1 << 16  # bytes of a record that is of no use here; a longer one is not believed
_BATCH_ROWS = 16_384
_EXAMPLES = 20  # stretches and names to remember


@dataclass
class Salvaged:
    """What a walk over local headers saw. Complete when the walk is.

    Attributes:
        entries: How many local headers there are.
        cut: How many of these entries reach into what is not there, and
        cut_names: the names of the first.
        skipped: Bytes that belong to no entry, and
        stretches: where the first of them lie: (start, end).
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
        sentences = [f"salvaged from local headers, {reached}: {self.entries} entries"]
        if self.cut:
            more = ", ..." if self.cut > len(self.cut_names) else ""
            sentences.append(f"{self.cut} entries are cut off: {', '.join(self.cut_names)}{more}")
        if self.skipped:
            shown = [f"{end - start} at byte {_position(space, start)}" for start, end in self.stretches]
            more = ", ..." if len(shown) == _EXAMPLES else ""
            sentences.append(f"{self.skipped} bytes belong to no entry that could be found: {', '.join(shown)}{more}")
        return sentences

    def skip(self, start: int, end: int) -> None:
        """Note that the bytes from ``start`` to ``end`` are not accounted for."""
        if start < end:
            self.skipped += end - start
            if len(self.stretches) < _EXAMPLES:
                self.stretches.append((start, end))


class Walk:
    """One pass over the local headers of ``space``; iterate over :meth:`batches`, then look at ``salvaged``."""

    def __init__(self, space: AddressSpace) -> None:
        self.salvaged = Salvaged()
        self._space = space
        self._lookahead = Lookahead(space)
        self._extents = Extents(space, self._lookahead)
        self._in_step = True  # every record so far stood where the one before it ended

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the entries in order of place, as record batches of :data:`.directory_records.SCHEMA`.

        Memory is one batch and what one entry needs to be checked, 64 MiB at the most.

        Raises:
            PartError: A part that is there cannot be read.
        """
        rows: list[tuple[LocalHeader, Extent]] = []
        for row in self._entries():
            rows.append(row)
            if len(rows) == _BATCH_ROWS:
                yield self._batch(rows)
                rows = []
        if rows:
            yield self._batch(rows)

    def _entries(self) -> Iterator[tuple[LocalHeader, Extent]]:
        for start, end in self._space.stretches():
            if start == 0 and self._lookahead.peek(0, 4, end) in (SPLIT_MARKER, SINGLE_MARKER):
                start = 4
            yield from self._stretch(start, end)
            if self._in_step and self.salvaged.directory is not None:
                return
            self._in_step = False

    def _stretch(self, position: int, end: int) -> Iterator[tuple[LocalHeader, Extent]]:
        """Yield the entries that begin between ``position`` and ``end``, between which nothing is missing."""
        cut = self._cut(end)
        sure = self._in_step
        first = position
        while position < end:
            local = read_local_header(self._lookahead, position, end, searching=not sure)
            if local is not None:
                extent = self._extents.find(local, end, cut)
                self.salvaged.directory = None  # what looked like one was another zip's
                yield local, extent
                position, sure = extent.end, extent.sure
            else:
                after = self._directory(position, end)
                if after > position:
                    self.salvaged.directory = self.salvaged.directory or position
                    if self._in_step and position > first:  # one in front of all entries is of parts in another order
                        return
                position, sure = after, False
            if not sure:
                self._in_step = False
                start, position = position, self._search(position, end)
                self.salvaged.skip(start, position)

    def _search(self, position: int, end: int) -> int:
        """Return where from ``position`` on a local header or a directory begins, or ``end``."""
        while (position := self._lookahead.find((LOCAL_SIGNATURE, RECORD_SIGNATURE), position, end)) >= 0:
            if read_local_header(self._lookahead, position, end, searching=True) is not None:
                return position
            if self._directory(position, end) > position:
                return position
            position += 1
        return end

    def _directory(self, start: int, end: int) -> int:
        """Return where the directory and end records from ``start`` on end; ``start`` unless at least two are there.

        One is enough where what is there ends with it.
        """
        position, count = start, 0
        while position < end and (length := _record_length(self._lookahead.peek(position, DIRECTORY_RECORD.size, end))):
            position, count = position + length, count + 1
        return min(position, end) if count > 1 or position >= end else start

    def _cut(self, end: int) -> EntryFault:
        if end == self._space.size:
            return EntryFault(Reason.TRUNCATED, "reaches beyond the end of what is there")
        part = self._space.parts[self._space.part_at(end)]
        return EntryFault(Reason.PART_MISSING, f"reaches into {part.name}, which is missing")

    def _batch(self, rows: list[tuple[LocalHeader, Extent]]) -> pa.RecordBatch:
        first = self.salvaged.entries
        self.salvaged.entries += len(rows)
        names: list[str] = []
        faults = Faults(len(rows))
        for row, (local, extent) in enumerate(rows):
            entry = decode(local.raw_name, local.flags, local.extra, written_on_unix(local.extra))
            names.append(entry.name)
            if extent.fault is not None and extent.fault.reason in (Reason.TRUNCATED, Reason.PART_MISSING):
                self.salvaged.cut += 1
                if len(self.salvaged.cut_names) < _EXAMPLES:
                    self.salvaged.cut_names.append(entry.name)
            if entry.reason is not None:
                faults.put(row, entry.reason, entry.detail or "")
            elif (fault := _header_fault(local, extent)) is not None:
                faults.put(row, fault.reason, fault.detail)
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
            [_is_folder(local, extent) for local, extent in rows],
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=False)]
        return pa.RecordBatch.from_arrays([*arrays, *faults.columns()], schema=SCHEMA)


def _is_folder(local: LocalHeader, extent: Extent) -> bool:
    return local.raw_name.endswith(b"/") or (local.raw_name.endswith(b"\\") and extent.size == 0)


def _header_fault(local: LocalHeader, extent: Extent) -> EntryFault | None:
    """What the header shows beside what the search for the end has shown."""
    if extent.fault is not None:
        return extent.fault
    if local.raw_name.endswith(b"\\") and extent.size > 0:
        return EntryFault(Reason.NAME_HOSTILE, ENDS_OPEN)
    if local.flags & FLAG_ENCRYPTED:
        return EntryFault(Reason.ENCRYPTED, f"flags {local.flags:#06x}")
    if local.method not in METHODS:
        return EntryFault(Reason.METHOD_UNSUPPORTED, method_name(local.method))
    if local.method == STORED and extent.size != extent.compressed_size:
        return EntryFault(Reason.SIZE_MISMATCH, f"stored {extent.size} bytes in {extent.compressed_size}")
    return None


def _record_length(head: bytes) -> int:
    """Return the bytes of the directory or end record that begins with ``head``; 0 if it is none.

    APPNOTE 6.3.10, sections 4.3.11 to 4.3.16. A record that is cut off has the length that is known of it.
    """
    signature, cut = head[:4], len(head) < 12
    head = head.ljust(DIRECTORY_RECORD.size, b"\0")
    if signature == RECORD_SIGNATURE:
        _, made_by, needed, _, method, *_ = DIRECTORY_RECORD.unpack(head)
        known = cut or plausible(made_by, needed, method)
        return DIRECTORY_RECORD.size + sum(RECORD_LENGTHS.unpack_from(head)) if known else 0
    if signature == END_SIGNATURE:
        *_, comment = END.unpack_from(head)
        return END.size + int(comment)
    if signature == ZIP64_LOCATOR_SIGNATURE:
        return ZIP64_LOCATOR.size
    if signature == DIGITAL_SIGNATURE:
        return 6 + int.from_bytes(head[4:6], "little")
    # The other two state how many bytes follow their length, which has 8 or 4 bytes.
    width = {ZIP64_END_SIGNATURE: 8, ARCHIVE_EXTRA_SIGNATURE: 4}.get(signature)
    if width is None:
        return 0
    length = 4 + width + int.from_bytes(head[4 : 4 + width], "little")
    return length if length <= _MOST_UNASKED else 0


def _position(space: AddressSpace, offset: int) -> str:
    part = space.parts[space.part_at(offset)]
    return f"{offset - part.start} of {part.name}"
