"""Parts that do not make one archive: named before any work is done, with what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from postmill.ingest.zipformat.directory import read_directory
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.space import AddressSpace, lay_out
from postmill.shards.runtime.errors import PostmillError
from tests.ingest.failures import zipped_tree
from tests.ingest.split_sets import PART, SplitSet, sets

of_disks = pytest.mark.parametrize("split_set", sets(["pk-basic"]))
of_slices = pytest.mark.parametrize("split_set", sets(["raw-split"]))


def refusal(source: Any) -> PostmillError:
    with pytest.raises(PostmillError) as caught, AddressSpace(find_parts(source)) as space:
        read_directory(space)
    assert caught.value.hint
    assert caught.value.place
    return caught.value


@of_disks
def test_the_last_part_alone(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    error = refusal(shutil.copy(parts[-1], tmp_path))
    assert error.cause.startswith(f"it is the last of {len(parts)} parts, and 1 is here; missing: {parts[0].name}, ")
    assert f"{len(parts) - 1} missing" in (error.hint or "")


@of_disks
def test_parts_missing_before_the_last_one(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    for part in parts[-3:-1]:
        part.unlink()
    assert f"last of {len(parts)} parts, and {len(parts) - 2} are here" in refusal(tmp_path / "set").cause


@pytest.mark.parametrize("split_set", sets(["pk-z00"]))
def test_the_last_part_missing_where_its_name_does_not_show_it(tmp_path: Path, split_set: SplitSet) -> None:
    split_set.put(tmp_path / "set")[-1].unlink()
    assert "no end of central directory" in refusal(tmp_path / "set").cause


@of_disks
def test_a_part_too_many(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    shutil.copy(parts[0], parts[0].with_suffix(f".z{len(parts)}"))
    error = refusal(tmp_path / "set")
    assert f"last of {len(parts)} parts, and {len(parts) + 1} are here" in error.cause
    assert "another archive" in (error.hint or "")


@of_disks
def test_a_whole_archive_beside_other_parts(tmp_path: Path, split_set: SplitSet) -> None:
    split_set.put(tmp_path / "set")[-1].write_bytes(zipped_tree())
    assert "whole archive by itself" in refusal(tmp_path / "set").cause


@of_slices
@pytest.mark.parametrize("cut", [1, 500])
def test_a_slice_cut_short_is_named(tmp_path: Path, split_set: SplitSet, cut: int) -> None:
    parts = split_set.put(tmp_path / "set")
    os.truncate(parts[4], PART - cut)
    cause = refusal(tmp_path / "set").cause
    assert f"{cut} bytes fewer than its end record accounts for; of an unusual size: raw-split.zip.005" in cause


@of_slices
@pytest.mark.parametrize("named", [0, -1])
def test_parts_under_names_that_show_no_order_are_pointed_to(tmp_path: Path, split_set: SplitSet, named: int) -> None:
    parts = split_set.put(tmp_path / "set")
    renamed = [part.rename(tmp_path / "set" / f"raw-{number:03d}.piece") for number, part in enumerate(parts)]
    (tmp_path / "set" / f"{renamed[0].name}.md5").write_text("0")
    (tmp_path / "set" / "unlike").write_text("0")
    hint = refusal(renamed[named]).hint or ""
    assert renamed[named].name not in hint
    assert all(part.name in hint for part in renamed[1:5])
    assert "unlike" not in hint
    assert ("md5" in hint) == (named != 0)  # what is called after the part named is none
    pattern = hint.partition("such as '")[2].partition("'")[0]
    (tmp_path / "set" / f"{renamed[0].name}.md5").unlink()
    with AddressSpace(find_parts(pattern)) as space:
        assert read_directory(space, strict=True).kind == "bytes"


@of_disks
def test_parts_that_no_pattern_orders_are_to_be_renamed(tmp_path: Path, split_set: SplitSet) -> None:
    last = split_set.put(tmp_path / "set")[-1]
    hint = refusal(last.rename(f"{last}.zip")).hint or ""
    assert "pk-basic.z01" in hint and "rename them to NAME.z01" in hint and "pattern" not in hint


@of_disks
def test_a_last_part_that_a_browser_renamed_is_pointed_to_from_the_others(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    renamed = parts[-1].rename(tmp_path / "set" / "pk-basic (1).zip")
    for named, others in ((parts[0], renamed), (renamed, parts[0])):
        assert f"beside it lie {others.name}" in (refusal(named).hint or "")


@of_disks
def test_a_link_to_one_part_points_to_where_the_others_lie(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    (tmp_path / "pictures.zip").symlink_to(parts[-1])
    assert f"the other parts lie beside {parts[-1].resolve()}" in (refusal(tmp_path / "pictures.zip").hint or "")


@of_slices
def test_a_slice_twice(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    space = AddressSpace(lay_out([(str(path), path.stat().st_size) for path in (parts[0], *parts)]))
    with space, pytest.raises(PostmillError, match=f"{PART} bytes more than its end record accounts for"):
        read_directory(space)


@of_disks
def test_a_disk_much_shorter_than_the_others_is_pointed_out(tmp_path: Path, split_set: SplitSet) -> None:
    parts = split_set.put(tmp_path / "set")
    with parts[2].open("ab") as part:
        part.write(bytes(300_000))
    with AddressSpace(find_parts(tmp_path / "set")) as space:
        warnings = read_directory(space).warnings
        assert read_directory(space, strict=True).kind == "disks"
    assert len(warnings) == len(parts) - 2
    shorter = parts[2].stat().st_size - parts[0].stat().st_size
    assert f"pk-basic.z01 is {shorter} bytes smaller than the largest part; it may be cut short" in warnings
