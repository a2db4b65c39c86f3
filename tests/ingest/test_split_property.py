"""Any tree, any methods, any part boundaries: what was written comes back."""

from __future__ import annotations

import random
import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.archive import Archive, EntryFault, Reason
from ingest.parts import lay_out
from shards.errors import PostmillError
from tests.ingest.archives import pack

ONES32, ONES16 = 0xFFFFFFFF, 0xFFFF


@dataclass(frozen=True)
class Member:
    """One entry and how to write it."""

    name: str
    plain: bytes
    method: int
    descriptor: str | None  # None, "narrow", "wide", with "signed " before it
    zip64: frozenset[str] = frozenset()  # fields of the directory record that go to the ZIP64 extra
    local_zip64: bool = False
    extra: bytes = b""
    comment: bytes = b""
    gap: bytes = b""  # bytes before the local header that belong to nothing


@dataclass
class Writer:
    """Writes a zip as APPNOTE has it, cut wherever `sizes` says, headers or not."""

    sizes: list[int]  # of the parts, repeated as long as there are bytes
    disks: bool
    late: bool  # where a part has just been filled, still name that one, as commons-compress may
    out: bytearray = field(default_factory=bytearray)

    def disk(self, offset: int) -> tuple[int, int]:
        """The disk and the offset on it."""
        if not self.disks:
            return 0, offset
        cuts = self.cuts(offset)
        number = bisect_right(cuts, offset) - 1
        if self.late and number and cuts[number] == offset:
            number -= 1
        return number, offset - cuts[number]

    def cuts(self, size: int) -> list[int]:
        starts, number = [0], 0
        while starts[-1] + self.sizes[number % len(self.sizes)] <= size:
            starts.append(starts[-1] + self.sizes[number % len(self.sizes)])
            number += 1
        return starts

    def local(self, member: Member) -> tuple[int, bytes, int]:
        """Write header, data and descriptor; return offset, packed data and flags."""
        self.out += member.gap
        at, packed, crc32 = len(self.out), pack(member.method, member.plain), zlib.crc32(member.plain)
        flags = (8 if member.descriptor else 0) | (0 if member.name.isascii() else 1 << 11)
        sizes = (0, 0, 0) if member.descriptor else (crc32, len(packed), len(member.plain))
        extra = member.extra
        if member.local_zip64:
            extra += struct.pack("<HHQQ", 1, 16, sizes[2], sizes[1])
            sizes = (sizes[0], ONES32, ONES32)
        name = member.name.encode()
        self.out += struct.pack("<4s5H3I2H", b"PK\3\4", 45, flags, member.method, 0, 33, *sizes, len(name), len(extra))
        self.out += name + extra + packed
        if member.descriptor:
            self.out += b"PK\7\x08" if "signed" in member.descriptor else b""
            form = "<IQQ" if "wide" in member.descriptor else "<III"
            self.out += struct.pack(form, crc32, len(packed), len(member.plain))
        return at, packed, flags

    def record(self, member: Member, at: int, packed: bytes, flags: int) -> None:
        disk, offset = self.disk(at)
        values = {"size": len(member.plain), "packed": len(packed), "offset": offset, "disk": disk}
        body = b"".join(
            struct.pack("<I" if key == "disk" else "<Q", values[key]) for key in values if key in member.zip64
        )
        for key in member.zip64:
            values[key] = ONES16 if key == "disk" else ONES32
        extra = member.extra + (struct.pack("<HH", 1, len(body)) + body if body else b"")
        name = member.name.encode()
        self.out += struct.pack(
            "<4s6H3I5H2I",
            b"PK\1\2",
            45,
            45,
            flags,
            member.method,
            0,
            33,
            zlib.crc32(member.plain),
            values["packed"],
            values["size"],
            len(name),
            len(extra),
            len(member.comment),
            values["disk"],
            0,
            0,
            values["offset"],
        )
        self.out += name + extra + member.comment

    def write(self, members: list[Member], order: list[int], marker: bytes, zip64: str, comment: bytes) -> list[bytes]:
        self.out += marker
        places = [self.local(member) for member in members]
        start = len(self.out)
        for number in order:
            self.record(members[number], *places[number])
        size = len(self.out) - start
        tail = 22 + len(comment) + (76 if zip64 != "none" else 0)
        this = bisect_right(self.cuts(len(self.out) + tail), len(self.out) + tail - 1) - 1 if self.disks else 0
        disk, offset = self.disk(start)
        end = [this, disk, len(members), len(members), size, offset]
        if zip64 != "none":
            at = self.disk(len(self.out))
            self.out += struct.pack(
                "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, at[0], disk, len(members), len(members), size, offset
            )
            self.out += struct.pack("<4sIQI", b"PK\6\7", *at, this + 1)
            if zip64 == "all":
                end = [ONES16] * 4 + [ONES32] * 2
            else:
                end[2:4] = [ONES16] * 2
        self.out += struct.pack("<4s4H2IH", b"PK\5\6", *end, len(comment)) + comment
        starts = [each for each in self.cuts(len(self.out)) if each < len(self.out)]
        return [bytes(self.out[a:b]) for a, b in zip(starts, [*starts[1:], len(self.out)], strict=True)]


