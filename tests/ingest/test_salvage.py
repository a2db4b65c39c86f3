"""What is left of archives without their end, without a part, and with damage: exactly what lies there whole."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import extent as extent_module
from ingest.archive import Archive, EntryFault, Reason
from ingest.levels import open_directory, open_space
from ingest.space import AddressSpace
from shards.errors import PostmillError, UsageError
from tests.ingest.archives import SPLIT_SETS, needs_7z, needs_zip, pack

SPLIT = [*SPLIT_SETS, "cc-writer"]


@dataclass
class Rescue:
    """What salvage made of an archive."""

    good: dict[str, bytes]
    faults: dict[str, Reason]
    warnings: str


def rescue(source: Any) -> Rescue:
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


def whole(source: Any) -> dict[str, tuple[int, int, bytes]]:
    """Where each entry of a sound archive begins and ends, and its data."""
    with Archive.open(source, strict=True) as archive:
        found = {}
        for entry, data in archive.stream():
            assert isinstance(data, bytes)
            header = archive.space.read(entry.offset, 30)
            end = entry.offset + 30 + sum(struct.unpack("<HH", header[26:])) + entry.compressed_size
            if header[6] & 8:
                end = entry.limit
            found[entry.name] = entry.offset, end, data
        return found


def copied(source: Path, folder: Path) -> list[Path]:
    """A copy of a set that may be broken; its parts in order."""
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with Archive.open(folder) as archive:
        return [Path(part.path) for part in archive.parts]


# --- The last part is lost


@pytest.mark.parametrize("name", SPLIT)
def test_every_generated_set_without_its_last_part(shared: Path, tmp_path: Path, name: str) -> None:
    parts = copied(shared / "zips/generated" / name, tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        start, names = archive.space.parts[-1].start, [entry.name for entry in archive.entries()]
    known = whole(tmp_path / "set")
    parts[-1].unlink()
    with pytest.raises(PostmillError) as caught:
        Archive.open(parts[0])
    assert "salvage" in (caught.value.hint or "")
    for given_name in (parts[0], parts[-1]):
        found = rescue(given_name)
        assert found.good == {each: data for each, (_, end, data) in known.items() if end <= start}
        assert set(found.good) | set(found.faults) == set(names)
        assert "salvaged from local headers" in found.warnings


@pytest.mark.parametrize("name", SPLIT)
def test_every_generated_set_without_a_part_in_the_middle(shared: Path, tmp_path: Path, name: str) -> None:
    parts = copied(shared / "zips/generated" / name, tmp_path / "set")
    known = whole(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        hole = archive.parts[6]
    parts[6].unlink()
    with pytest.raises(PostmillError, match=parts[6].name) as caught:
        Archive.open(tmp_path / "set")
    assert "salvage" in (caught.value.hint or "")
    found = rescue(tmp_path / "set")
    apart = {each: data for each, (start, end, data) in known.items() if end <= hole.start or start >= hole.end}
    assert found.good == apart
    assert found.faults == {each: Reason.PART_MISSING for each in known if each not in apart}
    assert f"missing: {parts[6].name}" in found.warnings


@pytest.mark.parametrize("name", ["pk-basic", "pk-bit3", "pk-bit3-nosig", "raw-split", "pk-straddle"])
def test_a_part_in_the_middle_and_the_last_one_lost(shared: Path, tmp_path: Path, name: str) -> None:
    parts = copied(shared / "zips/generated" / name, tmp_path / "set")
    known = whole(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        hole, last = archive.parts[6], archive.parts[-1]
    parts[6].unlink()
    parts[-1].unlink()
    found = rescue(tmp_path / "set")
    spans = {each: data for each, (start, end, data) in known.items() if end <= hole.start or start >= hole.end}
    assert found.good == {each: data for each, data in spans.items() if known[each][1] <= last.start}
    assert set(found.faults.values()) <= {Reason.PART_MISSING, Reason.TRUNCATED}


def test_parts_before_the_last_one_are_missed_by_what_the_end_says(shared: Path, tmp_path: Path) -> None:
    parts = copied(shared / "zips/generated/pk-zip64", tmp_path / "set")
    known = whole(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        start, last = archive.directory.start, archive.parts[-1].start
    assert start < last  # so the directory begins on a part that is lost
    parts[-2].unlink()
    parts[-3].unlink()
    found = rescue(tmp_path / "set")
    assert f"missing: {parts[-3].name}, {parts[-2].name}" in found.warnings
    assert {each: found.good.get(each) for each in found.good} == {each: known[each][2] for each in found.good}
    assert len(found.good) + len(found.faults) >= 100


def test_only_the_last_part_is_there(shared: Path, tmp_path: Path) -> None:
    name = "split_zip_created_by_zip.zip"
    shutil.copyfile(shared / "zips/commons-compress-477/split_zip_created_by_zip" / name, tmp_path / name)
    found = rescue(tmp_path / name)
    assert "missing: split_zip_created_by_zip.z01" in found.warnings
    assert set(found.faults.values()) == {Reason.PART_MISSING}


def test_an_empty_part_is_a_missing_one(shared: Path, tmp_path: Path) -> None:
    parts = copied(shared / "zips/generated/pk-basic", tmp_path / "set")
    parts[3].write_bytes(b"")
    found = rescue(tmp_path / "set")
    assert f"missing: {parts[3].name}" in found.warnings
    assert set(found.faults.values()) == {Reason.PART_MISSING}
    for path in parts:
        path.write_bytes(b"")
    with pytest.raises(PostmillError, match="empty"):
        Archive.open(tmp_path / "set", salvage=True)


def test_a_missing_part_behind_a_url(shared: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for path in (shared / "zips/generated/pk-basic").iterdir():
        if not path.name.endswith(".z04"):
            memory.pipe(f"/{tmp_path.name}/{path.name}", path.read_bytes())
    found = rescue(f"memory://{tmp_path.name}/pk-basic.zip")
    assert len(found.good) > 100
    assert set(found.faults.values()) == {Reason.PART_MISSING}


@pytest.mark.parametrize("name", ["pk-basic", "pk-bit3", "pk-nomarker"])
@pytest.mark.parametrize("lost", [1, 300, 20_000])
def test_a_part_cut_short_costs_only_what_lay_there(shared: Path, tmp_path: Path, name: str, lost: int) -> None:
    parts = copied(shared / "zips/generated" / name, tmp_path / "set")
    known = whole(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        short = archive.parts[4]
    lost = min(lost, short.size - 1)
    os.truncate(parts[4], short.size - lost)
    found = rescue(tmp_path / "set")
    gone = {each for each, (start, end, _) in known.items() if start < short.end and end > short.end - lost}
    assert set(found.faults) == gone
    assert found.good == {each: data for each, (_, _, data) in known.items() if each not in gone}


@pytest.mark.parametrize("lost", [1, 300, 20_000])
def test_a_slice_cut_short_leaves_the_directory_unfound(shared: Path, tmp_path: Path, lost: int) -> None:
    parts = copied(shared / "zips/generated/raw-split", tmp_path / "set")
    known = whole(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        short = archive.parts[4]
    lost = min(lost, short.size - 1)
    os.truncate(parts[4], short.size - lost)
    found = rescue(tmp_path / "set")
    gone = {each for each, (start, end, _) in known.items() if start < short.end and end > short.end - lost}
    assert set(found.faults) <= gone
    assert found.good == {each: data for each, (_, _, data) in known.items() if each not in gone}
    assert "salvaged" in found.warnings


# --- What real tools write


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, bytes]:
    rng = random.Random(11)
    made = {"d/empty": b"", "d/long.bin": rng.randbytes(90_000), "d/zeros": bytes(5000)}
    for number in range(25):
        noise = rng.randbytes(rng.randint(1, 9000))
        made[f"d/{number}.x"] = noise if number % 2 else noise.hex().encode()
    for name, data in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return made


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("zip -q -r -s 64k a.zip d", marks=needs_zip),
        pytest.param("zip -q -r -0 -s 64k a.zip d", marks=needs_zip),
        pytest.param("zip -q -r -fz -s 64k a.zip d", marks=needs_zip),
        pytest.param("zip -q -r -fd b.zip d && split -b 40000 -d -a 3 b.zip a.zip.", marks=needs_zip),
        pytest.param("zip -q -r -0 -fd b.zip d && split -b 40000 -d -a 3 b.zip a.zip.", marks=needs_zip),
        pytest.param("7z a -tzip -v64k a.zip d", marks=needs_7z),
        pytest.param("7z a -tzip -mm=Deflate64 -v64k a.zip d", marks=needs_7z),
        pytest.param("zip -q -r - d | split -b 40000 -d -a 3 - a.zip.", marks=needs_zip),
        pytest.param("zip -q -r -0 - d | split -b 40000 -d -a 3 - a.zip.", marks=needs_zip),
        pytest.param("zip -q -r -fz - d | split -b 40000 -d -a 3 - a.zip.", marks=needs_zip),
    ],
)
def test_sets_of_real_tools(tmp_path: Path, tree: dict[str, bytes], command: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    with Archive.open(next(iter(sorted(tmp_path.glob("a.z*"))))) as archive:
        last = Path(archive.parts[-1].path)
        start, size = archive.parts[-1].start, archive.space.size
        ends = {entry.name: entry.limit for entry in archive.entries()}
    for keep in (size - start - 10, (size - start) // 2, 0):
        os.truncate(last, keep)
        if keep == 0:
            last.unlink()
        found = rescue(sorted(tmp_path.glob("a.z*"))[0])
        files = {name: data for name, data in found.good.items() if not name.endswith("/")}
        assert files == {name: data for name, data in tree.items() if ends[name] <= start + keep}
        assert set(found.faults.values()) <= {Reason.TRUNCATED}
        assert len(found.faults) <= 1


def cut_everywhere(path: Path, known: dict[str, tuple[int, int, bytes]], cuts: range) -> None:
    """Check that what lies before each cut is found, and nothing else."""
    content = path.read_bytes()
    short = path.with_name("short.zip")
    for cut in cuts:
        short.write_bytes(content[:cut])
        found = rescue(short)
        assert found.good == {name: data for name, (_, end, data) in known.items() if end <= cut}, cut
        assert set(found.faults) <= {name for name, (_, end, _) in known.items() if end > cut}, cut
        assert len(found.faults) <= 1


@needs_zip
@pytest.mark.parametrize("options", [[], ["-0"], ["-fd"], ["-0", "-fd"], ["-fz"]])
def test_a_cut_at_every_byte(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "d").mkdir()
    for number, data in enumerate([b"first" * 9, b"", b"third"]):
        (tmp_path / "d" / str(number)).write_bytes(data)
    subprocess.run(["zip", "-q", "-r", "-D", "-X", *options, "a.zip", "d"], cwd=tmp_path, check=True)
    known = whole(tmp_path / "a.zip")
    cut_everywhere(tmp_path / "a.zip", known, range(1, (tmp_path / "a.zip").stat().st_size))


# --- Zips within zips, and damage


def nested(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


INNER = nested({"inner-1": b"one" * 50, "inner-2": b"two" * 50})


def test_the_entries_of_a_stored_zip_are_not_the_archives(tmp_path: Path) -> None:
    tree = {"a": b"x" * 99, "inner.zip": INNER, "b": b"y" * 99, "last.zip": INNER}
    (tmp_path / "a.zip").write_bytes(nested(tree))
    cut_everywhere(tmp_path / "a.zip", whole(tmp_path / "a.zip"), range(1, len(nested(tree)), 7))


def test_an_archive_that_ends_with_a_stored_zip_does_not_become_it(tmp_path: Path) -> None:
    content = nested({"a": b"x" * 99, "inner.zip": INNER})
    (tmp_path / "a.zip").write_bytes(content[: content.rindex(b"PK\x05\x06", 0, len(content) - 22) + 22])
    found = rescue(tmp_path / "a.zip")
    assert found.good == {"a": b"x" * 99, "inner.zip": INNER}
    assert "to a zip within" in found.warnings


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("descriptor", [False, True])
def test_garbage_between_entries(tmp_path: Path, method: int, descriptor: bool) -> None:
    tree = {str(number): random.Random(number).randbytes(200) + bytes(200) for number in range(5)}
    members = [Member(name, data, method, "signed narrow" if descriptor else None) for name, data in tree.items()]
    content = b"".join(local(replace(each, gap=random.Random(7).randbytes(50))) for each in members)
    (tmp_path / "a.zip").write_bytes(content)
    found = rescue(tmp_path / "a.zip")
    assert (found.good, found.faults) == (tree, {})
    assert "250 bytes belong to no entry that could be found: 50 at byte 0 of a.zip, 50 at byte" in found.warnings


def test_a_damaged_byte_anywhere_costs_one_entry(tmp_path: Path) -> None:
    tree = {f"name-{number}": bytes([number]) * 40 for number in range(3)}
    after = local(Member("after", random.Random(3).randbytes(3000), 0))
    for method in (0, 8):
        for descriptor in (None, "signed narrow"):
            content = b"".join(local(Member(name, data, method, descriptor)) for name, data in tree.items())
            first = len(local(Member("name-0", tree["name-0"], method, descriptor)))
            for at in range(first, len(content) - first):
                damaged = bytearray(content)
                damaged[at] ^= 0x41
                (tmp_path / "a.zip").write_bytes(damaged + after)
                found = rescue(tmp_path / "a.zip")
                assert {"name-0", "name-2", "after"} <= set(found.good), (method, descriptor, at - first)
                assert all(data in tree.values() for name, data in found.good.items() if name != "after")


def test_a_size_that_leads_astray_is_found_out(tmp_path: Path) -> None:
    for delta in (-5, 5, 1000, 1 << 30):
        content = bytearray(local(Member("a", b"text " * 99, 8)))
        size = struct.unpack_from("<I", content, 18)[0]
        struct.pack_into("<I", content, 18, size + delta)
        content += local(Member("b", b"more", 8))
        (tmp_path / "a.zip").write_bytes(content)
        found = rescue(tmp_path / "a.zip")
        assert found.good == {"b": b"more"}
        assert set(found.faults) == {"a"}


@pytest.mark.parametrize("name", ["truncated-mid", "truncated-tail"])
def test_hostile_archives_without_an_end(shared: Path, name: str) -> None:
    members = json.loads((shared / "zips/generated/members.json").read_text())
    found = rescue(shared / "zips/generated/hostile" / f"{name}.zip")
    assert all(members[each] == [len(data), hashlib.sha256(data).hexdigest()] for each, data in found.good.items())
    assert len(found.good) == (123 if name == "truncated-tail" else 86)
    assert list(found.faults.values()) == ([] if name == "truncated-tail" else [Reason.TRUNCATED])


def test_an_archive_whose_directory_is_whole_is_read_by_it(shared: Path) -> None:
    for name in ("pk-basic", "whole.zip", "single-PK00-marker.zip"):
        assert rescue(shared / "zips/generated" / name).warnings == ""


def test_a_damaged_directory_is_replaced(tmp_path: Path) -> None:
    tree = {str(number): b"%d" % number for number in range(9)}
    content = bytearray(nested(tree))
    at = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[at] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(PostmillError, match="damaged"), Archive.open(tmp_path / "a.zip") as archive:
        list(archive.entries())
    found = rescue(tmp_path / "a.zip")
    assert found.good == tree
    assert "damaged" in found.warnings


def test_what_is_no_zip_has_no_entries(tmp_path: Path) -> None:
    for content in (b"PK", b"hello" * 1000, b"PK\x05\x06" + bytes(10), b"PK\x03\x04" * 999, b"PK\x01\x02" * 999):
        (tmp_path / "a.zip").write_bytes(content)
        found = rescue(tmp_path / "a.zip")
        assert (found.good, found.faults) == ({}, {})


def test_encrypted_and_foreign_entries_are_named(tmp_path: Path) -> None:
    content = bytearray(local(Member("a", b"secret", 0)) + local(Member("b", b"other", 0)) + local(Member("c", b"", 0)))
    content[6] |= 1
    content[content.index(b"PK\x03\x04", 4) + 8] = 12
    (tmp_path / "a.zip").write_bytes(content)
    found = rescue(tmp_path / "a.zip")
    assert found.faults == {"a": Reason.ENCRYPTED, "b": Reason.METHOD_UNSUPPORTED}
    assert found.good == {"c": b""}


def test_strict_and_salvage_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude"):
        Archive.open(tmp_path, strict=True, salvage=True)


def test_a_listing_can_be_read_by_several_at_a_time(shared: Path) -> None:
    with open_space(shared / "zips/generated/hostile/truncated-tail.zip", "salvage") as space:
        listing = open_directory(space, "salvage")
        one, other = listing.batches(), listing.batches()
        assert next(one) == next(other)
        assert listing.salvaged is not None
        assert listing.directory.entries == listing.salvaged.entries == 123


# --- Bounds


def test_a_large_sparse_archive_is_read_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 5 << 30
    sizes = struct.pack("<HHQQ", 1, 16, size, size)
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, 0xFFFFFFFF, 0xFFFFFFFF, 5, len(sizes))
    with (tmp_path / "a.zip").open("wb") as file:
        file.write(head + b"large" + sizes)
        file.seek(size, io.SEEK_CUR)
        file.write(local(Member("b", b"after", 0)))
    reads: list[int] = []
    real = AddressSpace.readinto

    def noted(self: AddressSpace, offset: int, buffer: memoryview) -> None:
        reads.append(len(buffer))
        real(self, offset, buffer)

    monkeypatch.setattr(AddressSpace, "readinto", noted)
    with Archive.open(tmp_path / "a.zip", salvage=True) as archive:
        assert [(entry.name, entry.size) for entry in archive.entries()] == [("large", size), ("b", 5)]
    assert max(reads) <= 1 << 20
    assert sum(reads) < 4 << 20


def test_headers_that_each_claim_the_rest_do_not_take_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extent_module, "MAX_ENTRY", 1 << 20)
    header = local(Member("x", b"", 0))
    count = 20_000
    content = bytearray(header * count)
    for number in range(count):
        rest = max(len(content) - (number + 1) * len(header) - 7, 0)
        struct.pack_into("<III", content, number * len(header) + 14, 1, rest, rest)
    (tmp_path / "a.zip").write_bytes(content)
    reads: list[int] = []
    real = AddressSpace.readinto

    def noted(self: AddressSpace, offset: int, buffer: memoryview) -> None:
        reads.append(len(buffer))
        real(self, offset, buffer)

    monkeypatch.setattr(AddressSpace, "readinto", noted)
    with Archive.open(tmp_path / "a.zip", salvage=True) as archive:
        assert archive.directory.entries == count
    assert sum(reads) < 40 * len(content)


# --- Any archive, any cut


@dataclass(frozen=True)
class Member:
    """One entry and how to write it."""

    name: str
    plain: bytes
    method: int
    descriptor: str | None = None  # "narrow" or "wide", with "signed " before it
    zip64: bool = False
    gap: bytes = b""


def local(member: Member) -> bytes:
    """A local header with data and descriptor, after its gap."""
    packed, crc32 = pack(member.method, member.plain), zlib.crc32(member.plain)
    sizes = (0, 0, 0) if member.descriptor else (crc32, len(packed), len(member.plain))
    extra = struct.pack("<HHQQ", 1, 16, sizes[2], sizes[1]) if member.zip64 else b""
    if member.zip64:
        sizes = (sizes[0], 0xFFFFFFFF, 0xFFFFFFFF)
    flags = (8 if member.descriptor else 0) | (0 if member.name.isascii() else 1 << 11)
    name = member.name.encode()
    fixed = struct.pack("<4s5H3I2H", b"PK\3\4", 45, flags, member.method, 0, 33, *sizes, len(name), len(extra))
    out = member.gap + fixed + name + extra + packed
    if member.descriptor:
        out += b"PK\7\x08" if "signed" in member.descriptor else b""
        out += struct.pack("<IQQ" if "wide" in member.descriptor else "<III", crc32, len(packed), len(member.plain))
    return out


bogus = [b"PK\3\4" * 9, b"PK\1\2" * 20, b"PK\5\6" + bytes(18), b"PK\7\x08" + bytes(12), INNER, bytes(40)]
traps = st.sampled_from(bogus)
plains = st.one_of(st.binary(max_size=300), traps, st.integers(0, 9000).map(lambda n: random.Random(n).randbytes(n)))
members = st.builds(
    Member,
    name=st.text("abcXYZ019_- é日", min_size=1, max_size=12).filter(lambda text: text.strip() != ""),
    plain=plains,
    method=st.sampled_from([0, 8, 9, 93]),
    descriptor=st.sampled_from([None, "narrow", "wide", "signed narrow", "signed wide"]),
    zip64=st.booleans(),
    gap=st.one_of(st.just(b""), st.just(b""), st.binary(max_size=20)),
)


def tame(member: Member) -> Member:
    """Without what nobody could tell in stored data of unknown size: nothing from zeros, and what is a zip's own."""
    doubtful = member.method == 0 and member.descriptor and (not member.plain or member.plain in bogus)
    return replace(member, plain=bytes(40) + b"." if member.plain else b".") if doubtful else member


