"""Where an archive ends: end-of-central-directory records and their ZIP64 companions.

Format: APPNOTE 6.3.10, sections 4.3.14 (ZIP64 record), 4.3.15 (its locator) and 4.3.16 (end record).
Which of several end records is the right one is decided in :mod:`.end_choice`.
"""

from __future__ import annotations

from dataclasses import dataclass

from postmill.ingest.zipformat.signatures import (
    END,
    END_SIGNATURE,
    MOST_COMMENT,
    SENTINEL16,
    SENTINEL32,
    ZIP64_END,
    ZIP64_END_SIGNATURE,
    ZIP64_LOCATOR,
    ZIP64_LOCATOR_SIGNATURE,
)
from postmill.ingest.zipformat.space import AddressSpace

_ZEROS_READ = 1 << 20  # bytes at a time
_MOST_ZEROS = 64 << 20  # bytes behind an archive that are looked through for its end


@dataclass(frozen=True, slots=True)
class EndRecord:
    """One end record with the ZIP64 fields put in. Offsets in bytes of the address space."""

    position: int
    reaches: int  # where its comment ends; the end of the archive if all is well
    disk: int  # 0-based number of the part it lies on
    directory_disk: int
    directory_offset: int  # from the start of that disk; absolute where nothing has disks
    directory_size: int
    entries: int
    limit: int  # where the directory must end: at the ZIP64 record, or here
    zip64: bool
    notes: tuple[str, ...]  # contradictions that do no harm
    broken: str | None  # why it cannot be the right one


def end_records(space: AddressSpace) -> list[EndRecord]:
    """Return every end record that the last 64 KiB and 22 bytes may hold, the last one first.

    Where there is none, those before the zeros that the archive ends with, 64 MiB of them at most.

    Raises:
        PartError: A part cannot be read.
    """
    return _records_before(space, space.size) or _records_before(space, _before_zeros(space))


def _records_before(space: AddressSpace, stop: int) -> list[EndRecord]:
    base = max(stop - END.size - MOST_COMMENT - ZIP64_LOCATOR.size, max((end for _, end in space.holes), default=0), 0)
    length = max(stop - base, 0)
    tail = space.read(base, length)
    records: list[EndRecord] = []
    index = tail.rfind(END_SIGNATURE)
    while index >= 0:
        if index + END.size <= length:
            locator = tail[max(index - ZIP64_LOCATOR.size, 0) : index]
            records.append(_parse_end(space, base + index, tail[index : index + END.size], locator))
        index = tail.rfind(END_SIGNATURE, 0, index + len(END_SIGNATURE) - 1)
    return records


def _before_zeros(space: AddressSpace) -> int:
    """Return where the zeros begin that a file system or a transfer has filled the last part up with."""
    least = max(space.parts[-1].start, space.size - _MOST_ZEROS)
    stop = space.size
    while stop > least and not space.parts[-1].missing:
        start = max(stop - _ZEROS_READ, least)
        content = space.read(start, stop - start).rstrip(b"\0")
        if content:
            return min(start + len(content) + END.size, space.size)  # an end record itself may end with zeros
        stop = start
    return space.size


def _parse_end(space: AddressSpace, position: int, raw: bytes, locator: bytes) -> EndRecord:
    _, disk, directory_disk, _, entries, size, offset, comment = END.unpack(raw)
    record, broken = _zip64_end(space, position - ZIP64_LOCATOR.size, locator)
    notes: tuple[str, ...] = ()
    if record is not None:
        if 1 < record.disks != len(space.parts):
            notes += (f"the ZIP64 locator counts {record.disks} parts, and there are {len(space.parts)}",)
        pairs = (
            ("disk of the directory", directory_disk, record.directory_disk, SENTINEL16),
            ("number of entries", entries, record.entries, SENTINEL16),
            ("size of the directory", size, record.directory_size, SENTINEL32),
            ("offset of the directory", offset, record.directory_offset, SENTINEL32),
        )
        notes += tuple(
            f"the end record gives {narrow} as {what}, its ZIP64 record {wide}"
            for what, narrow, wide, sentinel in pairs
            if narrow not in (sentinel, wide)
        )
        directory_disk, entries, size, offset = (
            wide if narrow == sentinel else narrow for _, narrow, wide, sentinel in pairs
        )
        if disk == SENTINEL16:
            # The ZIP64 record names the disk it lies on itself, which may be an earlier one.
            disk = max(record.disk, record.disks - 1)
    elif broken is None and offset == SENTINEL32 and disk == directory_disk == 0 and size <= position:
        # Info-ZIP does so when it writes ZIP64 to a pipe. The directory ends here, whatever it says.
        offset = position - size
        notes += ("the end record does not say where the directory begins, and has no ZIP64 record",)
    elif SENTINEL16 not in (disk, directory_disk, entries) and SENTINEL32 not in (size, offset):
        broken = None  # no value is left to a ZIP64 record, so a stray locator does no harm
    return EndRecord(
        position=position,
        reaches=position + END.size + comment,
        disk=disk,
        directory_disk=directory_disk,
        directory_offset=offset,
        directory_size=size,
        entries=entries,
        limit=position if record is None else record.position,
        zip64=record is not None,
        notes=notes,
        broken=broken,
    )


@dataclass(frozen=True, slots=True)
class _Zip64End:
    """A ZIP64 end record, and the number of disks from its locator."""

    position: int
    disks: int  # Windows writes 0 for 1
    disk: int
    directory_disk: int
    entries: int
    directory_size: int
    directory_offset: int


def _zip64_end(space: AddressSpace, locator_offset: int, locator: bytes) -> tuple[_Zip64End | None, str | None]:
    """Return the ZIP64 record that ``locator`` points to, if it is one, or why the record is not there."""
    if len(locator) < ZIP64_LOCATOR.size or not locator.startswith(ZIP64_LOCATOR_SIGNATURE):
        return None, None
    _, part, offset, disks = ZIP64_LOCATOR.unpack(locator)
    # Right before its locator is where it lies in an archive with something in front of it.
    last = locator_offset - ZIP64_END.size
    positions = [last]
    if part < len(space.parts):
        positions.insert(0, space.parts[part].start + offset)
    for position in positions:
        if 0 <= position <= last:
            raw = space.read(position, ZIP64_END.size)
            signature, _, _, _, disk, directory_disk, _, entries, size, start = ZIP64_END.unpack(raw)
            if signature == ZIP64_END_SIGNATURE:
                return _Zip64End(position, disks, disk, directory_disk, entries, size, start), None
    return None, f"its ZIP64 record is not at byte {offset} of part {part + 1}, where its locator points"
