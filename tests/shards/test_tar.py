"""Tars that every reader takes, with the same bytes for the same content."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.formats import tar
from postmill.shards.formats.tar import MAX_SIZE, RECORD, TarWriter, headers
from postmill.shards.run import publish

NAMES = st.text("abcdefXYZ0189_-.", min_size=1, max_size=100)


def write(folder: Path, members: list[tuple[str, bytes]], cut: int = 0) -> Path:
    with publish.unit(folder, "unit", "r") as unit:
        tar = TarWriter(unit.file("a.tar"))
        for some in (members[:cut], members[cut:]):
            tar.add([name for name, _ in some], [memoryview(content) for _, content in some])
        tar.close()
    data = (folder / "a.tar").read_bytes()
    assert tar.size == len(data)
    assert [(name, data[start : start + size]) for name, start, size in tar.members] == members
    return folder / "a.tar"


@given(members=st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=12), cut=st.integers(0, 12))
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bytes]], cut: int
) -> None:
    path = write(tmp_path_factory.mktemp("tar"), members, cut)
    assert path.stat().st_size % RECORD == 0
    with tarfile.open(path) as tar:
        read = [(each.name, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]
        assert read == members


def test_gnu_tar_lists_it_without_complaint(tmp_path: Path) -> None:
    path = write(tmp_path, [("a.json", b"{}"), ("a.0.jpg", bytes(600)), ("n" * 100, b"")])
    done = subprocess.run(["tar", "-tvf", str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [line.split()[-1] for line in done.stdout.splitlines()] == ["a.json", "a.0.jpg", "n" * 100]
    assert "-rw-r--r--" in done.stdout


def test_members_of_every_size_about_that_of_the_buffer(tmp_path: Path) -> None:
    """Whatever fits into the buffer, fills it to the last block, or passes it by, the tar is one without a seam."""
    whole = tar._BUFFER - tar.BLOCK
    sizes = [1, whole - 1, whole, whole + 1, 0, whole - 512, 3 * whole, 700, *[100_003] * 60, whole // 2, whole // 2]
    members = [(f"{n}.jpg", bytes([n % 251]) * size) for n, size in enumerate(sizes)]
    with tarfile.open(write(tmp_path, members)) as read:
        assert [(each.name, read.extractfile(each).read()) for each in read] == members  # type: ignore[union-attr]


@given(named=st.lists(st.tuples(NAMES, st.integers(0, MAX_SIZE)), min_size=1, max_size=8))
def test_headers_are_those_of_the_standard_library(named: list[tuple[str, int]]) -> None:
    names, sizes = zip(*named, strict=True)
    for (name, size), ours in zip(named, headers(names, sizes), strict=True):
        member = tarfile.TarInfo(name)
        member.size = size
        theirs = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
        theirs[329:345] = bytes(16)  # device numbers, which mean nothing for a regular file and which we leave empty
        checksum = sum(theirs[:148]) + 8 * ord(" ") + sum(theirs[156:])
        theirs[148:156] = b"%06o\0 " % checksum
        assert ours.tobytes() == theirs


def test_no_close_leaves_no_end(tmp_path: Path) -> None:
    with publish.unit(tmp_path, "unit", "r") as unit:
        TarWriter(unit.file("a.tar")).add(["a.json"], [bytes(9 << 20)])
    assert (tmp_path / "a.tar").stat().st_size == 512 + (9 << 20)


@pytest.mark.parametrize("name", ["", "n" * 101, "é.json"])
def test_a_name_that_does_not_fit_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError), publish.unit(tmp_path, "unit", "r") as unit:
        TarWriter(unit.file("a.tar")).add(["a", name], [b"", b""])


def test_golden_bytes(tmp_path: Path) -> None:
    """The format is a contract: one member of three bytes, byte by byte as the standard library writes it."""
    path = write(tmp_path, [("2912775343045501476.json", b"{} ")])
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("2912775343045501476.json")
        member.size, member.mode = 3, 0o644
        tar.addfile(member, io.BytesIO(b"{} "))
    ours, theirs = bytearray(path.read_bytes()), bytearray(expected.getvalue())
    # The two device numbers of a regular file mean nothing: the standard library writes zeros in octal, and the
    # checksum counts them.
    theirs[329:345] = bytes(16)
    theirs[148:156] = ours[148:156]
    assert ours == theirs
