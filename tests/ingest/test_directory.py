"""Finding the central directory, deciding what kind of split it is, and streaming its records."""

from __future__ import annotations

import io
import os
import random
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.directory import Directory, read_directory
from ingest.parts import find_parts
from ingest.reasons import Reason
from ingest.records import NOWHERE, SCHEMA, batches
from ingest.space import AddressSpace, lay_out
from shards.errors import PostmillError

needs_zip = pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
needs_7z = pytest.mark.skipif(shutil.which("7z") is None, reason="7-Zip is not installed")

END = struct.Struct("<4s4H2IH")
RECORD = struct.Struct("<4s6H3I5H2I")


def zipped(*names: str | zipfile.ZipInfo, comment: bytes = b"") -> bytes:
    """A zip with a few bytes in each entry."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, b"entry %d" % number)
        archive.comment = comment
    return out.getvalue()


@pytest.fixture
def open_space(tmp_path: Path) -> Iterator[Callable[..., AddressSpace]]:
    """Write parts and open them as one space."""
    opened: list[AddressSpace] = []

    def write(*parts: bytes) -> AddressSpace:
        files = []
        for number, content in enumerate(parts):
            path = tmp_path / f"part{number}"
            path.write_bytes(content)
            files.append((str(path), len(content)))
        opened.append(AddressSpace(lay_out(files)))
        return opened[-1]

    yield write
    for each in opened:
        each.close()


def rows(space: AddressSpace, directory: Directory | None = None, **options: Any) -> list[dict[str, Any]]:
    found = list(batches(space, directory or read_directory(space), **options))
    for batch in found:
        batch.validate(full=True)
        assert batch.schema == SCHEMA
    return pa.Table.from_batches(found, SCHEMA).to_pylist()  # type: ignore[no-any-return]


def names(space: AddressSpace) -> list[str]:
    return [row["name"] for row in rows(space)]


def patched(content: bytes, at: int, form: str, *values: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(form, changed, at if at >= 0 else len(content) + at, *values)
    return bytes(changed)


# --- What kind of split


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with content that does not compress."""
    folder = tmp_path / "image"
    folder.mkdir()
    rng = random.Random(1)
    for number in range(30):
        (folder / f"user-{number:03d}.jpg").write_bytes(rng.randbytes(rng.randint(1, 20_000)))
    return folder


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


@needs_zip
@pytest.mark.parametrize("options", [(), ("-fz",), ("-0",)], ids=["plain", "forced zip64", "stored"])
def test_info_zip_writes_disks(tmp_path: Path, files: Path, options: tuple[str, ...]) -> None:
    run(tmp_path, "zip", "-q", "-r", "-s", "64k", *options, "a.zip", "image")
    with AddressSpace(find_parts(tmp_path / "a.z02")) as space:
        directory = read_directory(space, strict=True)
        assert (directory.kind, len(space.parts)) == ("disks", len(list(tmp_path.glob("a.z*"))))
        found = rows(space, directory, strict=True)
        assert directory.entries == len(found) == 31
        assert {row["name"] for row in found} == {"image/"} | {f"image/{path.name}" for path in files.iterdir()}
        assert [row["name"] for row in found if row["is_dir"]] == ["image/"]
        for row in found:
            assert space.read(row["offset"], 4) == b"PK\x03\x04"
        assert directory.zip64 == ("-fz" in options)


@needs_7z
def test_7z_writes_slices(tmp_path: Path, files: Path) -> None:
    run(tmp_path, "7z", "a", "-tzip", "-v64k", "a.zip", "image")
    with AddressSpace(find_parts(tmp_path / "a.zip.001")) as space:
        directory = read_directory(space, strict=True)
        assert (directory.kind, len(space.parts) > 2) == ("bytes", True)
        assert len(rows(space, directory, strict=True)) == 31


@needs_zip
def test_plain_slices_are_known_by_content_whatever_their_names(tmp_path: Path, files: Path) -> None:
    run(tmp_path, "zip", "-q", "-r", "a.zip", "image")
    run(tmp_path, "split", "-b", "50000", "-d", "--additional-suffix=", "a.zip", "b.z")
    run(tmp_path, "split", "-b", "50000", "a.zip", "a.zip.")
    for part in ("b.z03", "a.zip.ab"):
        with AddressSpace(find_parts(tmp_path / part)) as space:
            directory = read_directory(space, strict=True)
            assert (directory.kind, len(space.parts) > 2) == ("bytes", True)
            assert len(rows(space, directory, strict=True)) == 31
    with AddressSpace(find_parts(tmp_path / "a.zip")) as space:
        assert read_directory(space, strict=True).kind == "single"


