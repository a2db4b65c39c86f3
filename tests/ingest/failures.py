"""One zip a fault, each under the message that a reader of it must see.

What is wrong with one entry is ``reason: detail``; what is wrong with an archive is an error or a warning. Every zip
is sound but for its one fault, and written here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from postmill.ingest.zipformat.entry_names import ENDS_OPEN
from postmill.shards.formats.reasons import Reason
from tests.ingest.appnote import END, LOCAL, RECORD, Member, local, write_zip
from tests.ingest.archives import patched
from tests.ingest.split_sets import tree

# Where the fields are: offset in the local header, offset in the directory record, and width.
_FIELDS = {
    "flags": (6, 8, "<H"),
    "method": (8, 10, "<H"),
    "crc32": (14, 16, "<I"),
    "packed": (18, 20, "<I"),
    "size": (22, 24, "<I"),
    "disk": (None, 34, "<H"),
    "offset": (None, 42, "<I"),
}

Outcome = Reason | bytes


@dataclass(frozen=True)
class Failure:
    """An archive with one fault."""

    message: str
    content: Callable[[], bytes]
    outcomes: tuple[Outcome, ...]  # of its entries, in the directory's order


def of_names(*names: str) -> Callable[[], bytes]:
    """Entries that hold their position, from 1."""
    return lambda: write_zip([Member(name, b"%d" % number) for number, name in enumerate(names, 1)])


def changed(content: bytes, *, where: str = "both", **fields: int) -> bytes:
    """``content`` with other ``fields`` in the last entry's local header, its directory record, or both."""
    for name, value in fields.items():
        in_local, in_record, form = _FIELDS[name]
        if in_local is not None and where != "record":
            content = patched(content, content.rindex(b"PK\3\4") + in_local, form, value)
        if where != "local":
            content = patched(content, content.rindex(b"PK\1\2") + in_record, form, value)
    return content


def two(**changes: int | str) -> Callable[[], bytes]:
    """Entries a and b that hold 1 and 2, the second one changed."""
    return lambda: changed(of_names("a", "b")(), **changes)  # type: ignore[arg-type]


def bomb(plain: bytes, declared: int) -> bytes:
    return changed(write_zip([Member("a", plain, 8)]), size=declared)


def huge() -> bytes:
    """An entry that declares 2 to the 60 bytes, in both ZIP64 fields."""
    content = write_zip([Member("a", bytes(100_000), 8, zip64=frozenset({"size"}), local_zip64=True)])
    return content.replace(struct.pack("<Q", 100_000), struct.pack("<Q", 1 << 60))


def far() -> bytes:
    """An offset that is negative in 64 bits with a sign."""
    content = write_zip([Member("a", b"1", zip64=frozenset({"offset"}))])
    return patched(content, content.index(struct.pack("<HH", 1, 8)) + 4, "<Q", (1 << 63) + 5)


def zip64_short() -> bytes:
    return changed(write_zip([Member("a", b"1", zip64=frozenset({"size"}))]), where="record", packed=0xFFFFFFFF)


def undecodable() -> bytes:
    return write_zip([Member("é.jpg", b"1")]).replace("é".encode(), b"\xff\xfe")


def other_name() -> bytes:
    return of_names("a.jpg")().replace(b"a.jpg", b"b.jpg", 1)


def other_descriptor() -> bytes:
    content = write_zip([Member("a", b"1", descriptor="signed narrow")])
    return patched(content, content.index(b"PK\7\x08") + 8, "<I", 7)


def other_signature() -> bytes:
    return b"??" + of_names("a")()[2:]


def cut_data() -> bytes:
    """A block of deflate that announces 5 bytes and has 2."""
    return changed(write_zip([Member("a", b"\1\5\0\xfa\xffab")]), method=8, size=5)


def sharing() -> bytes:
    """200 entries on one kernel that is a megabyte of zeros."""
    kernel = Member("0000", bytes(1 << 20), 8)
    content = write_zip([kernel])
    record = content[content.index(b"PK\1\2") : -END.size]
    directory = b"".join(record.replace(b"0000", b"%04d" % number) for number in range(200))
    return local(kernel) + directory + END.pack(b"PK\5\6", 0, 0, 200, 200, len(directory), len(local(kernel)), 0)


