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

from postmill.ingest.sample.zipsink import SplitKind, ZipSink
from postmill.ingest.zipformat.signatures import (
    DEFLATE,
    DIRECTORY_RECORD,
    END,
    END_SIGNATURE,
    EXTRA_ZIP64,
    FLAG_UTF8,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    RECORD_SIGNATURE,
    SENTINEL16,
    SENTINEL32,
    SPLIT_MARKER,
    STORED,
    ZIP64_END,
    ZIP64_END_SIGNATURE,
    ZIP64_LOCATOR,
    ZIP64_LOCATOR_SIGNATURE,
)
from postmill.shards.runtime.errors import UsageError

_MADE_BY = 0x031E  # 4.4.2: Unix, version 3.0, which is what Info-ZIP 3.0 writes
_NEEDED = {STORED: 10, DEFLATE: 20}  # 4.4.3.2
_NEEDED_ZIP64 = 45
_FILE_MODE = 0o100644 << 16
_FOLDER_MODE = 0o040755 << 16 | 0x10

_MTIME = 1561939200  # 2019-07-01T00:00:00Z
_MODIFIED = ((2019 - 1980) << 9 | 7 << 5 | 1) << 16  # 4.4.6: the same, the date in the upper half
# Info-ZIP's extra fields: "UT" (times, seconds since 1970) and "ux" (numeric owner and group; here root).
_OWNER_EXTRA = struct.pack("<2sHBBIBI", b"ux", 11, 1, 4, 0, 4, 0)
_LOCAL_EXTRA = struct.pack("<2sHBII", b"UT", 9, 3, _MTIME, _MTIME) + _OWNER_EXTRA
_CENTRAL_EXTRA = struct.pack("<2sHBI", b"UT", 5, 3, _MTIME) + _OWNER_EXTRA


@dataclass(frozen=True, slots=True)
class NewEntry:
    """One entry to write: a file, or a folder where ``name`` ends with a slash.

    ``method`` is what to try: as with Info-ZIP, data that deflate does not shorten is stored.
    """

    name: str
    data: bytes = b""
    method: int = DEFLATE


@dataclass(frozen=True)
class WrittenZip:
    """What was written: the parts in order, the number of entries, and the bytes of all parts together."""

    parts: tuple[Path, ...]
    entries: int
    size: int


def write_zip(
    target: Path,
    entries: Iterable[NewEntry],
    *,
    part_size: int | None = None,
    split: SplitKind = "disks",
    zip64: bool = False,
    level: int = 6,
) -> WrittenZip:
    """Write ``entries`` in their order as the zip ``target``.

    Args:
        target: The last part of a set of disks (``posts.zip`` after ``posts.z01``, ``posts.z02``, ...), the stem of a
            byte split (``posts.zip.001``, ...), or the one file.
        entries: Consumed one at a time. Kept in memory: one of them, and the directory (about 100 bytes an entry).
        part_size: Most bytes in a part; None for one file.
        split: ``disks`` is PKWARE's split (chapter 8), where a part ends early rather than cut a header; ``bytes`` is
            one zip cut every ``part_size`` bytes, as ``7z -v`` and ``split`` do.
        zip64: Use the ZIP64 records and extra fields (4.5.3) everywhere, not only where a value needs them.
        level: libdeflate's level, 1 to 12.

    Raises:
        UsageError: Files of that name are there already, ``part_size`` is less than one record, or an entry has a
            name or a method that cannot be written.
        OSError: The folder is not there or cannot be written.

    Nothing is left in the folder when an exception passes through, be it from ``entries``.
    """
    with ZipSink(target, part_size, split) as sink:
        if sink.disks:
            sink.write(SPLIT_MARKER)
        directory = bytearray()
        lengths = array("I")
        for entry in entries:
            record = _write_entry(sink, entry, zip64, level)
            directory += record
            lengths.append(len(record))
        _write_directory(sink, directory, lengths, zip64)
        return WrittenZip(sink.publish(), len(lengths), sink.size)


