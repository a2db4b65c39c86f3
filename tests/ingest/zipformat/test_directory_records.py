"""The records of the central directory, one by one and by the thousand."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from postmill.ingest.zipformat.directory import read_directory
from postmill.ingest.zipformat.signatures import NOWHERE
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.appnote import END, ONES32, RECORD
from tests.ingest.archives import patched
from tests.ingest.zipformat.directories import OpenSpace, names, rows, zipped


def test_counts_are_the_records_own(open_space: OpenSpace) -> None:
    content = zipped("a", "b", "c")
    for count in (0, 2, 4, 65_000):
        space = open_space(patched(content, -14, "<2H", count, count))
        directory = read_directory(space)
        assert len(rows(space, directory)) == len(rows(space, directory)) == 3
        counts = [warning for warning in directory.warnings if "the directory holds 3" in warning]
        assert counts == [f"the end record counts {count} entries and the directory holds 3"]
        with pytest.raises(PostmillError, match=f"counts {count} entries"):
            rows(space, read_directory(space, strict=True), strict=True)


def test_counts_modulo_65536(open_space: OpenSpace) -> None:
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
def test_signatures_inside_records_do_not_mislead(open_space: OpenSpace, block: int) -> None:
    record = RECORD.pack(b"PK\x01\x02", *[0] * 16)
    members: list[str | zipfile.ZipInfo] = [
        with_comment("a", b"PK\x01\x02"),
        "b",
        with_comment("c", record * 3),
        with_comment("d", b"", struct.pack("<HH", 0x9999, 46) + record),
        "e",
        with_comment("f", b"PK\x01\x02" * 2),
    ]
    space = open_space(zipped(*members))
    listed = rows(space, block=block)
    assert [row["name"] for row in listed] == ["a", "b", "c", "d", "e", "f"]
    assert [row["fault"] for row in listed] == [None] * 6


def test_a_damaged_record_is_placed(open_space: OpenSpace) -> None:
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


def test_a_digital_signature_ends_the_records(open_space: OpenSpace) -> None:
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
    position = content.rindex(b"PK\x01\x02")
    for name, value in fields.items():
        content = patched(content, position + places[name][0], places[name][1], value)
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
        (dict(method=98), Reason.METHOD_UNSUPPORTED),
        (dict(size=3), Reason.SIZE_MISMATCH),
    ],
)
def test_a_fault_of_one_entry_leaves_the_others_alone(
    open_space: OpenSpace, fields: dict[str, int], reason: Reason
) -> None:
    space = open_space(edited(zipped("a", "b", "c"), **fields))
    listed = rows(space)
    assert [row["fault"] for row in listed] == [None, None, reason]
    assert listed[2]["detail"]
    assert (listed[2]["offset"] == NOWHERE) == ("disk" in fields or fields.get("offset", 0) > 1000)
    with pytest.raises(PostmillError, match=f"c: {reason}"):
        rows(space, strict=True)


def zip64_extra(*values: int, disk: int | None = None) -> bytes:
    body = struct.pack(f"<{len(values)}Q", *values) + (b"" if disk is None else struct.pack("<I", disk))
    return struct.pack("<HH", 1, len(body)) + body


@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        (dict(size=ONES32), zip64_extra(7)),
        (dict(packed=ONES32), zip64_extra(7)),
        (dict(offset=ONES32), zip64_extra(38)),
        (dict(disk=0xFFFF), zip64_extra(disk=0)),
        (dict(size=ONES32, packed=ONES32, offset=ONES32, disk=0xFFFF), zip64_extra(7, 7, 38, disk=0)),
        (dict(packed=ONES32, disk=0xFFFF), zip64_extra(7, disk=0)),
        (dict(size=ONES32), b"\x55\x54\x05\x00\x01abcd" + zip64_extra(7)),
        (dict(), zip64_extra(99, 99, 99)),
        (dict(size=ONES32), zip64_extra(7) + zip64_extra(9)),
    ],
)
def test_zip64_values_are_put_in_field_by_field(open_space: OpenSpace, fields: dict[str, int], extra: bytes) -> None:
    plain = rows(open_space(zipped("a", "b")))
    content = zipped("a", "b")
    position = content.rindex(b"PK\x01\x02") + 47
    content = edited(content[:position] + extra + content[position:], **fields)
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
def test_a_zip64_extra_that_lacks_a_value(open_space: OpenSpace, extra: bytes, reason: Reason) -> None:
    content = zipped(with_comment("a", b""))
    position = content.rindex(b"PK\x01\x02") + 47
    content = edited(content[:position] + extra + content[position:], size=ONES32, packed=ONES32)
    content = patched(content, content.rindex(b"PK\x01\x02") + 30, "<H", len(extra))
    end = list(END.unpack(content[-22:]))
    end[5] += len(extra)
    (row,) = rows(open_space(content[:-22] + END.pack(*end)))
    assert row["fault"] == reason


def test_names_of_all_sorts_in_one_batch(open_space: OpenSpace) -> None:
    space = open_space(zipped("a.jpg", "é.jpg", "../x", "日本/", "b.jpg"))
    listed = rows(space)
    assert [row["name"] for row in listed] == ["a.jpg", "é.jpg", "../x", "日本/", "b.jpg"]
    assert [row["raw_name"].decode() for row in listed] == [row["name"] for row in listed]
    assert [row["name_length"] for row in listed] == [len(row["raw_name"]) for row in listed]
    assert [row["is_dir"] for row in listed] == [False, False, False, True, False]
    assert [row["fault"] for row in listed] == [None, None, Reason.NAME_HOSTILE, None, None]
