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

from ingest import textfile
from ingest.mapping import read_mapping
from shards.errors import PostmillError
from shards.faults import Fault

HEADER = "influencer_name JSON_PostMetadata_file_name Image_file_name    \n"
ONE = "ann.lee\t1.info\t['1.jpg']\n"


def read(path: Path) -> tuple[list[dict[str, Any]], list[Fault]]:
    rows: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for batch, found in read_mapping(str(path)):
        rows += batch.to_pylist()
        faults += found
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
        },
        {
            "line": 3,
            "influencer": "2cookinmamas",
            "post_id": "1828554485195517312",
            "images": ["1828553984991615388.jpg", "1828553987206154327.jpg"],
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
        ("ann", "three tab-separated"),
        ("ann\t1.info", "three tab-separated"),
        ("ann\t1.info\t['1.jpg']\tmore", "three tab-separated"),
        ("\t1.info\t['1.jpg']", "account"),
        ("../ann\t1.info\t['1.jpg']", "account"),
        ("a\x07b\t1.info\t['1.jpg']", "account"),
        ("a\rb\t1.info\t['1.jpg']", "account"),
        ("ann\t1.txt\t['1.jpg']", "second field"),
        ("ann\t.info\t['1.jpg']", "second field"),
        ("ann\t1.info\t['1.jpg'", "third field"),
        ("ann\t1.info\t[1.jpg]", "third field"),
        ("ann\t1.info\t['1.jpg' '2.jpg']", "third field"),
        ("ann\t1.info\t['../1.jpg']", "third field"),
        ("ann\t1.info\t[__import__('os')]", "third field"),
        ("ann\t1.info\t", "third field"),
    ],
)
def test_a_malformed_row_is_a_fault_with_its_line_and_the_others_stand(mapping: Path, row: str, detail: str) -> None:
    mapping.write_text(HEADER + ONE + row + "\n" + ONE, newline="")
    rows, (fault,) = read(mapping)
    assert [each["line"] for each in rows] == [2, 4]
    assert (fault.line, fault.reason, fault.post_lost) == (3, "malformed_mapping_row", False)
    assert fault.detail is not None and detail in fault.detail


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
        (ONE.encode(), "no header line"),
        (b"header\n" + b"nonsense\n" * 500, "not a mapping file"),
        (b"header\n" + b"nonsense\n", "not a mapping file"),
        (b"header\n" + b"x" * (3 << 20), "line of over 1 MiB"),
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
    with pytest.raises(PostmillError, match="cannot be read"):
        read(mapping)