def _write_entry(sink: ZipSink, entry: NewEntry, zip64: bool, level: int) -> bytes:
    """Write the local header and the data of ``entry``; return its record for the directory."""
    name = entry.name.encode()
    if not 0 < len(name) <= SENTINEL16:
        raise UsageError(f"a name of {len(name)} bytes cannot be written", place=entry.name[:80])
    flags = 0 if entry.name.isascii() else FLAG_UTF8
    method, data = _compress(entry, level)
    size, packed, crc = len(entry.data), len(data), zlib.crc32(entry.data)

    long = zip64 or max(size, packed) >= SENTINEL32
    extra = struct.pack("<2H2Q", EXTRA_ZIP64, 16, size, packed) if long else b""
    extra += _LOCAL_EXTRA
    sizes = (SENTINEL32, SENTINEL32) if long else (packed, size)
    needed = _NEEDED_ZIP64 if long else _NEEDED[method]
    common = (flags, method, _MODIFIED, crc, *sizes, len(name))
    header = LOCAL_HEADER.pack(LOCAL_SIGNATURE, needed, *common, len(extra)) + name + extra

    # One byte of data stays with its header: `zip -s 0` reads the wrong bytes where a part ends between the two.
    disk, offset = sink.reserve(len(header) + (1 if data else 0))
    sink.write(header)
    sink.write(data)

    # 4.5.3: the extra field holds, in this order, those values alone whose own field is all ones.
    long_offset, long_disk = zip64 or offset >= SENTINEL32, zip64 or disk >= SENTINEL16
    wide = (struct.pack("<2Q", size, packed) if long else b"") + (struct.pack("<Q", offset) if long_offset else b"")
    wide += struct.pack("<I", disk) if long_disk else b""
    extra = (struct.pack("<2H", EXTRA_ZIP64, len(wide)) + wide if wide else b"") + _CENTRAL_EXTRA
    mode = _FOLDER_MODE if entry.name.endswith("/") else _FILE_MODE
    position = (SENTINEL16 if long_disk else disk, 0, mode, SENTINEL32 if long_offset else offset)
    needed = _NEEDED_ZIP64 if wide else needed
    record = DIRECTORY_RECORD.pack(RECORD_SIGNATURE, _MADE_BY, needed, *common, len(extra), 0, *position)
    return record + name + extra


def _compress(entry: NewEntry, level: int) -> tuple[int, bytes | bytearray]:
    """Return the method in the end and the bytes to write."""
    if entry.method not in (STORED, DEFLATE):
        raise UsageError(f"method {entry.method} cannot be written", place=entry.name[:80], hint="use 0 or 8")
    if entry.method == DEFLATE and entry.data:
        packed = deflate.deflate_compress(entry.data, level)
        if len(packed) < len(entry.data):
            return DEFLATE, packed
    return STORED, entry.data


def _write_directory(sink: ZipSink, directory: bytearray, lengths: array[int], zip64: bool) -> None:
    """Write the directory's records, none of them cut by a part, and the record or records that end the zip."""
    entries, size = len(lengths), len(directory)
    disk, offset = sink.position
    # The number of the last disk is not known yet; it cannot be more than this.
    long = zip64 or max(size, offset) >= SENTINEL32 or entries + disk >= SENTINEL16 - 1
    end_size = END.size + (ZIP64_END.size + ZIP64_LOCATOR.size if long else 0)

    records = memoryview(directory)
    start: tuple[int, int] | None = None
    on_disk, written = 0, 0  # records on the current disk, bytes of the directory
    for number, length in enumerate(lengths, 1):
        # The end is one piece with the last record: `zip -s 0` refuses a set whose last part holds nothing else.
        # It also keeps the end records on one disk, so what they call "this disk" is the same.
        position = sink.reserve(length + (end_size if number == entries else 0))
        start = start or position
        on_disk = on_disk + 1 if position[0] == disk else 1
        disk = position[0]
        sink.write(records[written : written + length])
        written += length
    start_disk, start_offset = start or sink.reserve(end_size)
    disk, end = sink.position

    if long:
        counts = (disk, start_disk, on_disk, entries, size, start_offset)
        sink.write(ZIP64_END.pack(ZIP64_END_SIGNATURE, ZIP64_END.size - 12, _MADE_BY, _NEEDED_ZIP64, *counts))
        sink.write(ZIP64_LOCATOR.pack(ZIP64_LOCATOR_SIGNATURE, disk, end, disk + 1))
    # Info-ZIP takes a whole zip for a split one where this field is all ones, so it is forced in a split one alone.
    disks = (SENTINEL16, SENTINEL16) if zip64 and disk else (min(disk, SENTINEL16), min(start_disk, SENTINEL16))
    counts16 = (SENTINEL16, SENTINEL16) if zip64 else (min(on_disk, SENTINEL16), min(entries, SENTINEL16))
    sizes = (SENTINEL32, SENTINEL32) if zip64 else (min(size, SENTINEL32), min(start_offset, SENTINEL32))
    sink.write(END.pack(END_SIGNATURE, *disks, *counts16, *sizes, 0))