SETS = {
    "pk-basic": "disks",
    "pk-straddle": "disks",
    "pk-nomarker": "disks",
    "pk-zip64": "disks",
    "pk-zip64-eocd-earlier": "disks",
    "pk-eocd-alone": "disks",
    "pk-bit3": "disks",
    "pk-bit3-nosig": "disks",
    "pk-bit3-zip64": "disks",
    "pk-z00": "disks",
    "raw-split": "bytes",
    "raw-z00": "bytes",
    "whole.zip": "single",
    "single-PK00-marker.zip": "single",
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("block", [50, 1000, 8 << 20])
def test_every_set_in_blocks_of_any_size(shared: Path, name: str, block: int) -> None:
    with AddressSpace(find_parts(shared / "zips" / "generated" / name)) as space:
        directory = read_directory(space, strict=True)
        assert directory.kind == SETS[name]
        assert directory.zip64 == ("zip64" in name)
        found = rows(space, directory, strict=True, block=block)
        assert [row["index"] for row in found] == list(range(123))
        for row in found:
            assert space.read(row["offset"], 4) == b"PK\x03\x04"
            assert space.read(row["offset"] + 30, row["name_length"]) == row["raw_name"] == row["name"].encode()


def test_a_writer_that_counts_no_disks_in_the_locator(tmp_path: Path) -> None:
    # Windows writes 0 total disks for 1.
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(66_000):
            archive.writestr(f"{number}", b"")
    content = (tmp_path / "a.zip").read_bytes()
    assert content[-42:-38] == b"PK\x06\x07"
    (tmp_path / "a.zip").write_bytes(patched(content, -26, "<I", 0))
    with AddressSpace(find_parts(tmp_path / "a.zip")) as space:
        directory = read_directory(space, strict=True)
        assert (directory.entries, directory.zip64) == (66_000, True)
        assert len(rows(space, directory, strict=True)) == 66_000


# --- Which end record


def test_an_empty_archive(open_space: Callable[..., AddressSpace]) -> None:
    space = open_space(zipped())
    assert rows(space, read_directory(space, strict=True), strict=True) == []


def test_a_comment_of_any_length(open_space: Callable[..., AddressSpace]) -> None:
    for length in (1, 22, 65_535):
        assert names(open_space(zipped("a", "b", comment=b"c" * length))) == ["a", "b"]


def test_an_end_record_in_the_comment_is_not_the_end(open_space: Callable[..., AddressSpace]) -> None:
    for inner in (zipped(), END.pack(b"PK\x05\x06", 0, 0, 1, 1, 46, 0, 0), b"PK\x05\x06" * 500, zipped("z", "y")):
        space = open_space(zipped("a", "b", comment=inner))
        assert names(space) == ["a", "b"]
        assert read_directory(space, strict=True).warnings == []


def test_two_ends_that_could_each_be_right_are_refused(open_space: Callable[..., AddressSpace]) -> None:
    outer = zipped("a", "b", comment=b"?" * 22)
    inner = END.pack(b"PK\x05\x06", 0, 0, 0, 0, 0, len(outer) - 22, 0)
    with pytest.raises(PostmillError, match="2 ends of central directory that could each be right"):
        read_directory(open_space(outer[:-22] + inner))


def test_what_stands_in_front_shifts_every_offset(open_space: Callable[..., AddressSpace]) -> None:
    space = open_space(b"#!/bin/sh\n" * 35 + zipped("a", "b"))
    directory = read_directory(space)
    assert (directory.shift, directory.kind) == (350, "single")
    assert directory.warnings == ["350 bytes stand in front of the archive; offsets are corrected by as much"]
    assert [space.read(row["offset"], 4) for row in rows(space, directory)] == [b"PK\x03\x04"] * 2
    with pytest.raises(PostmillError, match="350 bytes stand in front"):
        read_directory(space, strict=True)


def test_a_shift_must_prove_itself_on_the_first_entry(open_space: Callable[..., AddressSpace]) -> None:
    content = zipped("a", "b")
    with pytest.raises(PostmillError, match="9 bytes more than its end record accounts for"):
        read_directory(open_space(b"123456789" + b"????" + content[4:]))


def test_what_follows_is_left_out(open_space: Callable[..., AddressSpace]) -> None:
    for tail in (b"\0", bytes(5000), zipped()):
        space = open_space(zipped("a", "b") + tail)
        directory = read_directory(space)
        assert [row["name"] for row in rows(space, directory)] == ["a", "b"]
        assert directory.warnings == [f"{len(tail)} bytes behind the archive are left out"]
        with pytest.raises(PostmillError, match="behind the archive"):
            read_directory(space, strict=True)


def test_bytes_missing_in_front_are_not_made_up_for(open_space: Callable[..., AddressSpace]) -> None:
    with pytest.raises(PostmillError, match="10 bytes fewer than its end record accounts for"):
        read_directory(open_space(zipped("a", "b")[10:]))


def test_neither_an_end_nor_a_zip(open_space: Callable[..., AddressSpace]) -> None:
    whole = zipped("a", "b", comment=b"a comment")
    for content in (b"x", b"PK\x05\x06", bytes(100_000), whole[:-40], whole[: len(whole) // 2]):
        with pytest.raises(PostmillError, match="no end of central directory"):
            read_directory(open_space(content))
    with pytest.raises(PostmillError, match="comment of its end record is cut off"):
        read_directory(open_space(whole[:-4]))


def test_zip64_values_that_contradict_are_warned_of(open_space: Callable[..., AddressSpace], tmp_path: Path) -> None:
    content = zipped("a")
    end = END.unpack(content[-22:])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 7, 7, end[5], end[6])
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(content) - 22, 1)
    space = open_space(content[:-22] + record + locator + content[-22:])
    directory = read_directory(space)
    assert directory.warnings == ["the end record gives 1 as number of entries, its ZIP64 record 7"]
    assert len(rows(space, directory)) == 1
    stray = open_space(content[:-22] + locator + content[-22:])
    with pytest.raises(PostmillError, match="20 bytes more"):  # which the directory does not account for
        read_directory(stray)


def test_a_zip64_record_that_is_not_there(open_space: Callable[..., AddressSpace]) -> None:
    content = zipped("a")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 3, 5000, 9)
    end = END.pack(b"PK\x05\x06", 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with pytest.raises(PostmillError, match="ZIP64 record is not at byte 5000 of part 4"):
        read_directory(open_space(content[:-22] + locator + end))


# --- Parts that do not make one archive


def copy(shared: Path, tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    shutil.copytree(shared / "zips" / "generated" / name, folder)
    folder.chmod(0o755)
    return folder


def refusal(source: Any) -> PostmillError:
    with pytest.raises(PostmillError) as caught, AddressSpace(find_parts(source)) as space:
        read_directory(space)
    assert caught.value.hint
    assert caught.value.place
    return caught.value


def test_the_last_part_alone(shared: Path, tmp_path: Path) -> None:
    shutil.copy(shared / "zips/generated/pk-basic/pk-basic.zip", tmp_path)
    found = refusal(tmp_path / "pk-basic.zip")
    assert found.cause == "it is the last of 16 parts, and 1 is here"
    assert "15 missing" in (found.hint or "")


def test_parts_missing_at_the_end(shared: Path, tmp_path: Path) -> None:
    folder = copy(shared, tmp_path, "pk-basic")
    for number in (14, 15):
        (folder / f"pk-basic.z{number}").unlink()
    assert "last of 16 parts, and 14 are here" in refusal(folder).cause
    folder = copy(shared, tmp_path, "pk-z00")
    (folder / "pk-z00.z15").unlink()
    assert "no end of central directory" in refusal(folder).cause


def test_a_part_too_many(shared: Path, tmp_path: Path) -> None:
    folder = copy(shared, tmp_path, "pk-basic")
    shutil.copy(folder / "pk-basic.z01", folder / "pk-basic.z16")
    found = refusal(folder)
    assert "last of 16 parts, and 17 are here" in found.cause
    assert "another archive" in (found.hint or "")


def test_a_whole_archive_beside_other_parts(shared: Path, tmp_path: Path) -> None:
    folder = copy(shared, tmp_path, "pk-basic")
    (folder / "pk-basic.zip").chmod(0o644)
    shutil.copyfile(shared / "zips/generated/whole.zip", folder / "pk-basic.zip")
    assert "whole archive by itself" in refusal(folder).cause


@pytest.mark.parametrize("cut", [1, 500])
def test_a_slice_cut_short_is_named(shared: Path, tmp_path: Path, cut: int) -> None:
    folder = copy(shared, tmp_path, "raw-split")
    part = folder / "raw-split.zip.005"
    part.chmod(0o644)
    os.truncate(part, 3000 - cut)
    found = refusal(folder)
    assert f"{cut} bytes fewer than its end record accounts for; of an unusual size: raw-split.zip.005" in found.cause


def test_a_slice_twice(shared: Path) -> None:
    folder = shared / "zips/generated/raw-split"
    parts = [folder / f"raw-split.zip.{number:03d}" for number in range(1, 17)]
    space = AddressSpace(lay_out([(str(path), path.stat().st_size) for path in (parts[0], *parts)]))
    with space, pytest.raises(PostmillError, match="3000 bytes more than its end record accounts for"):
        read_directory(space)


def test_a_disk_much_shorter_than_the_others_is_pointed_out(shared: Path, tmp_path: Path) -> None:
    folder = copy(shared, tmp_path, "pk-basic")
    (folder / "pk-basic.z03").chmod(0o644)
    with (folder / "pk-basic.z03").open("ab") as part:
        part.write(bytes(300_000))
    with AddressSpace(find_parts(folder)) as space:
        warnings = read_directory(space).warnings
        assert read_directory(space, strict=True).kind == "disks"
    assert len(warnings) == 14
    assert "pk-basic.z01 is 300054 bytes smaller than the largest part; it may be cut short" in warnings


# --- Records


def test_counts_are_the_records_own(open_space: Callable[..., AddressSpace]) -> None:
    content = zipped("a", "b", "c")
    for count in (0, 2, 4, 65_000):
        space = open_space(patched(content, -14, "<2H", count, count))
        directory = read_directory(space)
        assert len(rows(space, directory)) == len(rows(space, directory)) == 3
        told = [warning for warning in directory.warnings if "the directory holds 3" in warning]
        assert told == [f"the end record counts {count} entries and the directory holds 3"]
        with pytest.raises(PostmillError, match=f"counts {count} entries"):
            rows(space, read_directory(space, strict=True), strict=True)


def test_counts_modulo_65536(tmp_path: Path, open_space: Callable[..., AddressSpace]) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(65_540):
            archive.writestr(f"{number}", b"")
    content = out.getvalue()
    end = END.unpack(content[-22:])
    old = END.pack(b"PK\x05\x06", 0, 0, 4, 4, end[5], end[6], 0)
    space = open_space(content[:-98] + old)
    directory = read_directory(space)
    assert len(rows(space, directory)) == 65_540
    assert ["modulo 65,536" in warning for warning in directory.warnings] == [True]


def with_comment(name: str, comment: bytes, extra: bytes = b"") -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.comment = comment
    info.extra = extra
    return info


@pytest.mark.parametrize("block", [64, 1000, 8 << 20])
def test_signatures_inside_records_do_not_mislead(open_space: Callable[..., AddressSpace], block: int) -> None:
    record = RECORD.pack(b"PK\x01\x02", *[0] * 16)
    members = [
        with_comment("a", b"PK\x01\x02"),
        "b",
        with_comment("c", record * 3),
        with_comment("d", b"", struct.pack("<HH", 0x9999, 46) + record),
        "e",
        with_comment("f", b"PK\x01\x02" * 2),
    ]
    space = open_space(zipped(*members))
    found = rows(space, block=block)
    assert [row["name"] for row in found] == ["a", "b", "c", "d", "e", "f"]
    assert [row["fault"] for row in found] == [None] * 6


def test_a_damaged_record_is_placed(open_space: Callable[..., AddressSpace]) -> None:
    content = zipped("a", "b", "c", "d")
    start = read_directory(open_space(content)).start
    third = start + 2 * 47
    for changed, byte, count in ((third, third, 2), (third + 28, third + 47 + 8, 3)):  # signature; length of the name
        space = open_space(patched(content, changed, "<B", 9))
        for block in (50, 8 << 20):
            with pytest.raises(PostmillError, match=rf"part0: .* damaged at byte {byte}, after {count} records"):
                rows(space, block=block)
    space = open_space(patched(content, len(content) - 22 - 47 + 32, "<H", 500))  # a comment beyond the end
    with pytest.raises(PostmillError, match="after 3 records"):
        rows(space)


def test_a_digital_signature_ends_the_records(open_space: Callable[..., AddressSpace]) -> None:
    content = zipped("a", "b")
    end = list(END.unpack(content[-22:]))
    signature = b"PK\x05\x05\x04\x00sign"
    end[5] += len(signature)
    space = open_space(content[:-22] + signature + END.pack(*end))
    assert names(space) == ["a", "b"]
    assert [row["name"] for row in rows(space, block=10)] == ["a", "b"]


def edited(content: bytes, **fields: int) -> bytes:
    """Change fields of the last directory record."""
    places = {"flags": (8, "<H"), "method": (10, "<H"), "packed": (20, "<I"), "size": (24, "<I")}
    places |= {"disk": (34, "<H"), "offset": (42, "<I")}
    at = content.rindex(b"PK\x01\x02")
    for name, value in fields.items():
        content = patched(content, at + places[name][0], places[name][1], value)
    return content


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (dict(disk=1), Reason.PART_MISSING),
        (dict(disk=0xFFFF), Reason.PART_MISSING),
        (dict(offset=0xFFFFFFFE), Reason.OFFSET_OUT_OF_RANGE),
        (dict(offset=90), Reason.OFFSET_OUT_OF_RANGE),
        (dict(packed=1000, size=1000), Reason.TRUNCATED),
        (dict(packed=0xFFFFFFFF, size=0xFFFFFFFF), Reason.TRUNCATED),
        (dict(flags=1), Reason.ENCRYPTED),
        (dict(method=14), Reason.METHOD_UNSUPPORTED),
        (dict(size=3), Reason.SIZE_MISMATCH),
    ],
)
def test_a_fault_of_one_entry_leaves_the_others_alone(
    open_space: Callable[..., AddressSpace], fields: dict[str, int], reason: Reason
) -> None:
    space = open_space(edited(zipped("a", "b", "c"), **fields))
    found = rows(space)
    assert [row["fault"] for row in found] == [None, None, reason]
    assert found[2]["detail"]
    assert (found[2]["offset"] == NOWHERE) == ("disk" in fields or fields.get("offset", 0) > 1000)
    with pytest.raises(PostmillError, match=f"c: {reason}"):
        rows(space, strict=True)


