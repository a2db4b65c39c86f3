"""Text files with other columns than the dataset's, or with no header: read, or named in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmill.ingest.source.influencers import read_influencers
from postmill.ingest.source.mapping import COLUMNS, read_mapping
from postmill.shards.runtime.errors import PostmillError

ROWS = [("ann", "1.info", "['1.jpg']"), ("bob.b", "2.info", "['3.jpg', '4.jpg']")]
ACCOUNTS = [("ann", "food", "5", "6", "7"), ("bob.b", "pet", "8", "9", "10")]


def quoted(field: str) -> str:
    return f'"{field}"' if "," in field else field


def mapping(first: str, order: tuple[int, ...], between: str = ",") -> str:
    rows = (between.join(quoted((*row, "7")[column]) for column in order) for row in ROWS)
    return "".join(f"{line}\n" for line in ([first] if first else []) + list(rows))


def accounts(first: str, order: tuple[int, ...], between: str = ",") -> str:
    rows = (between.join((*row, "7")[column] for column in order) for row in ACCOUNTS)
    return "".join(f"{line}\n" for line in ([first] if first else []) + list(rows))


@pytest.mark.parametrize(
    "text",
    [
        mapping("", (0, 1, 2), "\t"),
        mapping("user,post,pictures", (0, 1, 2)),
        mapping(f",{','.join(COLUMNS)}", (3, 0, 1, 2)),
        mapping(f"{COLUMNS[2]},likes,{COLUMNS[0]},{COLUMNS[1]}", (2, 3, 0, 1)),
    ],
)
def test_a_mapping_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "mapping").write_text(text)
    batches = [batch for batch, faults in read_mapping(str(tmp_path / "mapping")) if not faults]
    found = [row for batch in batches for row in batch.to_pylist()]
    assert [(row["influencer"], row["post_id"], row["images"]) for row in found] == [
        ("ann", "1", ["1.jpg"]),
        ("bob.b", "2", ["3.jpg", "4.jpg"]),
    ]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (mapping("pictures,post,user", (2, 1, 0)), "line 2"),
        (mapping(",user,post,pictures", (3, 0, 1, 2)), "not as many fields as columns"),
        (mapping(f"{COLUMNS[0]},{COLUMNS[2]}", (0, 2)), f"has no column {COLUMNS[1]}"),
        ("user\tpost\tpicture\nann\t1.info\t1.jpg\n", "the third field is no list of quoted picture names: '1.jpg'"),
        ("user\tpost\tpictures\nann\t1\t['1.jpg']\n", "the second field is no plain name ending in .info"),
    ],
)
def test_a_mapping_of_another_kind_is_named(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "mapping").write_text(text)
    with pytest.raises(PostmillError) as caught:
        list(read_mapping(str(tmp_path / "mapping")))
    assert cause in caught.value.cause and ", ".join(COLUMNS) in str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        accounts("", (0, 1, 2, 3, 4), "\t"),
        accounts("Username,Category,#Followers,#Followees,#Posts,x", (0, 1, 2, 3, 4, 5)),
        accounts("posts;followees;followers;category;username", (4, 3, 2, 1, 0), ";"),
    ],
)
def test_a_list_of_accounts_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text)
    found, faults = read_influencers(str(tmp_path / "list"))
    assert not faults
    assert [(each.influencer, each.category, each.followers, each.posts) for each in found] == [
        ("ann", "food", 5, 7),
        ("bob.b", "pet", 8, 10),
    ]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            accounts("name,cat,followers,followees,posts", (0, 1, 2, 3, 4)),
            "has no column Username and no column Category",
        ),
        (accounts("Username\tCategory", (0, 1), "\t"), "has no column #Followers"),
        ("ann\nbob.b\n", "its first row is 'bob.b'"),
        ('{"ann": 5}\n', "has no row of account, category, followers, followees and posts"),
    ],
)
def test_a_list_of_another_kind_is_named(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(PostmillError) as caught:
        read_influencers(str(tmp_path / "list"))
    assert cause in caught.value.cause and "#Followees" in str(caught.value.hint)
