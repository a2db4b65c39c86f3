"""Parts under the names that people and browsers give them, and what lies beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmill.ingest.zipformat.parts import find_parts
from postmill.shards.runtime.errors import PostmillError, UsageError
from tests.ingest.zipformat.directories import make, names_of


@pytest.mark.parametrize("names", [["a.z01.zip", "a.z02.zip", "a.zip"], ["a.z01", "a.z02.zip", "a.zip"]])
def test_parts_that_a_browser_gave_an_ending(tmp_path: Path, names: list[str]) -> None:
    make(tmp_path, *names)
    for name in names:
        assert names_of(tmp_path / name) == names
    assert names_of(tmp_path) == names
    (tmp_path / names[0]).unlink()
    with pytest.raises(PostmillError, match=r"1 part missing: a\.z01"):
        find_parts(tmp_path)


def test_ten_parts_and_more_without_leading_zeros(tmp_path: Path) -> None:
    names = [f"a.zip.{number}" for number in range(1, 13)]
    make(tmp_path, *names)
    assert names_of(tmp_path) == names_of(tmp_path / "a.zip.11") == names
    (tmp_path / "a.zip.10").unlink()
    with pytest.raises(PostmillError, match=r"1 part missing: a\.zip\.10"):
        find_parts(tmp_path)


@pytest.mark.parametrize(
    "others",
    [
        ["._a.z01", "._a.zip"],  # of macOS, on a disk of another system
        ["a (1).z01"],  # a browser
        ["a(1).z01", "a (2).z01"],
        ["a (1).zip"],
        ["a.zip.1"],  # wget
        ["a.z01.md5", "a.zip.sha256", "a.zip.asc", "a.z01.crdownload", "a.zip.part", "a.zip.aria2", "a.zip.bak"],
    ],
)
def test_what_lies_beside_parts_is_no_other_archive(tmp_path: Path, others: list[str]) -> None:
    make(tmp_path, "a.z01", "a.zip", *others)
    for source in (tmp_path, tmp_path / "*", tmp_path / "a.zip"):
        assert names_of(source) == ["a.z01", "a.zip"]


def test_what_may_be_another_archive_is_not_taken_for_a_copy(tmp_path: Path) -> None:
    make(tmp_path, "a.zip", "a (1).zip")
    with pytest.raises(UsageError, match=r"more than one archive here: a, a \(1\)"):
        find_parts(tmp_path)
    make(tmp_path / "b", "b.z01", "b.zip", "b (1).z01", "b (1).zip")
    with pytest.raises(UsageError, match=r"more than one archive here: b, b \(1\)"):
        find_parts(tmp_path / "b")


def test_a_companion_of_macos_that_is_named_is_what_is_read(tmp_path: Path) -> None:
    make(tmp_path, "a.zip", "._a.zip")
    assert names_of(tmp_path / "._a.zip") == ["._a.zip"]


def test_a_pattern_of_zips_is_the_order_of_its_names(tmp_path: Path) -> None:
    names = [f"a.part{number}.zip" for number in range(1, 12)]
    make(tmp_path, *names, "a.part1.zip.sha256", "a.txt")
    assert names_of(tmp_path / "a*") == names_of([tmp_path / name for name in names]) == names
    with pytest.raises(UsageError, match="more than one archive here") as caught:
        find_parts(tmp_path)
    assert "pattern" in (caught.value.hint or "")