def zip64_extra(*values: int, disk: int | None = None) -> bytes:
    body = struct.pack(f"<{len(values)}Q", *values) + (b"" if disk is None else struct.pack("<I", disk))
    return struct.pack("<HH", 1, len(body)) + body


ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        (dict(size=ONES), zip64_extra(7)),
        (dict(packed=ONES), zip64_extra(7)),
        (dict(offset=ONES), zip64_extra(38)),
        (dict(disk=0xFFFF), zip64_extra(disk=0)),
        (dict(size=ONES, packed=ONES, offset=ONES, disk=0xFFFF), zip64_extra(7, 7, 38, disk=0)),
        (dict(packed=ONES, disk=0xFFFF), zip64_extra(7, disk=0)),
        (dict(size=ONES), b"\x55\x54\x05\x00\x01abcd" + zip64_extra(7)),
        (dict(), zip64_extra(99, 99, 99)),
        (dict(size=ONES), zip64_extra(7) + zip64_extra(9)),
    ],
)
def test_zip64_values_are_put_in_field_by_field(
    open_space: Callable[..., AddressSpace], fields: dict[str, int], extra: bytes
) -> None:
    plain = rows(open_space(zipped("a", "b")))
    content = zipped("a", "b")
    at = content.rindex(b"PK\x01\x02") + 47
    content = edited(content[:at] + extra + content[at:], **fields)
    content = patched(content, content.rindex(b"PK\x01\x02") + 30, "<H", len(extra))
    end = list(END.unpack(content[-22:]))
    end[5] += len(extra)
    assert rows(open_space(content[:-22] + END.pack(*end))) == plain


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (zip64_extra(7), Reason.HEADER_CORRUPT),
        (zip64_extra(), Reason.HEADER_CORRUPT),
        (struct.pack("<HHQ", 1, 16, 7), Reason.TRUNCATED),  # a field that leaves the record is none
        (b"\x01\x00\x10", Reason.TRUNCATED),
    ],
)
def test_a_zip64_extra_that_lacks_a_value(
    open_space: Callable[..., AddressSpace], extra: bytes, reason: Reason
) -> None:
    content = zipped(with_comment("a", b""))
    at = content.rindex(b"PK\x01\x02") + 47
    content = edited(content[:at] + extra + content[at:], size=ONES, packed=ONES)
    content = patched(content, content.rindex(b"PK\x01\x02") + 30, "<H", len(extra))
    end = list(END.unpack(content[-22:]))
    end[5] += len(extra)
    (row,) = rows(open_space(content[:-22] + END.pack(*end)))
    assert row["fault"] == reason


def test_names_of_all_sorts_in_one_batch(open_space: Callable[..., AddressSpace]) -> None:
    space = open_space(zipped("a.jpg", "é.jpg", "../x", "日本/", "b.jpg"))
    found = rows(space)
    assert [row["name"] for row in found] == ["a.jpg", "é.jpg", "../x", "日本/", "b.jpg"]
    assert [row["raw_name"].decode() for row in found] == [row["name"] for row in found]
    assert [row["name_length"] for row in found] == [len(row["raw_name"]) for row in found]
    assert [row["is_dir"] for row in found] == [False, False, False, True, False]
    assert [row["fault"] for row in found] == [None, None, Reason.NAME_HOSTILE, None, None]


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
    assert caught.value.hint is not None and "salvage" in caught.value.hint
