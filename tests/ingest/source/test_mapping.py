"""The mapping file as it really is, and as it should not be."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.source import textfile
from postmill.ingest.source.mapping import read_mapping
from postmill.shards.formats.faults import Fault
from postmill.shards.runtime.errors import DamagedSource, PostmillError

HEADER = "influencer_name JSON_PostMetadata_file_name Image_file_name    \n"
ONE = "ann.lee\t1.info\t['1.jpg']\n"


def read(path: Path) -> tuple[list[dict[str, Any]], list[Fault]]:
    rows: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for batch, malformed in read_mapping(str(path)):
        rows += batch.to_pylist()
        faults += malformed
    return rows, faults


@pytest.fixture
def mapping(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "mapping.txt"


def test_the_real_files_rows(mapping: Path) -> None:
    mapping.write_text(
        HEADER
        + "00_rocketgirl\t1188140434601337485.info\t['1188140434601337485.jpg']\n"
        + "2cookinmamas\t1828554485195517312.info\t['1828553984991615388.jpg', '1828553987206154327.jpg']\n"
    )
    rows, faults = read(mapping)
    assert faults == []
    assert rows == [
        {
            "line": 2,
            "influencer": "00_rocketgirl",
            "post_id": "1188140434601337485",
            "images": ["1188140434601337485.jpg"],
            "malformed": None,
        },
        {
            "line": 3,
            "influencer": "2cookinmamas",
            "post_id": "1828554485195517312",
            "images": ["1828553984991615388.jpg", "1828553987206154327.jpg"],
            "malformed": None,
        },
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("end", ["", "last"])
def test_line_ends_and_compressions(mapping: Path, newline: str, compress: Any, end: str) -> None:
    text = HEADER + ONE + "bob\t2.info\t['2.jpg', '3.jpg']" + ("\n" if end == "" else "")
    mapping.write_bytes(compress(text.replace("\n", newline).encode()))
    rows, faults = read(mapping)
    assert [(row["line"], row["images"]) for row in rows] == [(2, ["1.jpg"]), (3, ["2.jpg", "3.jpg"])]
    assert faults == []


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("", "account"),
        ("ann", "as many fields"),
        ("\t1.info\t['1.jpg']", "account"),
        ("../ann\t1.info\t['1.jpg']", "account"),
        ("a\x07b\t1.info\t['1.jpg']", "account"),
        ("ann\t1.txt\t['1.jpg']", "second field"),
        ("ann\t.info\t['1.jpg']", "second field"),
    ],
)
def test_a_row_that_names_no_post_is_a_fault_with_its_line_and_the_others_stand(
    mapping: Path, row: str, detail: str
) -> None:
    mapping.write_text(HEADER + ONE + row + "\n" + ONE, newline="")
    rows, (fault,) = read(mapping)
    assert [row["line"] for row in rows] == [2, 4]
    assert (fault.line, fault.reason, fault.post_lost) == (3, "malformed_mapping_row", False)
    assert fault.detail is not None and detail in fault.detail


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("bob\t2.info", "as many fields"),
        ("bob\t2.info\t['1.jpg']\tmore", "as many fields"),
        ("bob\t2.info\t['1.jpg'", "third field"),
        ("bob\t2.info\t[1.jpg]", "third field"),
        ("bob\t2.info\t['1.jpg' '2.jpg']", "third field"),
        ("bob\t2.info\t['../1.jpg']", "third field"),
        ("bob\t2.info\t[__import__('os')]", "third field"),
        ("bob\t2.info\t", "third field"),
    ],
)
def test_a_row_that_names_a_post_and_no_pictures_is_a_row_of_that_post(mapping: Path, row: str, detail: str) -> None:
    mapping.write_text(HEADER + ONE + row + "\n" + ONE, newline="")
    rows, faults = read(mapping)
    assert faults == []
    assert [row["line"] for row in rows] == [2, 3, 4]
    assert [row["malformed"] is None for row in rows] == [True, False, True]
    assert (rows[1]["influencer"], rows[1]["post_id"], rows[1]["images"]) == ("bob", "2", None)
    assert detail in rows[1]["malformed"]


@pytest.mark.parametrize(
    ("pictures", "detail"), [(1000, None), (1001, "1,001 pictures, where a post has 1,000 at most")]
)
def test_the_pictures_of_a_post_are_bounded_in_number(mapping: Path, pictures: int, detail: str | None) -> None:
    mapping.write_text(HEADER + ONE + f"ann\t2.info\t{[f'{number}.jpg' for number in range(pictures)]}\n")
    rows, _ = read(mapping)
    assert (rows[1]["post_id"], rows[1]["malformed"]) == ("2", detail)


@pytest.mark.parametrize(
    "row",
    [
        "ann\t2.info\t\"['2.jpg', '3.jpg']\"",
        "ann\t2.info\t\"['2.jpg', '3.jpg']\" ",
        '"ann"\t"2.info"\t"[\'2.jpg\', \'3.jpg\']"',
        "ann\t2.info\t\"['2.jpg', '3.jpg']\"\r",
    ],
)
def test_fields_that_a_spreadsheet_quoted_are_read(mapping: Path, row: str) -> None:
    mapping.write_text(HEADER + row + "\n" + ONE, newline="")
    rows, faults = read(mapping)
    assert faults == []
    assert [(row["post_id"], row["images"]) for row in rows] == [("2", ["2.jpg", "3.jpg"]), ("1", ["1.jpg"])]


def test_doubled_marks_within_a_quoted_field_are_single_ones(mapping: Path) -> None:
    mapping.write_text(HEADER + ONE + "ann\t2.info\t\"['a\"\"b.jpg', 'c.jpg']\"\n")
    rows, _ = read(mapping)
    assert (
        rows[1]["malformed"] == """the third field is no list of quoted picture names: '[\\'a"b.jpg\\', \\'c.jpg\\']'"""
    )


