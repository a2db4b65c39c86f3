"""Parts that were put one behind another in one file, and zips with a marker or a program in front."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat import joined
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.archive.reading import outcomes
from tests.ingest.archives import needs_zip
from tests.ingest.failures import zipped_tree
from tests.ingest.split_sets import SPLIT, SplitSet, digest_of, sets

of_disks = pytest.mark.parametrize("split_set", sets([name for name in SPLIT if not name.startswith("raw")]))
of_one = pytest.mark.parametrize("split_set", sets(["pk-basic"]))


def join(split_set: SplitSet, folder: Path) -> tuple[Path, list[bytes]]:
    """The set in one file, and its parts."""
    parts = [path.read_bytes() for path in split_set.put(folder / "set")]
    (folder / "a.zip").write_bytes(b"".join(parts))
    return folder / "a.zip", parts


def contents(source: Path | list[Path]) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """Length and digest of every file, and the warnings."""
    with Archive.open(source) as archive:
        read = {name.rpartition("#")[0]: data for name, data in outcomes(archive).items()}
        assert all(isinstance(data, bytes) for data in read.values())
        return {
            name: digest_of(data) for name, data in read.items() if isinstance(data, bytes)
        }, archive.directory.warnings


@of_disks
def test_every_kind_of_disks_joined_in_one_file(tmp_path: Path, split_set: SplitSet) -> None:
    path, parts = join(split_set, tmp_path)
    expected, _ = contents(tmp_path / "set")
    read, warnings = contents(path)
    assert read == expected
    assert any(f"{len(parts)} parts were joined in one file" in warning for warning in warnings)
    with pytest.raises(PostmillError, match="were joined in one file"):
        Archive.open(path, strict=True)


@of_one
def test_a_joined_file_that_was_cut_again(tmp_path: Path, split_set: SplitSet) -> None:
    path, _ = join(split_set, tmp_path)
    content = path.read_bytes()
    path.unlink()
    for number, start in enumerate(range(0, len(content), 7001)):
        (tmp_path / f"a.zip.{number:03d}").write_bytes(content[start : start + 7001])
    read, _ = contents(tmp_path / "a.zip.000")
    assert read == split_set.contents()


@of_one
@pytest.mark.parametrize("behind", ["the last part again", "other bytes"])
def test_what_stands_behind_joined_parts_is_left_out(tmp_path: Path, split_set: SplitSet, behind: str) -> None:
    path, parts = join(split_set, tmp_path)
    with path.open("ab") as file:
        file.write(parts[-1] if behind == "the last part again" else b"?" * 99)
    read, warnings = contents(path)
    assert read == split_set.contents()
    assert "joined in one file" in "; ".join(warnings)


@of_one
@pytest.mark.parametrize("block", [100, 1000])
def test_a_directory_of_several_blocks(
    tmp_path: Path, split_set: SplitSet, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined, "BLOCK", block)
    path, _ = join(split_set, tmp_path)
    assert contents(path)[0] == split_set.contents()


@of_one
@pytest.mark.parametrize(
    "spoilt", ["a part left out", "the first part left out", "order", "a byte lost", "a part twice"]
)
def test_what_the_entries_do_not_prove_is_refused(tmp_path: Path, split_set: SplitSet, spoilt: str) -> None:
    path, parts = join(split_set, tmp_path)
    if spoilt == "a part lost":
        parts.pop(3)
    elif spoilt == "the first part lost":
        parts.pop(0)
    elif spoilt == "order":
        parts[2:4] = parts[3], parts[2]
    elif spoilt == "a byte lost":
        parts[2] = parts[2][:-1]
    else:
        parts.insert(2, parts[2])
    path.write_bytes(b"".join(parts))
    with pytest.raises(PostmillError) as caught:
        Archive.open(path)
    assert caught.value.hint


@needs_zip
@pytest.mark.parametrize("options", ["", "-0", "-fz"])
def test_parts_of_info_zip_with_an_entry_longer_than_a_part(tmp_path: Path, options: str) -> None:
    rng = random.Random(5)
    files = {f"f{number}": rng.randbytes(size) for number, size in enumerate([3000, 300_000, 10, 70_000, 200_000, 1])}
    (tmp_path / "in").mkdir()
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    command = f"zip -q -r -s 64k {options} ../b.zip . && cat ../b.z0? ../b.zip > ../a.zip"
    subprocess.run(["sh", "-c", command], cwd=tmp_path / "in", check=True)
    read, _ = contents(tmp_path / "a.zip")
    assert read == {name: digest_of(data) for name, data in files.items()}


@pytest.mark.parametrize("front", [b"PK\7\x08", b"PK00", b"MZ program " * 999], ids=["marker", "PK00", "program"])
@pytest.mark.parametrize("slices", [1, 5])
def test_bytes_before_a_whole_zip(tmp_path: Path, front: bytes, slices: int) -> None:
    """As rubyzip splits, and as self-extracting archives are."""
    whole = zipped_tree()
    content = front + whole
    step = -(-len(content) // slices)
    for number in range(slices):
        (tmp_path / f"a.zip.{number + 1:03d}").write_bytes(content[number * step : (number + 1) * step])
    (tmp_path / "whole.zip").write_bytes(whole)
    read, warnings = contents(tmp_path / "a.zip.001")
    assert read == contents(tmp_path / "whole.zip")[0]
    assert [f"{len(front)} bytes stand in front" in warning for warning in warnings] == [True]
