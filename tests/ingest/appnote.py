"""A writer of zips that does what PKWARE's APPNOTE allows and few writers do.

Any method and any order of the directory, data descriptors of all four layouts, ZIP64 where no value needs it, gaps,
and parts that end anywhere. It shares no code with the reader.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.ingest.archives import pack

LOCAL = struct.Struct("<4s5H3I2H")
RECORD = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
END64 = struct.Struct("<4sQHHIIQQQQ")
LOCATOR = struct.Struct("<4sIQI")
ONES32, ONES16 = 0xFFFFFFFF, 0xFFFF
DATE = 33  # the first of January 1980


@dataclass(frozen=True)
class Member:
    """One entry and how to write it."""

    name: str
    plain: bytes
    method: int = 0
    descriptor: str | None = None  # "narrow" or "wide", with "signed " before it
    zip64: frozenset[str] = frozenset()  # of "size", "packed", "offset", "disk": what the record leaves to ZIP64
    local_zip64: bool = False
    extra: bytes = b""
    comment: bytes = b""
    gap: bytes = b""  # bytes before the local header that belong to nothing

    @property
    def flags(self) -> int:
        """General purpose bits."""
        return (8 if self.descriptor else 0) | (0 if self.name.isascii() else 1 << 11)

    def packed(self) -> bytes:
        """The data as they lie in the archive."""
        return pack(self.method, self.plain)


def header(member: Member) -> bytes:
    """The local header with name and extra field."""
    packed, crc32 = member.packed(), zlib.crc32(member.plain)
    sizes = (0, 0, 0) if member.descriptor else (crc32, len(packed), len(member.plain))
    extra = member.extra
    if member.local_zip64:
        extra += struct.pack("<HHQQ", 1, 16, sizes[2], sizes[1])
        sizes = (sizes[0], ONES32, ONES32)
    name = member.name.encode()
    fixed = (45, member.flags, member.method, 0, DATE, *sizes, len(name), len(extra))
    return LOCAL.pack(b"PK\3\4", *fixed) + name + extra


def descriptor(member: Member) -> bytes:
    """What follows the data, if anything does."""
    if member.descriptor is None:
        return b""
    form = "<IQQ" if "wide" in member.descriptor else "<III"
    signature = b"PK\7\x08" if "signed" in member.descriptor else b""
    return signature + struct.pack(form, zlib.crc32(member.plain), len(member.packed()), len(member.plain))


def local(member: Member) -> bytes:
    """The gap, local header, data and descriptor of one entry."""
    return member.gap + header(member) + member.packed() + descriptor(member)


@dataclass(frozen=True)
class Form:
    """How to write an archive."""

    sizes: Sequence[int] = (1 << 40,)  # of the parts, repeated as long as there are bytes
    disks: bool = False  # PKWARE disks; otherwise one file cut into slices
    kept_whole: bool = False  # end a part early rather than cut a header or a record, as PKWARE asks
    late: bool = False  # where a part has just been filled, still name that one, as commons-compress may
    order: Sequence[int] | None = None  # of the members in the directory
    marker: bytes = b""
    zip64: str = "none"  # of the end record: "none"; "count", the number of entries alone; "all"
    breaks: frozenset[str] = frozenset()  # of "zip64 end", "locator", "end": begin a part with that record
    comment: bytes = b""


@dataclass
class _Parts:
    """Bytes that are cut into parts as they are written."""

    form: Form
    content: bytearray = field(default_factory=bytearray)
    starts: list[int] = field(default_factory=lambda: [0])

    def position(self) -> tuple[int, int]:
        """Disk and offset of the next byte, as a record names them."""
        offset, number = len(self.content), len(self.starts) - 1
        if not self.form.disks:
            return 0, offset
        if self.form.late and number and self.starts[number] == offset:
            number -= 1
        return number, offset - self.starts[number]

    def put(self, data: bytes) -> None:
        self.content += data
        while (end := self.starts[-1] + self._size(len(self.starts) - 1)) <= len(self.content):
            self.starts.append(end)

    def put_record(self, record: bytes, name: str = "") -> None:
        self.make_room(len(record), name)
        self.put(record)

    def make_room(self, length: int, name: str = "") -> None:
        """Begin a part where a record of that length, or of that name, asks for it."""
        used = len(self.content) - self.starts[-1]
        full = self.form.kept_whole and used + length > self._size(len(self.starts) - 1)
        if used and (full or name in self.form.breaks):
            self.starts.append(len(self.content))

    def last_disk(self, length: int) -> int:
        """The disk of the last of ``length`` bytes to come."""
        number, start = len(self.starts) - 1, self.starts[-1]
        while start + self._size(number) < len(self.content) + length:
            start, number = start + self._size(number), number + 1
        return number if self.form.disks else 0

    def cut(self) -> list[bytes]:
        starts = [start for start in self.starts if start < len(self.content)]
        return [bytes(self.content[a:b]) for a, b in zip(starts, [*starts[1:], len(self.content)], strict=True)]

    def _size(self, number: int) -> int:
        return self.form.sizes[number % len(self.form.sizes)]


def write_parts(members: Sequence[Member], form: Form) -> list[bytes]:
    """The parts of an archive of ``members``."""
    parts = _Parts(form)
    parts.put(form.marker)
    positions = []
    for member in members:
        parts.put(member.gap)
        parts.make_room(len(header(member)))
        positions.append(parts.position())
        parts.put(header(member) + member.packed() + descriptor(member))
    records = [
        _record(members[number], *positions[number])
        for number in (range(len(members)) if form.order is None else form.order)
    ]
    parts.make_room(len(records[0]) if records else 0)
    start = parts.position()
    for record in records:
        parts.put_record(record)
    _write_end(parts, len(records), sum(map(len, records)), start)
    return parts.cut()


def write_zip(members: Sequence[Member], **form: bytes | str | Sequence[int]) -> bytes:
    """An archive of one part."""
    (content,) = write_parts(members, Form(**form))  # type: ignore[arg-type]
    return content


def _record(member: Member, disk: int, offset: int) -> bytes:
    packed = len(member.packed())
    values = {"size": len(member.plain), "packed": packed, "offset": offset, "disk": disk}
    wide = b"".join(struct.pack("<I" if key == "disk" else "<Q", values[key]) for key in values if key in member.zip64)
    for key in member.zip64:
        values[key] = ONES16 if key == "disk" else ONES32
    extra = member.extra + (struct.pack("<HH", 1, len(wide)) + wide if wide else b"")
    name = member.name.encode()
    fixed = (45, 45, member.flags, member.method, 0, DATE, zlib.crc32(member.plain), values["packed"], values["size"])
    lengths = (len(name), len(extra), len(member.comment))
    record = RECORD.pack(b"PK\1\2", *fixed, *lengths, values["disk"], 0, 0, values["offset"])
    return record + name + extra + member.comment


def _write_end(parts: _Parts, count: int, size: int, start: tuple[int, int]) -> None:
    disk, offset = start
    tail = END.size + len(parts.form.comment)
    values = [disk, count, count, size, offset]
    if parts.form.zip64 != "none":
        parts.make_room(END64.size, "zip64 end")
        position = parts.position()
        parts.put(END64.pack(b"PK\6\6", END64.size - 12, 45, 45, position[0], disk, count, count, size, offset))
        parts.make_room(LOCATOR.size + tail, "locator")
        parts.put(LOCATOR.pack(b"PK\6\7", *position, parts.last_disk(LOCATOR.size + tail) + 1))
        values[1:3] = [ONES16] * 2
        if parts.form.zip64 == "all":
            values = [ONES16] * 3 + [ONES32] * 2
    parts.make_room(tail, "end")
    this = ONES16 if parts.form.zip64 == "all" else parts.last_disk(tail)
    parts.put(END.pack(b"PK\5\6", this, *values, len(parts.form.comment)) + parts.form.comment)
