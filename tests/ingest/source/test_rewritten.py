"""Both text files as other programs leave them: read as the same rows, or refused for what they are."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import zstandard

from postmill.ingest.source import textfile
from postmill.ingest.source.influencers import HEADER, Influencer, read_influencers
from postmill.ingest.source.mapping import read_mapping
from postmill.shards.runtime.errors import PostmillError

COLUMNS = ["influencer_name", "JSON_PostMetadata_file_name", "Image_file_name"]
ROWS = [
    ["ann.lee", "1.info", "['1.jpg']"],
    ["bob_7", "2.info", "['3.jpg', '4.jpg']"],
    ["1234", "5.info", "['5.jpg']"],
]
MAPPING = " ".join(COLUMNS) + "    \n" + "".join("\t".join(row) + "\n" for row in ROWS)
POSTS = [("ann.lee", "1", ["1.jpg"]), ("bob_7", "2", ["3.jpg", "4.jpg"]), ("1234", "5", ["5.jpg"])]
ACCOUNTS = [Influencer("ann.lee", "food", 187_872, 861, 265), Influencer("bob_7", "pet", 1000, 2, 3)]
INFLUENCERS = f"{HEADER}\n{'=' * 60}\nann.lee\tfood\t187872\t861\t265\nbob_7\tpet\t1000\t2\t3\n"


def table(rows: list[list[str]], delimiter: str = "\t", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue().encode()


def frame() -> pd.DataFrame:
    return pd.read_csv(io.StringIO(MAPPING), sep="\t", skiprows=1, names=COLUMNS, dtype=str)


def posts(content: bytes, path: Path) -> tuple[list[tuple[str, str, list[str]]], list[int]]:
    """The posts of a mapping file, and the lines of what is malformed in it."""
    path.write_bytes(content)
    rows, wrong = [], []
    for batch, faults in read_mapping(str(path)):
        wrong += [fault.line or 0 for fault in faults]
        for row in batch.to_pylist():
            if row["malformed"] is None:
                rows.append((row["influencer"], row["post_id"], row["images"]))
            else:
                wrong.append(row["line"])
    return rows, wrong


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16 with a mark": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 with the other mark": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-16-LE": lambda text: text.encode("utf-16-le"),
    "UTF-16-BE": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "UTF-32 with the other mark": lambda text: codecs.BOM_UTF32_BE + text.encode("utf-32-be"),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_encodings_and_line_ends_make_no_difference(
    tmp_path: Path, encode: Callable[[str], bytes], newline: str, compress: Callable[[bytes], bytes]
) -> None:
    assert posts(compress(encode(MAPPING.replace("\n", newline))), tmp_path / "mapping.txt") == (POSTS, [])
    (tmp_path / "influencers.txt").write_bytes(compress(encode(INFLUENCERS.replace("\n", newline))))
    assert read_influencers(str(tmp_path / "influencers.txt")) == (ACCOUNTS, [])


@pytest.mark.parametrize("block", range(1, 9))
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blocks_may_end_anywhere(tmp_path: Path, block: int, newline: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(codecs.BOM_UTF16_LE + "a\u00e9\U0001f600\nb\n".replace("\n", newline).encode("utf-16-le"))
    assert b"".join(textfile.blocks(str(path), block)).decode() == "a\u00e9\U0001f600\nb\n"


REWRITTEN: dict[str, Callable[[], bytes]] = {
    "pandas, tabs": lambda: frame().to_csv(sep="\t", index=False).encode(),
    "pandas, tabs and its index": lambda: frame().to_csv(sep="\t").encode(),
    "pandas, commas": lambda: frame().to_csv(index=False).encode(),
    "pandas, commas and its index": lambda: frame().to_csv().encode(),
    "pandas, no header": lambda: frame().to_csv(sep="\t", index=False, header=False).encode(),
    "a spreadsheet, tabs": lambda: table([[MAPPING.partition("\n")[0], "", ""], *ROWS]).replace(
        b"['3.jpg', '4.jpg']", b"\"['3.jpg', '4.jpg']\""
    ),
    "a spreadsheet, semicolons": lambda: table([COLUMNS, *ROWS], ";"),
    "all quoted": lambda: table([COLUMNS, *ROWS], quoting=csv.QUOTE_ALL),
    "all quoted, commas": lambda: table([COLUMNS, *ROWS], ",", csv.QUOTE_ALL),
    "other order, one more": lambda: table(
        [["Image_file_name", "likes", *COLUMNS[:2]], *([row[2], "7", *row[:2]] for row in ROWS)]
    ),
    "other names": lambda: table([["user", "post", "pictures"], *ROWS]),
    "lists as JSON": lambda: MAPPING.replace("'", '"').encode(),
    "lists as JSON, quoted": lambda: table([COLUMNS, *([*row[:2], row[2].replace("'", '"')] for row in ROWS)]),
    "no header": lambda: MAPPING.partition("\n")[2].encode(),
}


@pytest.mark.parametrize("write", REWRITTEN.values(), ids=REWRITTEN)
def test_a_mapping_that_another_program_wrote_is_read(tmp_path: Path, write: Callable[[], bytes]) -> None:
    assert posts(write(), tmp_path / "mapping.txt") == (POSTS, [])


def test_without_a_header_the_first_row_is_line_1(tmp_path: Path) -> None:
    (tmp_path / "mapping.txt").write_text(MAPPING.partition("\n")[2])
    (batch, _), *_ = read_mapping(str(tmp_path / "mapping.txt"))
    assert batch["line"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_of_a_row_with_other_fields_than_columns_the_post_is_lost(tmp_path: Path, delimiter: str) -> None:
    short = table([COLUMNS, ROWS[0], ROWS[1][:2], [*ROWS[2], "more"]], delimiter)
    assert posts(short, tmp_path / "mapping.txt") == (POSTS[:1], [3, 4])


def test_a_tab_within_a_quoted_field_is_no_column(tmp_path: Path) -> None:
    content = table([COLUMNS, ROWS[0], ["a\tb", *ROWS[1][1:]]], ",")
    assert posts(content, tmp_path / "mapping.txt") == (POSTS[:1], [3])


@pytest.mark.parametrize("size", [1 << 20, 9 << 20])
@pytest.mark.parametrize("begin", ["", "eve\t9.info\t['"])
@pytest.mark.parametrize("before", [0, 300_000])
def test_a_huge_row_is_one_fault_wherever_it_stands(tmp_path: Path, size: int, begin: str, before: int) -> None:
    rows = [f"dan\t{number}.info\t['{number}.jpg']\n" for number in range(before)]
    header, _, others = MAPPING.partition("\n")
    path = tmp_path / "mapping.txt"
    found, wrong = posts(f"{header}\n{''.join(rows)}{begin}{'x' * size}\n{others}".encode(), path)
    assert found[before:] == POSTS and wrong == [before + 2]


def test_half_a_surrogate_pair_is_a_fault_of_its_row(tmp_path: Path) -> None:
    text = MAPPING + "caf\ud83d\t9.info\t['9.jpg']\n"
    content = codecs.BOM_UTF16_LE + text.encode("utf-16-le", "surrogatepass")
    assert posts(content, tmp_path / "mapping.txt") == (POSTS, [5])


@pytest.mark.parametrize("cut", [1, 7])
def test_a_utf16_file_that_ends_within_a_row_is_refused(tmp_path: Path, cut: int) -> None:
    content = codecs.BOM_UTF16_LE + MAPPING.encode("utf-16-le")
    with pytest.raises(PostmillError, match="ends in the middle of a row"):
        posts(content[:-cut], tmp_path / "mapping.txt")


def read_accounts(content: bytes, folder: Path) -> tuple[list[Influencer], list[int | None]]:
    (folder / "influencers.txt").write_bytes(content)
    accounts, faults = read_influencers(str(folder / "influencers.txt"))
    return accounts, [fault.line for fault in faults]


def accounts_frame() -> pd.DataFrame:
    return pd.read_csv(io.StringIO(INFLUENCERS), sep="\t")  # the rule is a row, and makes floats of all numbers


ACCOUNTS_REWRITTEN: dict[str, Callable[[], bytes]] = {
    "pandas, with the rule": lambda: accounts_frame().to_csv(sep="\t", index=False).encode(),
    "pandas, with the rule and its index": lambda: accounts_frame().to_csv(sep="\t").encode(),
    "pandas, without it": lambda: accounts_frame().dropna().to_csv(sep="\t", index=False).encode(),
    "pandas, commas": lambda: accounts_frame().dropna().to_csv().encode(),
    "no header": lambda: INFLUENCERS.split("\n", 2)[2].encode(),
    "no rule": lambda: INFLUENCERS.replace("=" * 60 + "\n", "").encode(),
    "no header, the rule": lambda: INFLUENCERS.split("\n", 1)[1].encode(),
    "a spreadsheet's idea of the rule": lambda: INFLUENCERS.replace("=" * 60, "#NAME?\t\t\t\t").encode(),
    "the rule quoted": lambda: INFLUENCERS.replace("=" * 60, '"' + "=" * 60 + '"').encode(),
    "other order, one more": lambda: (
        b"#Posts\tUsername\tURL\tCategory\t#Followees\t#Followers\n"
        b"265\tann.lee\tx\tfood\t861\t187872\n3\tbob_7\tx\tpet\t2\t1000\n"
    ),
}


@pytest.mark.parametrize("write", ACCOUNTS_REWRITTEN.values(), ids=ACCOUNTS_REWRITTEN)
def test_influencers_that_another_program_wrote_are_read(tmp_path: Path, write: Callable[[], bytes]) -> None:
    assert read_accounts(write(), tmp_path) == (ACCOUNTS, [])


@pytest.mark.parametrize(
    "row",
    [
        b"caf\xe9\tpet\t1\t2\t3",
        b"a\tcaf\xe9\t1\t2\t3",
        b"\0\0",
        b"x" * (9 << 20),
        b'"a\tpet\t1\t2\t3',
        b"a\tpet\t1\t2\t3\t4",
    ],
)
def test_a_row_of_any_bytes_is_one_fault_of_influencers(tmp_path: Path, row: bytes) -> None:
    header, rule, *rows = INFLUENCERS.encode().splitlines(keepends=True)
    assert read_accounts(b"".join([header, rule, rows[0], row + b"\n", rows[1]]), tmp_path) == (ACCOUNTS, [4])


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ("influencer_name\tJSON_PostMetadata_file_name\tpictures", "has no column Image_file_name"),
        ("JSON_PostMetadata_file_name,x", "has no column influencer_name and no column Image_file_name"),
    ],
)
def test_a_column_that_the_header_lacks_is_named(tmp_path: Path, header: str, cause: str) -> None:
    with pytest.raises(PostmillError, match=cause):
        posts(MAPPING.replace(MAPPING.partition("\n")[0], header).encode(), tmp_path / "mapping.txt")


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mapping.txt", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("wrap", "cause"),
    [
        (zipped, "is a zip file"),
        (lzma.compress, "is compressed by xz"),
        (bz2.compress, "is compressed by bzip2"),
        (lambda content: gzip.compress(lzma.compress(content)), "is compressed by xz"),
        (lambda _: b"<!DOCTYPE html>\n<html><body>Quota exceeded</body></html>\n", "is a web page"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, wrap: Callable[[bytes], bytes], cause: str) -> None:
    for read in (posts, lambda content, path: read_accounts(content, path.parent)):
        with pytest.raises(PostmillError, match=cause) as caught:
            read(wrap(MAPPING.encode()), tmp_path / "mapping.txt")
        assert caught.value.hint


def test_the_first_row_is_named_of_a_file_that_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(PostmillError, match=r"a list of pictures; line 2: the second field is no plain name ending in"):
        posts(table([COLUMNS, ["ann", "1", "['1.jpg']"]]), tmp_path / "mapping.txt")


def test_the_first_row_is_named_of_a_file_that_is_no_list_of_accounts(tmp_path: Path) -> None:
    with pytest.raises(PostmillError, match=r"its first row is .ann\.lee"):
        read_accounts(MAPPING.encode(), tmp_path)


@pytest.fixture
def long_window(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "mapping.zst"
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # of a length not known before
    path.write_bytes(stream.compress(MAPPING.encode()) + stream.flush())
    assert zstandard.get_frame_parameters(path.read_bytes()).window_size == 1 << 31
    yield path


def test_the_longest_window_of_zstandard_is_read(long_window: Path) -> None:
    assert posts(long_window.read_bytes(), long_window) == (POSTS, [])
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # as pzstd begins
    assert posts(skippable + long_window.read_bytes(), long_window) == (POSTS, [])


def test_a_window_that_memory_does_not_allow_is_named(long_window: Path) -> None:
    code = "import sys; from postmill.ingest.source.textfile import blocks; list(blocks(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(long_window)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "a window that takes more memory than there is" in done.stderr
