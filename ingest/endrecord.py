"""Where an archive ends: end-of-central-directory records and their ZIP64 companions.

Format: APPNOTE 6.3.10, sections 4.3.14 (ZIP64 record), 4.3.15 (its locator) and 4.3.16 (end record).
Which of several end records is the right one is decided in :mod:`ingest.directory`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ingest.space import AddressSpace

END_SIGNATURE = b"PK\x05\x06"
_END = struct.Struct("<4sHHHHIIH")
_LOCATOR = struct.Struct("<4sIQI")
_RECORD = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_RECORD_SIGNATURE = b"PK\x06\x06"
_MOST_COMMENT = 0xFFFF


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

    Raises:
        PartError: A part cannot be read.
    """
    length = min(space.size, _END.size + _MOST_COMMENT + _LOCATOR.size)
    base = max(space.size - length, max((end for _, end in space.holes), default=0))
    length = space.size - base
    tail = space.read(base, length)
    found: list[EndRecord] = []
    at = tail.rfind(END_SIGNATURE)
    while at >= 0:
        if at + _END.size <= length:
            locator = tail[max(at - _LOCATOR.size, 0) : at]
            found.append(_parse(space, base + at, tail[at : at + _END.size], locator))
        at = tail.rfind(END_SIGNATURE, 0, at + len(END_SIGNATURE) - 1)
    return found


def _parse(space: AddressSpace, position: int, raw: bytes, locator: bytes) -> EndRecord:
    _, disk, directory_disk, _, entries, size, offset, comment = _END.unpack(raw)
    record, broken = _zip64(space, position - _LOCATOR.size, locator)
    notes: tuple[str, ...] = ()
    if record is not None:
        if 1 < record.disks != len(space.parts):
            notes += (f"the ZIP64 locator counts {record.disks} parts, and there are {len(space.parts)}",)
        pairs = (
            ("disk of the directory", directory_disk, record.directory_disk, 0xFFFF),
            ("number of entries", entries, record.entries, 0xFFFF),
            ("size of the directory", size, record.directory_size, 0xFFFFFFFF),
            ("offset of the directory", offset, record.directory_offset, 0xFFFFFFFF),
        )
        notes += tuple(
            f"the end record gives {narrow} as {what}, its ZIP64 record {wide}"
            for what, narrow, wide, ones in pairs
            if narrow not in (ones, wide)
        )
        directory_disk, entries, size, offset = (wide if narrow == ones else narrow for _, narrow, wide, ones in pairs)
        if disk == 0xFFFF:
            # The ZIP64 record names the disk it lies on itself, which may be an earlier one.
            disk = max(record.disk, record.disks - 1)
    elif broken is None and offset == 0xFFFFFFFF and disk == directory_disk == 0 and size <= position:
        # Info-ZIP does so when it writes ZIP64 to a pipe. The directory ends here, whatever it says.
        offset = position - size
        notes += ("the end record does not say where the directory begins, and has no ZIP64 record",)
    elif 0xFFFF not in (disk, directory_disk, entries) and 0xFFFFFFFF not in (size, offset):
        broken = None  # nothing is wanted of a ZIP64 record, so a stray locator does no harm
    return EndRecord(
        position=position,
        reaches=position + _END.size + comment,
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
class _Zip64:
    """A ZIP64 end record, and the number of disks from its locator."""

    position: int
    disks: int  # Windows writes 0 for 1
    disk: int
    directory_disk: int
    entries: int
    directory_size: int
    directory_offset: int


def _zip64(space: AddressSpace, locator_at: int, locator: bytes) -> tuple[_Zip64 | None, str | None]:
    """Return the ZIP64 record that ``locator`` points to, if it is one, or why the record is not there."""
    if len(locator) < _LOCATOR.size or not locator.startswith(_LOCATOR_SIGNATURE):
        return None, None
    _, part, offset, disks = _LOCATOR.unpack(locator)
    # The second place serves an archive with something in front of it.
    places = [locator_at - _RECORD.size]
    if part < len(space.parts):
        places.insert(0, space.parts[part].start + offset)
    for at in places:
        if 0 <= at <= locator_at - _RECORD.size:
            head, _, _, _, disk, directory_disk, _, entries, size, start = _RECORD.unpack(space.read(at, _RECORD.size))
            if head == _RECORD_SIGNATURE:
                return _Zip64(at, disks, disk, directory_disk, entries, size, start), None
    return None, f"its ZIP64 record is not at byte {offset} of part {part + 1}, where its locator points"