@pytest.mark.parametrize(
    "row",
    [
        *(b"caf\xe9\t1.info\t['1.jpg']", b"caf\xe9\t1.info", b"caf\xe9\t1.info\t['1.jpg']\tx", b"\xe9", b"\xff" * 64),
        *("caf\u00e9\t1.nfo".encode(), b"\0\0\t\0", b"\0"),
    ],
)
@pytest.mark.parametrize("after", [b"", ONE.encode()])
def test_bytes_that_are_no_text_are_a_fault_of_their_row(mapping: Path, row: bytes, after: bytes) -> None:
    mapping.write_bytes(HEADER.encode() + ONE.encode() + row + b"\n" + after)
    rows, faults = read(mapping)
    assert [row["line"] for row in rows] == ([2, 4] if after else [2])
    assert [(fault.line, fault.reason) for fault in faults] == [(3, "malformed_mapping_row")]


@pytest.mark.parametrize("end", ["user_0\t123", "bob", "bob\t2.info", "bob\t2.info\t['2.jpg', '3"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_file_that_ends_within_a_row_is_refused(mapping: Path, end: str, compress: Any) -> None:
    mapping.write_bytes(compress((HEADER + ONE + end).encode()))
    with pytest.raises(
        DamagedSource, match="ends in the middle of a row, so that rows are missing: line 3 is"
    ) as caught:
        read(mapping)
    assert caught.value.hint == "copy it again, then run the same command"


def test_salvage_takes_a_file_that_ends_within_a_row(mapping: Path) -> None:
    mapping.write_text(HEADER + ONE + "user_0\t123")
    batches = list(read_mapping(str(mapping), salvage=True))
    assert sum(batch.num_rows for batch, _ in batches) == 1
    assert [fault.line for _, faults in batches for fault in faults] == [3]


@pytest.mark.parametrize("after", ["", "\n", "\n" + ONE])
def test_a_file_with_a_hole_is_refused(mapping: Path, after: str) -> None:
    mapping.write_text(HEADER + ONE + "\0" * 4096 + after)
    with pytest.raises(DamagedSource, match="holds zeros where rows must be, at line 3"):
        read(mapping)


def test_a_hole_longer_than_a_line_may_be_is_told(mapping: Path) -> None:
    mapping.write_text(HEADER + ONE + "\0" * (2 << 20))
    with pytest.raises(PostmillError, match="holds zeros where rows must be, at line 3"):
        read(mapping)


def test_bytes_that_are_not_utf8_are_a_fault(mapping: Path) -> None:
    mapping.write_bytes(HEADER.encode() + ONE.encode() + b"\xff\xfe\t1.info\t['1.jpg']\n" + ONE.encode())
    rows, faults = read(mapping)
    assert [row["line"] for row in rows] == [2, 4] and [fault.line for fault in faults] == [3]


def test_a_post_without_pictures_is_a_row(mapping: Path) -> None:
    mapping.write_text(HEADER + "ann\t1.info\t[]\n" + ONE)
    rows, faults = read(mapping)
    assert [row["images"] for row in rows] == [[], ["1.jpg"]] and faults == []


NAMES = st.text(
    st.characters(min_codepoint=33, exclude_characters="/\\'\"\x7f", exclude_categories=["C", "Z"]), min_size=1
)


@given(
    rows=st.lists(st.tuples(NAMES, NAMES, st.lists(NAMES, max_size=4)), min_size=1),
    block=st.integers(1, 200),
)
def test_rows_come_back_whatever_the_block(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, list[str]]], block: int
) -> None:
    path = tmp_path_factory.mktemp("mapping") / "m.txt"
    path.write_text(HEADER + "".join(f"{a}\t{b}.info\t{images!r}\n" for a, b, images in rows), newline="")
    assert b"".join(textfile.blocks(str(path), block)) == path.read_bytes()
    read_rows, faults = read(path)
    assert faults == []
    assert [(row["influencer"], row["post_id"], row["images"]) for row in read_rows] == rows
    assert [row["line"] for row in read_rows] == list(range(2, len(rows) + 2))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"\0" * (3 << 20), "holds zeros where text must be"),
        (b"x" * (3 << 20), "no line end in its first MiB"),
        (b"header\n" + b"nonsense\n" * 500, "not a mapping file"),
        (b"header\n" + b"nonsense\n", "not a mapping file"),
        (HEADER.encode(), "not a mapping file"),
        (b"header\n" + b"x" * (3 << 20), "ends in the middle of a row"),
        (gzip.compress(HEADER.encode() * 999)[:-20], "cannot be read"),
        (zstandard.compress(HEADER.encode() + ONE.encode() * 99999)[:-20], "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(mapping: Path, content: bytes, cause: str) -> None:
    mapping.write_bytes(content)
    with pytest.raises(PostmillError, match=cause) as caught:
        read(mapping)
    assert caught.value.place == str(mapping) and caught.value.hint


def test_a_missing_file_is_said(mapping: Path) -> None:
    with pytest.raises(PostmillError, match="does not exist"):
        read(mapping)
