"""What kind of split an archive is: decided by content, whatever the names."""

from __future__ import annotations

import random
import subprocess
import zipfile
from pathlib import Path

import pytest

from postmill.ingest.zipformat.directory import read_directory
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.space import AddressSpace
from tests.ingest.archives import needs_7z, needs_zip, patched
from tests.ingest.split_sets import OF_TREE, SplitSet, sets
from tests.ingest.zipformat.directories import rows


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with content that does not compress."""
    folder = tmp_path / "image"
    folder.mkdir()
    rng = random.Random(1)
    for number in range(30):
        (folder / f"user-{number:03d}.jpg").write_bytes(rng.randbytes(rng.randint(1, 20_000)))
    return folder


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


@needs_zip
@pytest.mark.parametrize("options", [(), ("-fz",), ("-0",)], ids=["plain", "forced zip64", "stored"])
def test_info_zip_writes_disks(tmp_path: Path, files: Path, options: tuple[str, ...]) -> None:
    run(tmp_path, "zip", "-q", "-r", "-s", "64k", *options, "a.zip", "image")
    with AddressSpace(find_parts(tmp_path / "a.z02")) as space:
        directory = read_directory(space, strict=True)
        assert (directory.kind, len(space.parts)) == ("disks", len(list(tmp_path.glob("a.z*"))))
        records = rows(space, directory, strict=True)
        assert directory.entries == len(records) == 31
        assert {row["name"] for row in records} == {"image/"} | {f"image/{path.name}" for path in files.iterdir()}
        assert [row["name"] for row in records if row["is_dir"]] == ["image/"]
        for row in records:
            assert space.read(row["offset"], 4) == b"PK\x03\x04"
        assert directory.zip64 == ("-fz" in options)


@needs_7z
def test_7z_writes_slices(tmp_path: Path, files: Path) -> None:
    run(tmp_path, "7z", "a", "-tzip", "-v64k", "a.zip", "image")
    with AddressSpace(find_parts(tmp_path / "a.zip.001")) as space:
        directory = read_directory(space, strict=True)
        assert (directory.kind, len(space.parts) > 2) == ("bytes", True)
        assert len(rows(space, directory, strict=True)) == 31


@needs_zip
def test_plain_slices_are_known_by_content_whatever_their_names(tmp_path: Path, files: Path) -> None:
    run(tmp_path, "zip", "-q", "-r", "a.zip", "image")
    run(tmp_path, "split", "-b", "50000", "-d", "--additional-suffix=", "a.zip", "b.z")
    run(tmp_path, "split", "-b", "50000", "a.zip", "a.zip.")
    for part in ("b.z03", "a.zip.ab"):
        with AddressSpace(find_parts(tmp_path / part)) as space:
            directory = read_directory(space, strict=True)
            assert (directory.kind, len(space.parts) > 2) == ("bytes", True)
            assert len(rows(space, directory, strict=True)) == 31
    with AddressSpace(find_parts(tmp_path / "a.zip")) as space:
        assert read_directory(space, strict=True).kind == "single"


@pytest.mark.parametrize("split_set", sets(OF_TREE))
@pytest.mark.parametrize("block", [50, 1000, 8 << 20])
def test_every_kind_of_set_in_blocks_of_any_size(tmp_path: Path, split_set: SplitSet, block: int) -> None:
    split_set.put(tmp_path / "set")
    with AddressSpace(find_parts(tmp_path / "set")) as space:
        directory = read_directory(space, strict=True)
        prefix = split_set.name.partition("-")[0]
        assert directory.kind == {"pk": "disks", "raw": "bytes"}.get(prefix, "single")
        assert directory.zip64 == ("zip64" in split_set.name)
        records = rows(space, directory, strict=True, block=block)
        assert [row["index"] for row in records] == list(range(123))
        for row in records:
            assert space.read(row["offset"], 4) == b"PK\x03\x04"
            assert space.read(row["offset"] + 30, row["name_length"]) == row["raw_name"] == row["name"].encode()


def test_a_writer_that_counts_no_disks_in_the_locator(tmp_path: Path) -> None:
    # Windows writes 0 total disks for 1.
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(66_000):
            archive.writestr(f"{number}", b"")
    content = (tmp_path / "a.zip").read_bytes()
    assert content[-42:-38] == b"PK\x06\x07"
    (tmp_path / "a.zip").write_bytes(patched(content, -26, "<I", 0))
    with AddressSpace(find_parts(tmp_path / "a.zip")) as space:
        directory = read_directory(space, strict=True)
        assert (directory.entries, directory.zip64) == (66_000, True)
        assert len(rows(space, directory, strict=True)) == 66_000