def quoting() -> bytes:
    """60 entries each of which quotes the next one's header and shares its data (Fifield, A better zip bomb, 2019)."""
    plain, packed = bytes(1 << 20), Member("", bytes(1 << 20), 8).packed()
    headers: list[bytes] = []
    records: list[bytes] = []
    behind = b""  # what the next entry consists of
    for number in reversed(range(60)):
        if behind:
            quoted = headers[0]
            packed = struct.pack("<BHH", 0, len(quoted), len(quoted) ^ 0xFFFF) + behind
            plain = quoted + plain
        fields = (0, 8, 0, 33, zlib.crc32(plain), len(packed), len(plain), 4, 0)
        name = b"%04d" % number
        headers.insert(0, LOCAL.pack(b"PK\3\4", 20, *fields) + name)
        records.insert(0, RECORD.pack(b"PK\1\2", 20, 20, *fields, 0, 0, 0, 0, 0) + name)
        behind = headers[0] + packed
    offset = 0
    for number, record in enumerate(records):
        records[number] = patched(record, 42, "<I", offset)
        offset += len(headers[number]) + 5
    directory = b"".join(records)
    return behind + directory + END.pack(b"PK\5\6", 0, 0, 60, 60, len(directory), len(behind), 0)


def _mismatch(name: str, message: str, **fields: int) -> Failure:
    return Failure(message, two(where="local", **fields), (b"1", Reason(name)))


# What is wrong with an entry.
ENTRIES = [
    *(
        Failure(f"name_hostile: {why}", of_names(name), (Reason.NAME_HOSTILE,))
        for why, name in (
            ("empty", ""),
            ("the path component '..'", "../../etc/evil.jpg"),
            ("the path component '..'", "..\\..\\evil.jpg"),
            ("the path component '.'", "./a/b/./c.jpg"),
            ("the path component ''", "./a//b/./c.jpg"),
            ("the path component ''", "a//b.jpg"),
            ("an absolute path", "/etc/evil.jpg"),
            ("a drive letter", "C:\\evil.jpg"),
            ("an absolute path", "\\\\host\\share\\evil.jpg"),
            (ENDS_OPEN, "evil\\"),
            ("the control character U+0000", "ok.jpg\0.exe"),
            ("the control character U+000A", "a\nb.jpg"),
            ("the control character U+0001", "a=b\x01.jpg"),
            ("65000 bytes long", "x" * 65_000),
            ("a path component of 256 bytes", "x" * 256),
        )
    ),
    Failure("name_undecodable: not utf-8 at byte 0", undecodable, (Reason.NAME_UNDECODABLE,)),
    Failure("name_mismatch: directory 'a.jpg', local header 'b.jpg'", other_name, (Reason.NAME_MISMATCH,)),
    Failure(
        "duplicate_name: entry 1, later in the directory, has this name",
        of_names("a.jpg", "a.jpg"),
        (Reason.DUPLICATE_NAME, b"2"),
    ),
    _mismatch("method_mismatch", "method_mismatch: directory 0, local header 8", method=8),
    _mismatch("flags_mismatch", "flags_mismatch: directory 0x0000, local header 0x0001", flags=1),
    _mismatch("size_mismatch", "size_mismatch: directory 1 for 1, local header 1 for 9", size=9),
    _mismatch("crc_mismatch", "crc_mismatch: directory 0x1ad5be0d, local header 0x00000001", crc32=1),
    Failure("size_mismatch: stored 9 bytes in 1", two(size=9), (b"1", Reason.SIZE_MISMATCH)),
    Failure("encrypted: flags 0x0001", two(flags=1), (b"1", Reason.ENCRYPTED)),
    Failure("method_unsupported: method 98, ppmd", two(method=98), (b"1", Reason.METHOD_UNSUPPORTED)),
    Failure(
        "descriptor_mismatch: directory crc 0x83dcefb7, sizes 1 and 1; after the data 504b0708b7efdc830700000001000000",
        other_descriptor,
        (Reason.DESCRIPTOR_MISMATCH,),
    ),
    Failure("size_lie: declares 10 bytes and has more", lambda: bomb(bytes(100_000), 10), (Reason.SIZE_LIE,)),
    Failure("size_lie: declares 9 bytes and has 7", lambda: bomb(b"7 bytes", 9), (Reason.SIZE_LIE,)),
    Failure("too_large: declares 1152921504606846976 bytes; the limit is 268435456", huge, (Reason.TOO_LARGE,)),
    Failure("crc_wrong: declares 0x00000001 and has 0x1ad5be0d", two(crc32=1), (b"1", Reason.CRC_WRONG)),
    Failure("data_corrupt: the data stop after 2 of 5 bytes", cut_data, (Reason.DATA_CORRUPT,)),
    Failure(
        "truncated: 1000 bytes at 63; the directory begins at 64",
        two(packed=1000, size=1000),
        (b"1", Reason.TRUNCATED),
    ),
    Failure(
        "offset_out_of_range: offset 9223372036854775813 of part 1; the directory begins at 32",
        far,
        (Reason.OFFSET_OUT_OF_RANGE,),
    ),
    Failure("part_missing: begins on part 8 of an archive with 1", two(disk=7), (b"1", Reason.PART_MISSING)),
    Failure("header_corrupt: no local header: found 0x04033f3f", other_signature, (Reason.HEADER_CORRUPT,)),
    Failure("header_corrupt: a ZIP64 field of 8 bytes lacks a value", zip64_short, (Reason.HEADER_CORRUPT,)),
    Failure("overlap: the next entry begins at 0, within this one", sharing, (Reason.OVERLAP,) * 200),
    Failure("overlap: the next entry begins at 39, within this one", quoting, (Reason.OVERLAP,) * 60),
    Failure(
        "overlap: the data run 1 bytes into the next record",
        lambda: patched(of_names("a", "b")(), 28, "<H", 1),  # a local extra field of which the directory says nothing
        (Reason.OVERLAP, b"2"),
    ),
]