components = st.text("abcXYZ019._- é日", min_size=1, max_size=12).filter(lambda text: text.strip(".") != "")
extras = st.sampled_from([b"", struct.pack("<HH5s", 0x5455, 5, b"PK\1\2x"), struct.pack("<HH", 0x7878, 0)])
# Content and gaps that look like records must not mislead.
traps = st.sampled_from([b"PK\3\4" * 9, b"PK\1\2" * 20, b"PK\5\6" + bytes(18), b"PK\7\x08" + bytes(12)])
plains = st.one_of(st.binary(max_size=300), traps, st.integers(0, 9000).map(lambda n: random.Random(n).randbytes(n)))

members = st.builds(
    Member,
    name=st.lists(components, min_size=1, max_size=3).map("/".join),
    plain=plains,
    method=st.sampled_from([0, 8, 9, 93]),
    descriptor=st.sampled_from([None, "narrow", "wide", "signed narrow", "signed wide"]),
    zip64=st.frozensets(st.sampled_from(["size", "packed", "offset", "disk"])),
    local_zip64=st.booleans(),
    extra=extras,
    comment=st.sampled_from([b"", b"PK\1\2", b"a comment"]),
    gap=st.one_of(st.just(b""), st.binary(max_size=20)),
)
trees = st.lists(members, max_size=12, unique_by=lambda member: member.name)


@st.composite
def archives(draw: st.DrawFn, entries: st.SearchStrategy[list[Member]] = trees) -> tuple[list[Member], dict[str, Any]]:
    tree = draw(entries)
    return tree, {
        "sizes": draw(st.lists(st.integers(1, 400) | st.integers(400, 20_000), min_size=1, max_size=4)),
        "disks": draw(st.booleans()),
        "late": draw(st.booleans()),
        "order": draw(st.permutations(range(len(tree)))),
        "marker": draw(st.sampled_from([b"PK\7\x08", b"PK00", b""])),
        "zip64": draw(st.sampled_from(["none", "count", "all"])),
        "comment": draw(st.sampled_from([b"", b"a comment", b"PK\5\6"])),
    }


def write(folder: Path, tree: list[Member], form: dict[str, Any]) -> list[Path]:
    """Write the parts of an archive; at most 2,000, for the sake of the file system."""
    total = 200 * len(tree) + 3 * sum(len(member.plain) + len(member.extra) for member in tree) + 300
    sizes = [max(size, total // 2000 + 1) for size in form["sizes"]]
    parts = Writer(sizes, form["disks"], form["late"]).write(
        tree, form["order"], form["marker"], form["zip64"], form["comment"]
    )
    paths = [folder / f"a.z{number:02d}" for number in range(len(parts))]
    for path, content in zip(paths, parts, strict=True):
        path.write_bytes(content)
    return paths


@given(archive=archives())
def test_any_archive_reads_back(
    tmp_path_factory: pytest.TempPathFactory, archive: tuple[list[Member], dict[str, Any]]
) -> None:
    tree, form = archive
    folder = tmp_path_factory.mktemp("set")
    paths = write(folder, tree, form)
    with Archive.open(paths[len(paths) // 2], strict=True) as opened:
        assert [Path(part.path) for part in opened.parts] == paths
        assert opened.kind == ("single" if len(paths) == 1 else "disks" if form["disks"] else "bytes")
        entries = list(opened.entries())
        assert [entry.name for entry in entries] == [tree[number].name for number in form["order"]]
        for number, entry in zip(form["order"], entries, strict=True):
            assert opened.read(entry) == tree[number].plain
            assert opened.raw(entry) == pack(tree[number].method, tree[number].plain)
        assert [(entry.name, data) for entry, data in opened.stream()] == [(one.name, one.plain) for one in tree]
        middle = opened.space.size // 2
        assert [*opened.stream(0, middle), *opened.stream(middle)] == list(opened.stream())
    for path in paths:
        path.unlink()


def small(member: Member) -> Member:
    return replace(member, plain=member.plain[:100])


@given(
    archive=archives(st.lists(members.map(small), min_size=1, max_size=4, unique_by=lambda member: member.name)),
    data=st.data(),
)
def test_a_flipped_byte_never_gives_wrong_data(
    tmp_path_factory: pytest.TempPathFactory, archive: tuple[list[Member], dict[str, Any]], data: st.DataObject
) -> None:
    tree, form = archive
    folder = tmp_path_factory.mktemp("set")
    paths = write(folder, tree, form)
    path = data.draw(st.sampled_from(paths))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    plains = {member.plain for member in tree}
    try:
        with Archive.open(paths) as opened:
            for entry in opened.entries():
                try:
                    assert opened.read(entry) in plains
                except EntryFault as fault:
                    assert isinstance(fault.reason, Reason)
            for _, found in opened.stream():
                assert isinstance(found, EntryFault) or found in plains
    except PostmillError as error:
        assert error.cause
    for each in paths:
        each.unlink()


def test_lay_out_needs_no_files() -> None:
    parts = lay_out([("https://host/a.z01", 10), ("https://host/a.zip", 5)])
    assert [(part.name, part.start, part.end) for part in parts] == [("a.z01", 0, 10), ("a.zip", 10, 15)]
