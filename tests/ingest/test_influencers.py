"""The influencers file as it really is, and as it should not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.influencers import HEADER, Influencer, read_influencers
from shards.errors import PostmillError

LINE = "=" * 60


def write(folder: Path, *rows: str) -> str:
    path = folder / "influencers.txt"
    path.write_text("\n".join([HEADER, LINE, *rows]) + "\n")
    return str(path)


def test_rows_and_the_two_typos(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "virat.kohli\tother\t217220720\t256\t0",
        "a\tfasion\t1\t2\t3",
        "b\tfashion 0.5\t1\t2\t3",
        "c\tPet\t1\t2\t3",
    )
    accounts, faults = read_influencers(path)
    assert accounts[0] == Influencer("virat.kohli", "other", 217220720, 256, 0)
    assert [account.category for account in accounts] == ["other", "fashion", "fashion", "pet"]
    assert faults == []


@pytest.mark.parametrize(
    "row",
    ["a", "a\tb\t1\t2", "a\tb\tx\t2\t3", "a\tb\t-1\t2\t3", "\tb\t1\t2\t3", f"a\tb\t1\t2\t{'9' * 20}"],
)
def test_a_malformed_row_is_a_fault(tmp_path: Path, row: str) -> None:
    accounts, (fault,) = read_influencers(write(tmp_path, "good\tfood\t1\t2\t3", row))
    assert [account.influencer for account in accounts] == ["good"]
    assert (fault.reason, fault.line) == ("malformed_influencer_row", 4)


def test_of_two_rows_the_first_counts(tmp_path: Path) -> None:
    accounts, (fault,) = read_influencers(write(tmp_path, "a\tfood\t1\t2\t3", "a\tpet\t9\t9\t9"))
    assert accounts == [Influencer("a", "food", 1, 2, 3)]
    assert (fault.reason, fault.line, fault.influencer) == ("duplicate_influencer_row", 4, "a")


def test_a_file_without_a_row_is_said(tmp_path: Path) -> None:
    with pytest.raises(PostmillError, match="no row of account") as caught:
        read_influencers(write(tmp_path))
    assert caught.value.hint is not None and "--influencers" in caught.value.hint
