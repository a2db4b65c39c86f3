"""The influencers file as it really is, and as it should not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmill.ingest.source.influencers import HEADER, Influencer, read_influencers
from postmill.shards.runtime.errors import DamagedSource, PostmillError

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
    ["a", "a\tb\t1\t2", "a\tb\tx\t2\t3", "a\tb\t\t2\t3", "\tb\t1\t2\t3", f"a\t{'b' * 257}\t1\t2\t3"],
)
def test_a_malformed_row_is_a_fault(tmp_path: Path, row: str) -> None:
    accounts, (fault,) = read_influencers(write(tmp_path, "good\tfood\t1\t2\t3", row))
    assert [account.influencer for account in accounts] == ["good"]
    assert (fault.reason, fault.line) == ("malformed_influencer_row", 4)


def test_a_number_that_an_account_cannot_have_is_null_with_a_fault(tmp_path: Path) -> None:
    accounts, faults = read_influencers(write(tmp_path, f"a\tfood\t{2**53 + 1}\t-1\t3.5", f"b\tpet\t1\t2\t{2**53}"))
    assert accounts == [Influencer("a", "food", None, None, None), Influencer("b", "pet", 1, 2, 2**53)]
    assert [(fault.reason, fault.influencer, fault.line, fault.post_lost) for fault in faults] == [
        ("number_out_of_range", "a", 3, False)
    ] * 3
    assert [str(fault.detail).partition(":")[0] for fault in faults] == ["followers", "followees", "posts"]


def test_whole_numbers_that_another_program_wrote_as_floats_are_taken(tmp_path: Path) -> None:
    accounts, faults = read_influencers(write(tmp_path, "a\tfood\t187872.0\t1e3\t5"))
    assert (accounts, faults) == ([Influencer("a", "food", 187_872, 1000, 5)], [])


def test_of_two_rows_the_first_counts(tmp_path: Path) -> None:
    accounts, (fault,) = read_influencers(write(tmp_path, "a\tfood\t1\t2\t3", "a\tpet\t9\t9\t9"))
    assert accounts == [Influencer("a", "food", 1, 2, 3)]
    assert (fault.reason, fault.line, fault.influencer) == ("duplicate_influencer_row", 4, "a")


def test_a_file_without_a_row_is_said(tmp_path: Path) -> None:
    with pytest.raises(PostmillError, match="no row of account") as caught:
        read_influencers(write(tmp_path))
    assert caught.value.hint is not None and "--influencers" in caught.value.hint


@pytest.mark.parametrize("end", ["b\tfo", "b\tfood\t10"])
def test_a_file_that_ends_within_a_row_is_refused(tmp_path: Path, end: str) -> None:
    path = Path(write(tmp_path, "a\tfood\t1\t2\t3"))
    path.write_text(path.read_text() + end)
    with pytest.raises(DamagedSource, match="ends in the middle of a row, so that rows are missing: line 4 is 'b"):
        read_influencers(str(path))
    accounts, (fault,) = read_influencers(str(path), salvage=True)
    assert (len(accounts), fault.line) == (1, 4)


def test_a_last_row_without_its_newline_is_a_row(tmp_path: Path) -> None:
    path = Path(write(tmp_path, "a\tfood\t1\t2\t3"))
    path.write_text(path.read_text().rstrip())
    assert len(read_influencers(str(path))[0]) == 1


def test_a_file_with_a_hole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedSource, match="holds zeros where rows must be, at line 4"):
        read_influencers(write(tmp_path, "a\tfood\t1\t2\t3", "\0" * 100))