@given(
    tree=st.lists(members.map(tame), min_size=1, max_size=8, unique_by=lambda member: member.name),
    where=st.floats(0, 1),
    sizes=st.lists(st.integers(50, 5000), min_size=1, max_size=3),
    marker=st.sampled_from([b"PK\7\x08", b"PK00", b""]),
)
def test_any_archive_cut_anywhere_gives_what_lies_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, tree: list[Member], where: float, sizes: list[int], marker: bytes
) -> None:
    content, ends, data_ends = marker, {}, {}
    for member in tree:
        content += local(member)
        ends[member.name] = len(content)
        data_ends[member.name] = len(content) - (0 if member.descriptor is None else 12)
    content = content[: max(round(where * len(content)), 1)]
    folder = tmp_path_factory.mktemp("set")
    paths = list(slices(folder, content, sizes))
    found = rescue(paths)
    assert set(found.good) >= {name for name, end in ends.items() if end <= len(content)}
    # Half a descriptor of the wide layout can read as a whole one of the narrow.
    left = {member.name: member.plain for member in tree if data_ends[member.name] - 8 <= len(content)}
    assert found.good.items() <= left.items()
    assert set(found.faults) <= {name for name, end in ends.items() if end > len(content)}
    for path in paths:
        path.unlink()


@given(
    tree=st.lists(members.map(tame), min_size=1, max_size=5, unique_by=lambda member: member.name),
    data=st.data(),
)
def test_any_damage_gives_right_data_or_faults(
    tmp_path_factory: pytest.TempPathFactory, tree: list[Member], data: st.DataObject
) -> None:
    content = bytearray(b"".join(map(local, tree)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] ^= data.draw(st.integers(1, 255))
        else:
            content[at : at + data.draw(st.integers(0, 50))] = data.draw(st.binary(max_size=50))
        content = content or bytearray(1)
    (folder := tmp_path_factory.mktemp("set")).joinpath("a.zip").write_bytes(content)
    found = rescue(folder / "a.zip")
    plains = {member.plain for member in tree} | {b"", b"one" * 50, b"two" * 50}
    assert set(found.good.values()) <= plains
    (folder / "a.zip").unlink()


def slices(folder: Path, content: bytes, sizes: list[int]) -> Iterator[Path]:
    at = number = 0
    while at < len(content):
        path = folder / f"a.z{number:03d}"
        path.write_bytes(content[at : at + sizes[number % len(sizes)]])
        at += sizes[number % len(sizes)]
        number += 1
        yield path
