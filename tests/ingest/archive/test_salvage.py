"""What is left of archives without their end, without a part, or with a part cut short: what lies there whole."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from pathlib import Path

import fsspec
import pytest

from postmill.ingest.archive.levels import open_directory, open_space
from postmill.ingest.archive.reader import Archive
from postmill.shards.formats.reasons import Reason
from postmill.shards.run.options import Level
from postmill.shards.runtime.errors import DamagedSource, PostmillError, UsageError
from tests.ingest.archive.rescue import Extent, extents, rescue
from tests.ingest.archives import GIVEN, given_only, needs_7z, needs_zip
from tests.ingest.failures import zipped_tree
from tests.ingest.split_sets import SPLIT, SplitSet, sets


def data_of(known: dict[str, Extent], names: set[str]) -> dict[str, bytes]:
    return {name: known[name].data for name in names}


def outside(known: dict[str, Extent], start: int, end: int) -> set[str]:
    """The entries that share no byte with the range."""
    return {name for name, extent in known.items() if extent.end <= start or extent.start >= end}


# --- A part is lost


@pytest.mark.parametrize("split_set", sets(SPLIT))
def test_every_kind_of_set_without_its_last_part(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        start, names = archive.parts[-1].start, {entry.name for entry in archive.entries()}
    known = extents(tmp_path / "set")
    parts[-1].unlink()
    with pytest.raises(PostmillError) as caught:
        Archive.open(parts[0])
    assert isinstance(caught.value, DamagedSource) and caught.value.hint
    for named in (parts[0], parts[-1]):
        saved = rescue(named)
        assert saved.good == data_of(known, {name for name in known if known[name].end <= start})
        assert set(saved.good) | set(saved.faults) == names
        assert "salvaged from local headers" in saved.warnings


@needs_zip
def test_parts_that_were_joined_with_the_directory_in_front(tmp_path: Path) -> None:
    """As `cat NAME.z*` joins them where the last part was named NAME.z00, or came first: all entries are in it."""
    (tmp_path / "in").mkdir()
    for number in range(9):
        (tmp_path / "in" / f"{number}.jpg").write_bytes(random.Random(number).randbytes(30_000))
    subprocess.run(["zip", "-q", "-r", "-0", "-s", "64k", "../set.zip", "."], cwd=tmp_path / "in", check=True)
    last = (tmp_path / "set.zip").read_bytes()
    directory = last.index(b"PK\1\2")
    parts = [path.read_bytes() for path in sorted(tmp_path.glob("set.z0*"))]
    (tmp_path / "joined.zip").write_bytes(b"".join([last[directory:], *parts, last[:directory]]))
    with pytest.raises(DamagedSource, match="joined of parts in the wrong order") as caught:
        Archive.open(tmp_path / "joined.zip")
    assert "cat NAME.z01" in (caught.value.hint or "")
    saved = rescue(tmp_path / "joined.zip")
    assert {name: data for name, data in saved.good.items() if data} == {
        path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()
    }


@pytest.mark.parametrize("split_set", sets(SPLIT))
def test_every_kind_of_set_without_a_part_in_the_middle(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    known = extents(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        hole = archive.parts[6]
    parts[6].unlink()
    with pytest.raises(PostmillError, match=parts[6].name) as caught:
        Archive.open(tmp_path / "set")
    assert isinstance(caught.value, DamagedSource) and caught.value.hint
    saved = rescue(tmp_path / "set")
    apart = outside(known, hole.start, hole.end)
    assert saved.good == data_of(known, apart)
    assert saved.faults == {name: Reason.PART_MISSING for name in known if name not in apart}
    assert f"missing: {parts[6].name}" in saved.warnings


@pytest.mark.parametrize("split_set", sets(["pk-basic", "pk-bit3", "pk-bit3-nosig", "raw-split", "pk-straddle"]))
def test_a_part_in_the_middle_and_the_last_one_lost(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    known = extents(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        hole, last = archive.parts[6], archive.parts[-1]
    parts[6].unlink()
    parts[-1].unlink()
    saved = rescue(tmp_path / "set")
    apart = outside(known, hole.start, hole.end)
    assert saved.good == data_of(known, {name for name in apart if known[name].end <= last.start})
    assert set(saved.faults.values()) <= {Reason.PART_MISSING, Reason.TRUNCATED}


@pytest.mark.parametrize("split_set", sets(["pk-zip64"]))
def test_parts_before_the_last_one_are_missed_by_what_the_end_says(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    known = extents(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        assert archive.directory.start < archive.parts[-1].start  # so the directory begins on a part that is lost
    parts[-2].unlink()
    parts[-3].unlink()
    saved = rescue(tmp_path / "set")
    assert f"missing: {parts[-3].name}, {parts[-2].name}" in saved.warnings
    assert saved.good == data_of(known, set(saved.good))
    assert len(saved.good) + len(saved.faults) >= 100


@needs_zip
def test_only_the_last_part_is_there(tmp_path: Path, tree: dict[str, bytes]) -> None:
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "a.zip", "d"], cwd=tmp_path, check=True)
    for part in tmp_path.glob("a.z0*"):
        part.unlink()
    saved = rescue(tmp_path / "a.zip")
    assert "missing: a.z01" in saved.warnings
    assert Reason.PART_MISSING in saved.faults.values()
    assert saved.good.items() <= {**tree, "d/": b""}.items()


@given_only
def test_only_the_last_part_of_a_given_set_is_there(tmp_path: Path) -> None:
    name = "split_zip_created_by_zip.zip"
    content = (GIVEN / "commons-compress-477" / "split_zip_created_by_zip" / name).read_bytes()
    (tmp_path / name).write_bytes(content)
    saved = rescue(tmp_path / name)
    assert "missing: split_zip_created_by_zip.z01" in saved.warnings
    assert set(saved.faults.values()) == {Reason.PART_MISSING}


@pytest.mark.parametrize("split_set", sets(["pk-basic"]))
def test_an_empty_part_is_a_missing_one(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    parts[3].write_bytes(b"")
    saved = rescue(tmp_path / "set")
    assert f"missing: {parts[3].name}" in saved.warnings
    assert set(saved.faults.values()) == {Reason.PART_MISSING}
    for path in parts:
        path.write_bytes(b"")
    with pytest.raises(PostmillError, match="empty"):
        Archive.open(tmp_path / "set", salvage=True)


@pytest.mark.parametrize("split_set", sets(["pk-basic"]))
def test_a_missing_part_behind_a_url(tmp_path: Path, split_set: SplitSet) -> None:
    memory = fsspec.filesystem("memory")
    folder = f"{tmp_path.name}{split_set.given}"
    for path in split_set.put(tmp_path / "set"):
        if not path.name.endswith(".z04"):
            memory.pipe(f"/{folder}/{path.name}", path.read_bytes())
    saved = rescue(f"memory://{folder}/pk-basic.zip")
    assert len(saved.good) > 100
    assert set(saved.faults.values()) == {Reason.PART_MISSING}


@pytest.mark.parametrize("split_set", sets(["pk-basic", "pk-bit3", "pk-nomarker"]))
@pytest.mark.parametrize("lost", [1, 300, 20_000])
def test_a_part_cut_short_costs_only_what_lay_there(tmp_path: Path, split_set: SplitSet, lost: int) -> None:
    parts = split_set.put(tmp_path / "set")
    known = extents(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        short = archive.parts[4]
    lost = min(lost, short.size - 1)
    os.truncate(parts[4], short.size - lost)
    saved = rescue(tmp_path / "set")
    apart = outside(known, short.end - lost, short.end)
    assert set(saved.faults) == set(known) - apart
    assert saved.good == data_of(known, apart)


@pytest.mark.parametrize("split_set", sets(["raw-split"]))
@pytest.mark.parametrize("lost", [1, 300, 20_000])
def test_a_slice_cut_short_leaves_the_directory_lost(tmp_path: Path, split_set: SplitSet, lost: int) -> None:
    parts = split_set.put(tmp_path / "set")
    known = extents(tmp_path / "set")
    with Archive.open(tmp_path / "set") as archive:
        short = archive.parts[4]
    lost = min(lost, short.size - 1)
    os.truncate(parts[4], short.size - lost)
    saved = rescue(tmp_path / "set")
    apart = outside(known, short.end - lost, short.end)
    assert set(saved.faults) <= set(known) - apart
    assert saved.good == data_of(known, apart)
    assert "salvaged" in saved.warnings


# --- What real tools write


@pytest.fixture
def tree(tmp_path: Path) -> dict[str, bytes]:
    rng = random.Random(11)
    made = {"d/empty": b"", "d/long.bin": rng.randbytes(90_000), "d/zeros": bytes(5000)}
    for number in range(25):
        noise = rng.randbytes(rng.randint(1, 9000))
        made[f"d/{number}.x"] = noise if number % 2 else noise.hex().encode()
    for name, data in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return made


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("zip -q -r -s 64k a.zip d", marks=needs_zip),
        pytest.param("zip -q -r -0 -s 64k a.zip d", marks=needs_zip),
        pytest.param("zip -q -r -fz -s 64k a.zip d", marks=needs_zip),
        pytest.param("zip -q -r -fd b.zip d && split -b 40000 -d -a 3 b.zip a.zip.", marks=needs_zip),
        pytest.param("zip -q -r -0 -fd b.zip d && split -b 40000 -d -a 3 b.zip a.zip.", marks=needs_zip),
        pytest.param("7z a -tzip -v64k a.zip d", marks=needs_7z),
        *(
            pytest.param(f"7z a -tzip -mm={method} -v64k a.zip d", marks=needs_7z)
            for method in ("Deflate64", "BZip2", "LZMA", "XZ")
        ),
        pytest.param("zip -q -r -Z bzip2 -s 64k a.zip d", marks=needs_zip),
        pytest.param("zip -q -r - d | split -b 40000 -d -a 3 - a.zip.", marks=needs_zip),
        pytest.param("zip -q -r -0 - d | split -b 40000 -d -a 3 - a.zip.", marks=needs_zip),
        pytest.param("zip -q -r -fz - d | split -b 40000 -d -a 3 - a.zip.", marks=needs_zip),
    ],
)
def test_sets_of_real_tools(tmp_path: Path, tree: dict[str, bytes], command: str) -> None:
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    with Archive.open(next(iter(sorted(tmp_path.glob("a.z*"))))) as archive:
        last = Path(archive.parts[-1].path)
        start, size = archive.parts[-1].start, archive.space.size
        ends = {entry.name: entry.limit for entry in archive.entries()}
    for keep in (size - start - 10, (size - start) // 2, 0):
        os.truncate(last, keep)
        if keep == 0:
            last.unlink()
        saved = rescue(sorted(tmp_path.glob("a.z*"))[0])
        files = {name: data for name, data in saved.good.items() if not name.endswith("/")}
        assert files == {name: data for name, data in tree.items() if ends[name] <= start + keep}
        assert set(saved.faults.values()) <= {Reason.TRUNCATED}
        assert len(saved.faults) <= 1


# --- What is whole needs no salvage


@pytest.mark.parametrize("split_set", sets(["pk-basic", "whole.zip", "single-PK00-marker.zip"]))
def test_an_archive_whose_directory_is_whole_is_read_by_it(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    assert rescue(parts[0]).warnings == ""


def test_strict_and_salvage_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude"):
        Archive.open(tmp_path, strict=True, salvage=True)


def test_a_rebuilt_directory_has_no_name_that_a_kill_would_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "a.zip").write_bytes(zipped_tree()[:-500])
    with open_space(tmp_path / "a.zip", Level.SALVAGE) as space:
        reader = open_directory(space, Level.SALVAGE)
        assert list((tmp_path / "scratch").iterdir()) == []
        assert sum(batch.num_rows for batch in reader.batches()) == 123


def test_a_rebuilt_directory_can_be_read_by_several_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped_tree()[:-500])
    with open_space(tmp_path / "a.zip", Level.SALVAGE) as space:
        reader = open_directory(space, Level.SALVAGE)
        one, other = reader.batches(), reader.batches()
        assert next(one) == next(other)
        assert reader.directory.entries == 123
        assert "up to its central directory: 123 entries" in reader.directory.warnings[-1]
