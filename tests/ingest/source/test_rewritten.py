"""Both text files as other programs leave them: read as the same rows, or refused for what they are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmill.ingest.source.mapping import read_mapping
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.source.text_files import (
    ACCOUNTS,
    COLUMNS,
    INFLUENCERS,
    MAPPING,
    POSTS,
    ROWS,
    posts,
    read_accounts,
    table,
)


def frame() -> pd.DataFrame:
    return pd.read_csv(io.StringIO(MAPPING), sep="\t", skiprows=1, names=COLUMNS, dtype=str)


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
    "R, with names of rows": lambda: table(
        [COLUMNS, *([str(number), *row] for number, row in enumerate(ROWS, 1))], quoting=csv.QUOTE_ALL
    ),
    "lists as JSON": lambda: MAPPING.replace("'", '"').encode(),
    "lists as JSON, quoted": lambda: table([COLUMNS, *([*row[:2], row[2].replace("'", '"')] for row in ROWS)]),
    "blanks around fields": lambda: MAPPING.replace("\t", " \t  ").replace("\n", "  \n ").rstrip(" ").encode(),
    "blanks within lists": lambda: re.sub(r"\['(.*)'\]", r"[ '\1' ]", MAPPING).replace("', '", "' ,  '").encode(),
    "lists as JSON, blanks within": lambda: (
        re.sub(r"\['(.*)'\]", r"[ '\1' ]", MAPPING).replace("', '", "' , '").replace("'", '"').encode()
    ),
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
    "R, with names of rows": lambda: (
        (
            '"Username"\t"Category"\t"X.Followers"\t"X.Followees"\t"X.Posts"\n'
            '"1"\t"ann.lee"\t"food"\t187872\t861\t265\n"2"\t"bob_7"\t"pet"\t1000\t2\t3\n'
        )
        .replace("X.", "#")
        .encode()
    ),
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


def test_a_first_row_that_is_malformed_is_no_header(tmp_path: Path) -> None:
    rows = INFLUENCERS.split("\n", 2)[2]
    assert read_accounts(f"eve\tpet\tmany\t2\t3\n{rows}".encode(), tmp_path) == (ACCOUNTS, [1])
    assert posts(f"eve\t9.info\n{MAPPING}".encode(), tmp_path / "mapping.txt") == (POSTS, [1, 2])


@given(row=st.binary(max_size=200).filter(lambda row: not {*b"\r\n"} & {*row} and bytes(64) not in row))
@example(row=b"\xef\xbb\xbfann\t1.info\t['1.jpg']")
@example(row=b'"ann\t"1.info"\t"[""1.jpg"", ""2.jpg""]"')
@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_whatever_a_row_holds_the_others_stand(
    tmp_path_factory: pytest.TempPathFactory, delimiter: str, row: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    content = table([COLUMNS, *ROWS], delimiter).splitlines(keepends=True)
    found, wrong = posts(b"".join([*content[:2], row, b"\r\n", *content[2:]]), path)
    assert [post for post in found if post in POSTS] == POSTS and len(found) + len(wrong) == len(POSTS) + 1
    header, rule, *accounts = INFLUENCERS.encode().splitlines(keepends=True)
    listed, _ = read_accounts(b"".join([header, rule, accounts[0], row, b"\n", accounts[1]]), path.parent)
    assert [account for account in listed if account in ACCOUNTS] == ACCOUNTS


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


def test_the_first_row_is_named_of_a_file_that_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(PostmillError, match=r"a list of pictures; line 2: the second field is no plain name ending in"):
        posts(table([COLUMNS, ["ann", "1", "['1.jpg']"]]), tmp_path / "mapping.txt")


def test_the_first_row_is_named_of_a_file_that_is_no_list_of_accounts(tmp_path: Path) -> None:
    with pytest.raises(PostmillError, match=r"its first row is .ann\.lee"):
        read_accounts(MAPPING.encode(), tmp_path)