def zipped_tree(comment: bytes = b"") -> bytes:
    return write_zip(tree(), comment=comment)


def counted(count: int) -> bytes:
    return patched(of_names("a", "b", "c")(), -14, "<2H", count, count)


def damaged_directory() -> bytes:
    content = of_names("a", "b")()
    return patched(content, content.rindex(b"PK\1\2"), "<B", 0)


EMPTY_END = END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Oddity:
    """An archive that is wrong as a whole; ``entries`` can be read all the same, None if it is refused."""

    message: str
    content: Callable[[], bytes]
    entries: int | None


# What is wrong with an archive.
ARCHIVES = [
    Oddity("no end of central directory: this is not a zip, or its end is missing", lambda: zipped_tree()[:-500], None),
    Oddity("no end of central directory: this is not a zip", lambda: zipped_tree()[: len(zipped_tree()) // 2], None),
    Oddity("no end of central directory", lambda: b"no zip at all", None),
    Oddity("the comment of its end record is cut off after 27 bytes", lambda: zipped_tree(b"a comment")[:-4], None),
    Oddity("there are 10 bytes fewer than its end record accounts for", lambda: zipped_tree()[10:], None),
    Oddity(
        "2 ends of central directory that could each be right",
        lambda: (outer := zipped_tree(b"?" * 22))[:-22] + END.pack(b"PK\5\6", 0, 0, 0, 0, 0, len(outer) - 22, 0),
        None,
    ),
    Oddity("the central directory is damaged at byte 111, after 1 records", damaged_directory, None),
    Oddity("the end record counts 1 entries and the directory holds 3", lambda: counted(1), 3),
    Oddity("the end record counts 65000 entries and the directory holds 3", lambda: counted(65_000), 3),
    Oddity("22 bytes behind the archive are left out", lambda: zipped_tree() + EMPTY_END, 123),
    Oddity("350 bytes stand in front of the archive", lambda: b"#!/bin/sh\n" * 35 + zipped_tree(), 123),
    Oddity("", lambda: zipped_tree(EMPTY_END), 123),  # an end record in the comment is no fault
]
