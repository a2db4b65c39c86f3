"""Which end record counts, and what stands before or behind it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from postmill.ingest.zipformat.directory import read_directory
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import DamagedSource, PostmillError
from tests.ingest.appnote import END, END64, LOCATOR
from tests.ingest.archives import needs_zip
from tests.ingest.zipformat.directories import OpenSpace, names, rows, zipped


def test_an_empty_archive(open_space: OpenSpace) -> None:
    space = open_space(zipped())
    assert rows(space, read_directory(space, strict=True), strict=True) == []


def test_a_comment_of_any_length(open_space: OpenSpace) -> None:
    for length in (1, 22, 65_535):
        assert names(open_space(zipped("a", "b", comment=b"c" * length))) == ["a", "b"]


def test_an_end_record_in_the_comment_is_not_the_end(open_space: OpenSpace) -> None:
    for inner in (zipped(), END.pack(b"PK\x05\x06", 0, 0, 1, 1, 46, 0, 0), b"PK\x05\x06" * 500, zipped("z", "y")):
        space = open_space(zipped("a", "b", comment=inner))
        assert names(space) == ["a", "b"]
        assert read_directory(space, strict=True).warnings == []


def test_two_ends_that_could_each_be_right_are_refused(open_space: OpenSpace) -> None:
    outer = zipped("a", "b", comment=b"?" * 22)
    inner = END.pack(b"PK\x05\x06", 0, 0, 0, 0, 0, len(outer) - 22, 0)
    with pytest.raises(PostmillError, match="2 ends of central directory that could each be right"):
        read_directory(open_space(outer[:-22] + inner))


def test_what_stands_in_front_shifts_every_offset(open_space: OpenSpace) -> None:
    space = open_space(b"#!/bin/sh\n" * 35 + zipped("a", "b"))
    directory = read_directory(space)
    assert (directory.shift, directory.kind) == (350, "single")
    assert directory.warnings == ["350 bytes stand in front of the archive; offsets are corrected by as much"]
    assert [space.read(row["offset"], 4) for row in rows(space, directory)] == [b"PK\x03\x04"] * 2
    with pytest.raises(PostmillError, match="350 bytes stand in front"):
        read_directory(space, strict=True)


def test_a_shift_must_prove_itself_on_the_first_entry(open_space: OpenSpace) -> None:
    content = zipped("a", "b")
    with pytest.raises(PostmillError, match="9 bytes more than its end record accounts for"):
        read_directory(open_space(b"123456789" + b"????" + content[4:]))


def test_what_follows_is_left_out(open_space: OpenSpace) -> None:
    for tail in (b"\0", bytes(5000), zipped()):
        space = open_space(zipped("a", "b") + tail)
        directory = read_directory(space)
        assert [row["name"] for row in rows(space, directory)] == ["a", "b"]
        assert directory.warnings == [f"{len(tail)} bytes behind the archive are left out"]
        with pytest.raises(PostmillError, match="behind the archive"):
            read_directory(space, strict=True)


def test_bytes_missing_in_front_are_not_made_up_for(open_space: OpenSpace) -> None:
    with pytest.raises(PostmillError, match="10 bytes fewer than its end record accounts for"):
        read_directory(open_space(zipped("a", "b")[10:]))


def test_neither_an_end_nor_a_zip(open_space: OpenSpace) -> None:
    sound = zipped("a", "b", comment=b"a comment")
    for content in (b"x", b"PK\x05\x06", bytes(100_000), sound[:-40], sound[: len(sound) // 2]):
        with pytest.raises(PostmillError, match="no end of central directory"):
            read_directory(open_space(content))
    with pytest.raises(PostmillError, match="comment of its end record is cut off"):
        read_directory(open_space(sound[:-4]))


def test_zip64_values_that_contradict_are_warned_of(open_space: OpenSpace) -> None:
    content = zipped("a")
    end = END.unpack(content[-22:])
    record = END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, 7, 7, end[5], end[6])
    locator = LOCATOR.pack(b"PK\x06\x07", 0, len(content) - 22, 1)
    space = open_space(content[:-22] + record + locator + content[-22:])
    directory = read_directory(space)
    assert directory.warnings == ["the end record gives 1 as number of entries, its ZIP64 record 7"]
    assert len(rows(space, directory)) == 1
    stray = open_space(content[:-22] + locator + content[-22:])
    with pytest.raises(PostmillError, match="20 bytes more"):  # which the directory does not account for
        read_directory(stray)


def test_a_zip64_record_that_is_not_there(open_space: OpenSpace) -> None:
    content = zipped("a")
    locator = LOCATOR.pack(b"PK\x06\x07", 3, 5000, 9)
    end = END.pack(b"PK\x05\x06", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with pytest.raises(PostmillError, match="ZIP64 record is not at byte 5000 of part 4"):
        read_directory(open_space(content[:-22] + locator + end))


@needs_zip
def test_a_zip_inside_a_zip_whose_end_is_lost_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"outer" * 100)
    (tmp_path / "b.txt").write_bytes(b"inner" * 100)
    subprocess.run(["zip", "-q", "inner.zip", "b.txt"], cwd=tmp_path, check=True)
    subprocess.run(["zip", "-q0", "outer.zip", "a.txt", "inner.zip"], cwd=tmp_path, check=True)
    inner, outer = (tmp_path / "inner.zip").read_bytes(), (tmp_path / "outer.zip").read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(outer[: outer.index(inner) + len(inner)])
    with AddressSpace(find_parts(cut)) as space, pytest.raises(PostmillError, match="zip within the archive") as caught:
        read_directory(space)
    assert isinstance(caught.value, DamagedSource) and caught.value.hint


@pytest.mark.parametrize("length", [70_000, 3 << 20])
def test_zeros_of_any_length_behind_an_archive_are_left_out(open_space: OpenSpace, length: int) -> None:
    space = open_space(zipped("a", "b") + bytes(length))
    directory = read_directory(space)
    assert directory.warnings == [f"{length} bytes behind the archive are left out"]
    assert names(space) == ["a", "b"]
    with pytest.raises(DamagedSource, match="no end of central directory"):
        read_directory(open_space(zipped("a", "b") + bytes(length - 1) + b"?"))
    with pytest.raises(DamagedSource, match="no end of central directory"):
        read_directory(open_space(bytes(length)))


@pytest.mark.parametrize("slices", [1, 3])
def test_what_stood_in_front_and_is_gone_shifts_every_offset_back(open_space: OpenSpace, slices: int) -> None:
    whole = zipped("a", "b", "c")
    start = len(whole) - 22 - int.from_bytes(whole[-10:-6], "little")
    content = bytearray(whole)
    for position in [index for index in range(start, len(whole)) if whole.startswith(b"PK\1\2", index)]:
        offset = int.from_bytes(whole[position + 42 : position + 46], "little")
        content[position + 42 : position + 46] = (offset + 60).to_bytes(4, "little")
    content[-6:-2] = (start + 60).to_bytes(4, "little")
    step = -(-len(content) // slices)
    space = open_space(*(bytes(content[step * number : step * (number + 1)]) for number in range(slices)))
    directory = read_directory(space)
    assert directory.shift == -60
    assert "60 bytes that stood in front of the archive are gone" in directory.warnings[0]
    assert [space.read(row["offset"], 4) for row in rows(space, directory)] == [b"PK\3\4"] * 3
    with pytest.raises(PostmillError, match="60 bytes that stood in front"):
        read_directory(space, strict=True)


def test_an_entry_before_what_is_there_is_out_of_range(open_space: OpenSpace) -> None:
    whole = zipped("a", "b")
    content = bytearray(whole)
    first = whole.index(b"PK\1\2")
    second = whole.index(b"PK\1\2", first + 1)
    content[first + 42 : first + 46] = (60).to_bytes(4, "little")
    content[second + 42 : second + 46] = (7).to_bytes(4, "little")
    content[-6:-2] = (first + 60).to_bytes(4, "little")
    listed = rows(open_space(bytes(content)))
    assert [row["fault"] for row in listed] == [None, Reason.OFFSET_OUT_OF_RANGE]


def test_one_file_of_a_writer_that_counts_disks_from_1(open_space: OpenSpace) -> None:
    whole = zipped("a", "b")
    content = bytearray(whole)
    for position in [index for index in range(len(whole)) if whole.startswith(b"PK\1\2", index)]:
        content[position + 34] = 1
    content[-18] = content[-16] = 1
    space = open_space(bytes(content))
    directory = read_directory(space)
    assert directory.warnings == ["it is counted as the last of 2 parts, and all entries are in it"]
    assert [space.read(row["offset"], 4) for row in rows(space, directory)] == [b"PK\3\4"] * 2
