"""Writes zips as Info-ZIP's ``zip -s`` does: split into disks, in one stream, whole or not at all.

Used for sample data, tests and benchmarks; postmill itself only reads archives. The format is PKWARE's APPNOTE
6.3.10; section numbers below are of that document. Times, owners and modes are fixed, so the same members
give the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import deflate

from ingest.zipsink import Sink, Split
from shards.errors import UsageError

STORED = 0
DEFLATED = 8

SPLIT_MARKER = b"PK\x07\x08"  # chapter 8: the first four bytes of a split archive
_LOCAL = struct.Struct("<4s5H3I2H")  # 4.3.7
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # 4.3.12
_EOCD64 = struct.Struct("<4sQ2H2I4Q")  # 4.3.14
_LOCATOR64 = struct.Struct("<4sIQI")  # 4.3.15
_EOCD = struct.Struct("<4s4H2IH")  # 4.3.16

_MAX16 = 0xFFFF
_MAX32 = 0xFFFFFFFF
_UTF8_NAME = 1 << 11  # 4.4.4, bit 11
_MADE_BY = 0x031E  # 4.4.2: Unix, version 3.0, which is what Info-ZIP 3.0 writes
_FILE_MODE = 0o100644 << 16
_FOLDER_MODE = 0o040755 << 16 | 0x10

_MTIME = 1561939200  # 2019-07-01T00:00:00Z
_DOS_TIME = 0
_DOS_DATE = (2019 - 1980) << 9 | 7 << 5 | 1  # 4.4.6
# Info-ZIP's extra fields: "UT" (times, seconds since 1970) and "ux" (numeric owner and group; here root).
_OWNER_EXTRA = struct.pack("<2sHBBIBI", b"ux", 11, 1, 4, 0, 4, 0)
_LOCAL_EXTRA = struct.pack("<2sHBII", b"UT", 9, 3, _MTIME, _MTIME) + _OWNER_EXTRA
_CENTRAL_EXTRA = struct.pack("<2sHBI", b"UT", 5, 3, _MTIME) + _OWNER_EXTRA


@dataclass(frozen=True, slots=True)
class Member:
    """One entry to write: a file, or a folder where ``name`` ends with a slash.

    ``method`` is what to try: as with Info-ZIP, data that deflate does not shorten is stored.
    """

    name: str
    data: bytes = b""
    method: int = DEFLATED


@dataclass(frozen=True)
class WrittenZip:
    """What was written: the parts in order, the number of entries, and the bytes of all parts together."""

    parts: tuple[Path, ...]
    entries: int
    size: int


def write_zip(
    target: Path,
    members: Iterable[Member],
    *,
    part_size: int | None = None,
    split: Split = "disks",
    zip64: bool = False,
    level: int = 6,
) -> WrittenZip:
    """Write ``members`` in their order as the zip ``target``.

    Args:
        target: The last part of a set of disks (``posts.zip`` after ``posts.z01``, ``posts.z02``, ...), the stem of a
            byte split (``posts.zip.001``, ...), or the one file.
        members: Consumed one at a time. Kept in memory: one member, and the directory (about 100 bytes an entry).
        part_size: Most bytes in a part; None for one file.
        split: ``disks`` is PKWARE's split (chapter 8), where a part ends early rather than cut a header; ``bytes`` is
            one zip cut every ``part_size`` bytes, as ``7z -v`` and ``split`` do.
        zip64: Use the ZIP64 records and extra fields (4.5.3) everywhere, not only where a value needs them.
        level: libdeflate's level, 1 to 12.

    Raises:
        UsageError: Files of that name are there already, ``part_size`` is less than one record, or a member has a
            name or a method that cannot be written.
        OSError: The folder is not there or cannot be written.

    Nothing is left in the folder when an exception passes through, be it from ``members``.
    """
    with Sink(target, part_size, split) as sink:
        if sink.disks:
            sink.write(SPLIT_MARKER)
        directory = bytearray()
        lengths = array("I")
        for member in members:
            record = _write_member(sink, member, zip64, level)
            directory += record
            lengths.append(len(record))
        _write_directory(sink, directory, lengths, zip64)
        return WrittenZip(sink.publish(), len(lengths), sink.size)


def _write_member(sink: Sink, member: Member, zip64: bool, level: int) -> bytes:
    """Write the local header and the data of ``member``; return its record for the directory."""
    name = member.name.encode()
    if not 0 < len(name) <= _MAX16:
        raise UsageError(f"a name of {len(name)} bytes cannot be written", place=member.name[:80])
    flags = 0 if member.name.isascii() else _UTF8_NAME
    method, data = _compress(member, level)
    size, packed, crc = len(member.data), len(data), zlib.crc32(member.data)

    long = zip64 or max(size, packed) >= _MAX32
    extra = struct.pack("<2H2Q", 1, 16, size, packed) if long else b""
    extra += _LOCAL_EXTRA
    sizes = (_MAX32, _MAX32) if long else (packed, size)
    needed = 45 if long else 20 if method == DEFLATED else 10
    common = (flags, method, _DOS_TIME, _DOS_DATE, crc, *sizes, len(name))
    header = _LOCAL.pack(b"PK\x03\x04", needed, *common, len(extra)) + name + extra

    # One byte of data stays with its header: `zip -s 0` reads the wrong bytes where a part ends between the two.
    disk, offset = sink.place(len(header) + (1 if data else 0))
    sink.write(header)
    sink.write(data)

    # 4.5.3: the extra field holds, in this order, those values alone whose own field is all ones.
    far, many = zip64 or offset >= _MAX32, zip64 or disk >= _MAX16
    wide = (struct.pack("<2Q", size, packed) if long else b"") + (struct.pack("<Q", offset) if far else b"")
    wide += struct.pack("<I", disk) if many else b""
    extra = (struct.pack("<2H", 1, len(wide)) + wide if wide else b"") + _CENTRAL_EXTRA
    mode = _FOLDER_MODE if member.name.endswith("/") else _FILE_MODE
    place = (_MAX16 if many else disk, 0, mode, _MAX32 if far else offset)
    return _CENTRAL.pack(b"PK\x01\x02", _MADE_BY, 45 if wide else needed, *common, len(extra), 0, *place) + name + extra


def _compress(member: Member, level: int) -> tuple[int, bytes | bytearray]:
    """Return the method in the end and the bytes to write."""
    if member.method not in (STORED, DEFLATED):
        raise UsageError(f"method {member.method} cannot be written", place=member.name[:80], hint="use 0 or 8")
    if member.method == DEFLATED and member.data:
        packed = deflate.deflate_compress(member.data, level)
        if len(packed) < len(member.data):
            return DEFLATED, packed
    return STORED, member.data


def _write_directory(sink: Sink, directory: bytearray, lengths: array[int], zip64: bool) -> None:
    """Write the directory's records, none of them cut by a part, and the record or records that end the zip."""
    entries, size = len(lengths), len(directory)
    disk, offset = sink.here
    # The number of the last disk is not known yet; it cannot be more than this.
    long = zip64 or max(size, offset) >= _MAX32 or entries + disk >= _MAX16 - 1
    end_size = _EOCD.size + (_EOCD64.size + _LOCATOR64.size if long else 0)

    records = memoryview(directory)
    start: tuple[int, int] | None = None
    here, at = 0, 0
    for i, length in enumerate(lengths, 1):
        # The end is one piece with the last record: `zip -s 0` refuses a set whose last part holds nothing else.
        # It also keeps the end records on one disk, so what they call "this disk" is the same.
        place = sink.place(length + (end_size if i == entries else 0))
        start = start or place
        here = here + 1 if place[0] == disk else 1
        disk = place[0]
        sink.write(records[at : at + length])
        at += length
    start_disk, start_offset = start or sink.place(end_size)
    disk, end = sink.here

    if long:
        counts = (disk, start_disk, here, entries, size, start_offset)
        sink.write(_EOCD64.pack(b"PK\x06\x06", _EOCD64.size - 12, _MADE_BY, 45, *counts))
        sink.write(_LOCATOR64.pack(b"PK\x06\x07", disk, end, disk + 1))
    # Info-ZIP takes a whole zip for a split one where this field is all ones, so it is forced in a split one alone.
    disks = (_MAX16, _MAX16) if zip64 and disk else (min(disk, _MAX16), min(start_disk, _MAX16))
    counts16 = (_MAX16, _MAX16) if zip64 else (min(here, _MAX16), min(entries, _MAX16))
    sizes = (_MAX32, _MAX32) if zip64 else (min(size, _MAX32), min(start_offset, _MAX32))
    sink.write(_EOCD.pack(b"PK\x05\x06", *disks, *counts16, *sizes, 0))
