"""The split-zip writer against Info-ZIP, 7-Zip, CPython and a reading of the format's records."""

from __future__ import annotations

import io
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.ingest.sample.zipwriter import NewEntry, write_zip
from postmill.ingest.zipformat.signatures import DEFLATE, STORED
from postmill.shards.runtime.errors import UsageError

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")


def run(*command: object) -> str:
    """Run a tool, which must succeed, and return what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def many_entries(count: int = 300) -> list[NewEntry]:
    """A folder, then entries of up to 6 kB, half of them deflated, that do not compress alike."""
    members = [NewEntry("info/")]
    for i in range(count):
        data = zlib.crc32(str(i).encode()).to_bytes(4, "big") * (i % 37) * (i % 41) + b"plain text " * (i % 7)
        members.append(NewEntry(f"info/some.one-{i}.info", data, DEFLATE if i % 2 else STORED))
    return members


def joined(target: Path) -> zipfile.ZipFile:
    """What `zip -s 0` makes of a set of disks, tested by Info-ZIP and opened by CPython."""
    single = target.with_name("joined.zip")
    single.unlink(missing_ok=True)
    run("zip", "-q", "-s", "0", target, "--out", single)
    run("zip", "-T", single)
    return zipfile.ZipFile(io.BytesIO(single.read_bytes()))


def content(archive: zipfile.ZipFile) -> list[tuple[str, bytes]]:
    """Names and bytes of all entries; CPython compares each CRC as it reads."""
    return [(info.filename, archive.read(info)) for info in archive.infolist()]


def expected(members: Sequence[NewEntry]) -> list[tuple[str, bytes]]:
    """What :func:`content` must be."""
    return [(member.name, member.data) for member in members]


def records(parts: Sequence[Path]) -> Iterator[tuple[str, int, int, int]]:
    """Yield name, disk, offset on it, and the disk that the record itself is on, from the directory of a set."""
    data = [path.read_bytes() for path in parts]
    disk, start, on_disk, count, size, offset, comment = struct.unpack("<4H2IH", data[-1][-18:])
    assert (disk, comment) == (len(parts) - 1, 0)
    on_last = 0
    for _ in range(count):
        while offset == len(data[start]):  # the part ended: the next record begins the next one
            start, offset = start + 1, 0
        fields = CENTRAL.unpack_from(data[start], offset)
        name_length, extra_length = fields[10:12]
        name = data[start][offset + CENTRAL.size : offset + CENTRAL.size + name_length]
        assert fields[0] == b"PK\x01\x02"
        assert len(data[start]) >= offset + CENTRAL.size + name_length + extra_length, "a record is cut"
        yield name.decode(), fields[13], fields[16], start
        offset += CENTRAL.size + name_length + extra_length
        size -= CENTRAL.size + name_length + extra_length
        on_last += start == disk
    assert (size, on_disk) == (0, on_last)


@pytest.mark.parametrize("part_size", [900, 65_536, 1 << 30])
@pytest.mark.parametrize("zip64", [False, True])
def test_info_zip_and_seven_zip_read_a_set_of_disks(tmp_path: Path, part_size: int, zip64: bool) -> None:
    members = many_entries()
    written = write_zip(tmp_path / "posts.zip", members, part_size=part_size, zip64=zip64)
    assert [path.name for path in written.parts[:-1]] == [f"posts.z{i:02d}" for i in range(1, len(written.parts))]
    assert written.parts[-1].name == "posts.zip"
    assert written.entries == len(members)
    assert written.size == sum(path.stat().st_size for path in written.parts)
    assert all(path.stat().st_size <= part_size for path in written.parts)
    assert "Files: 300" in run("7z", "t", written.parts[-1])
    assert content(joined(written.parts[-1])) == expected(members)


def test_no_header_and_no_directory_record_is_cut(tmp_path: Path) -> None:
    members = many_entries()
    parts = write_zip(tmp_path / "posts.zip", members, part_size=2_000).parts
    data = [path.read_bytes() for path in parts]
    assert data[0].startswith(b"PK\x07\x08PK\x03\x04")
    listed = list(records(parts))
    assert [name for name, *_ in listed] == [member.name for member in members]
    assert len({part for *_, part in listed}) > 5, "the directory is to span parts here"
    for name, disk, offset, _ in listed:
        fields = LOCAL.unpack_from(data[disk], offset)
        assert fields[0] == b"PK\x03\x04"
        assert data[disk][offset + LOCAL.size :][: fields[9]] == name.encode()
        assert len(data[disk]) >= offset + LOCAL.size + fields[9] + fields[10], "a local header is cut"
    assert any(len(part) < 2_000 for part in data[:-1]), "some part is to end early here"


@pytest.mark.parametrize("zip64", [False, True])
def test_one_file(tmp_path: Path, zip64: bool) -> None:
    members = [*many_entries(), NewEntry("info/été 雪.info", b"x" * 50)]
    written = write_zip(tmp_path / "whole.zip", members, zip64=zip64)
    assert written.parts == (tmp_path / "whole.zip",)
    run("7z", "t", tmp_path / "whole.zip")
    run("unzip", "-tq", tmp_path / "whole.zip")
    with zipfile.ZipFile(tmp_path / "whole.zip") as archive:
        assert content(archive) == expected(members)
        assert archive.infolist()[0].is_dir()
        assert archive.infolist()[1].external_attr >> 16 == 0o100644
        assert {info.compress_type for info in archive.infolist()} == {STORED, DEFLATE}


@pytest.mark.parametrize("zip64", [False, True])
def test_plain_byte_split(tmp_path: Path, zip64: bool) -> None:
    members = many_entries()
    written = write_zip(tmp_path / "posts.zip", members, part_size=2_000, split="bytes", zip64=zip64)
    assert written.parts[0].name == "posts.zip.001"
    assert {path.stat().st_size for path in written.parts[:-1]} == {2_000}
    run("7z", "t", written.parts[0])
    with zipfile.ZipFile(io.BytesIO(b"".join(path.read_bytes() for path in written.parts))) as archive:
        assert content(archive) == expected(members)


def test_zip64_only_where_a_value_needs_it(tmp_path: Path) -> None:
    names = [f"image/{i}.jpg" for i in range(70_000)]
    path = write_zip(tmp_path / "many.zip", (NewEntry(name, b"", STORED) for name in names)).parts[0]
    data = path.read_bytes()
    disk, start, on_disk, count, size, offset, _ = struct.unpack("<4H2IH", data[-18:])
    assert (disk, start, on_disk, count) == (0, 0, 0xFFFF, 0xFFFF)
    assert data[offset : offset + 4] == b"PK\x01\x02"
    assert len(data) == offset + size + 56 + 20 + 22
    assert CENTRAL.unpack_from(data, offset)[2] == 10, "an entry that needs no ZIP64 asks for none"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == names


@pytest.mark.parametrize("part_size", [None, 100, 1 << 20])
def test_no_members(tmp_path: Path, part_size: int | None) -> None:
    path = write_zip(tmp_path / "none.zip", [], part_size=part_size).parts[-1]
    assert zipfile.ZipFile(path).namelist() == []


def test_same_members_same_bytes(tmp_path: Path) -> None:
    sets = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        parts = write_zip(tmp_path / name / "posts.zip", many_entries(), part_size=2_000).parts
        sets.append([path.read_bytes() for path in parts])
    assert sets[0] == sets[1]


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[NewEntry]:
        yield from many_entries(50)
        raise KeyError("the source broke")

    with pytest.raises(KeyError):
        write_zip(tmp_path / "posts.zip", failing(), part_size=2_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("member", "part_size", "cause"),
    [
        (NewEntry("a" * 70_000), None, "70000 bytes"),
        (NewEntry(""), None, "0 bytes"),
        (NewEntry("a", b"b", 9), None, "method 9"),
        (NewEntry("a" * 200, b"b"), 200, "cannot hold"),
        (NewEntry("a"), 0, "0 bytes"),
        (NewEntry("a"), 3, "cannot hold"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path: Path, member: NewEntry, part_size: int | None, cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        write_zip(tmp_path / "posts.zip", [member], part_size=part_size)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("present", ["posts.zip", "posts.z07", "posts.z101", "posts.zip.001"])
def test_parts_of_another_set_are_not_mixed_in(tmp_path: Path, present: str) -> None:
    (tmp_path / present).touch()
    (tmp_path / "posts_info.txt").touch()
    with pytest.raises(UsageError, match="there already"):
        write_zip(tmp_path / "posts.zip", [NewEntry("a")], part_size=1_000)
    assert {path.name for path in tmp_path.iterdir()} == {present, "posts_info.txt"}


entry_names = st.text("abcdefghij._-0123456789", min_size=1, max_size=60).map("e{}".format)
blobs = st.binary(max_size=300) | st.builds(bytes.__mul__, st.binary(min_size=1, max_size=3), st.integers(0, 3_000))
any_members = st.lists(
    st.builds(NewEntry, entry_names, blobs, st.sampled_from([STORED, DEFLATE])), max_size=25, unique_by=lambda m: m.name
)


@settings(max_examples=60, deadline=None)
@given(any_members, st.integers(300, 3_000), st.booleans())
def test_any_members_survive_a_split_into_disks(members: list[NewEntry], part_size: int, zip64: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        members.append(NewEntry("last.txt", b"Info-ZIP takes no archive without entries"))
        written = write_zip(Path(folder) / "posts.zip", members, part_size=part_size, zip64=zip64)
        assert content(joined(written.parts[-1])) == expected(members)
        if not zip64:
            assert [name for name, *_ in records(written.parts)] == [member.name for member in members]


@settings(max_examples=60, deadline=None)
@given(any_members, st.integers(1, 3_000), st.booleans())
def test_any_members_survive_a_byte_split(members: list[NewEntry], part_size: int, zip64: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = write_zip(Path(folder) / "posts.zip", members, part_size=part_size, split="bytes", zip64=zip64)
        with zipfile.ZipFile(io.BytesIO(b"".join(path.read_bytes() for path in written.parts))) as archive:
            assert content(archive) == expected(members)
