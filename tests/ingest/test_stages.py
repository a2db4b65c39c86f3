"""From a dataset to post shards: every way in which a post can be whole, partial or lost."""

from __future__ import annotations

import json
import random
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest import pack, windows
from ingest.options import Stage
from ingest.prepare import prepare
from ingest.source import discover
from ingest.stages import ingest
from shards import faults, plan, posts, spool, verify
from shards.errors import PostmillError, UsageError
from shards.run import Run
from shards.tasks import Task

Dataset = Callable[..., Path]
Info = Callable[..., bytes]


def run_all(root: Path, folder: Path, **options: Any) -> Run:
    run, _ = prepare(discover(str(root)), folder, **options)
    list(ingest(run))
    assert list(verify.check_counts(run)) == []
    assert list(verify.verify_files(run)) == []
    return run


def members(run: Run) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for shard in plan.shards(run):
        with tarfile.open(run.posts / f"{posts.shard_name(shard.shard)}.tar") as tar:
            for member in tar:
                assert member.name not in found
                found[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return found


def fault_rows(run: Run) -> list[tuple[str, bool, str | None]]:
    rows = [row for _, table in faults.tables(run, len(plan.shards(run))) for row in table.to_pylist()]
    return sorted((row["reason"], row["post_lost"], row["post_id"] or row["entry"]) for row in rows)


def spoil(archive: Path, entry: str, at: int = 5) -> None:
    """Flip a byte in the data of `entry`."""
    content = bytearray(archive.read_bytes())
    start = content.index(entry.encode()) + len(entry) + 28 + at  # zip's local extra field has 28 bytes
    content[start] ^= 0xFF
    archive.write_bytes(content)


def test_pictures_missing_damaged_and_shared(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    noise = random.Random(0)
    pictures = {f"ann-{name}.jpg": noise.randbytes(3000) for name in ("1", "2a", "2b", "3", "5a", "5b")}
    infos = {f"ann-{name}.info": make_info(name) for name in "123456"}
    rows = [
        ("ann", "1", ["1.jpg"]),
        ("ann", "2", ["2a.jpg", "lost.jpg", "2b.jpg"]),  # one of three is not there
        ("ann", "3", ["3.jpg"]),  # its only picture is damaged
        ("ann", "4", []),  # lists none
        ("ann", "5", ["5a.jpg", "5b.jpg"]),  # one of two is damaged
        ("ann", "6", ["1.jpg"]),  # shares the picture of post 1
    ]
    root = make_dataset(infos, pictures, rows)
    images = root / "Post_images" / "posts_image.zip"
    spoil(images, "image/ann-3.jpg")
    spoil(images, "image/ann-5a.jpg")
    run = run_all(root, tmp_path / "run", raw=False)
    found = members(run)
    assert sorted(found) == [
        "1.0.jpg",
        "1.json",
        "2.0.jpg",
        "2.1.jpg",
        "2.json",
        "5.0.jpg",
        "5.json",
        "6.0.jpg",
        "6.json",
    ]
    assert found["1.0.jpg"] == found["6.0.jpg"] == pictures["ann-1.jpg"]
    assert found["2.1.jpg"] == pictures["ann-2b.jpg"] and found["5.0.jpg"] == pictures["ann-5b.jpg"]
    two, five = json.loads(found["2.json"]), json.loads(found["5.json"])
    assert (two["images"], two["missing_images"]) == (["2a.jpg", "2b.jpg"], ["lost.jpg"])
    assert (five["images"], five["missing_images"]) == (["5b.jpg"], ["5a.jpg"])
    assert fault_rows(run) == [
        ("crc_wrong", False, "3"),
        ("crc_wrong", False, "5"),
        ("image_missing", False, "2"),
        ("no_image", True, "3"),
        ("no_image", True, "4"),
    ]


def test_metadata_missing_damaged_unreadable_and_unmapped(
    make_dataset: Dataset, make_info: Info, tmp_path: Path
) -> None:
    pictures = {f"ann-{n}.jpg": bytes([n]) * 500 for n in range(1, 7)}
    infos = {
        "ann-1.info": make_info("1"),
        "ann-3.info": b"",
        "ann-4.info": b"<html>Please log in</html>",
        "ann-5.info": make_info("5", note="".join(map(chr, range(40, 120))) * 9),
        "bob-9.info": make_info("9"),
    }
    root = make_dataset(infos, pictures, [("ann", str(n), [f"{n}.jpg"]) for n in range(1, 6)])
    spoil(root / "Post_metadata" / "posts_info.zip", "info/ann-5.info", at=60)
    run = run_all(root, tmp_path / "run")
    assert sorted(members(run)) == ["1.0.jpg", "1.json", "1.raw.json.gz"]
    rows = fault_rows(run)
    damaged = [row for row in rows if row[2] == "5"]
    assert [(row[0] in ("data_corrupt", "crc_wrong", "size_lie"), row[1]) for row in damaged] == [(True, True)]
    assert [row for row in rows if row[2] != "5"] == [
        ("metadata_missing", True, "2"),
        ("metadata_unreadable", True, "3"),
        ("metadata_unreadable", True, "4"),
        ("unmapped_image", False, "ann-6.jpg"),
        ("unmapped_metadata", False, "bob-9.info"),
    ]


def test_rows_repeated_in_conflict_and_keys_that_would_clash(
    make_dataset: Dataset, make_info: Info, tmp_path: Path
) -> None:
    pictures = {
        "ann-1.jpg": b"a",
        "bob-1.jpg": b"b",
        "ann-x.y.jpg": b"c",
        "ann-2.jpg": b"d",
        "ann-A.jpg": b"e",
        "ann-a.jpg": b"f",
    }
    infos = {f"{name}.info": make_info(name) for name in ("ann-1", "bob-1", "ann-x.y", "ann-A", "ann-a")}
    rows = [
        ("ann", "1", ["1.jpg"]),
        ("ann", "1", ["1.jpg"]),
        ("ann", "1", ["2.jpg"]),
        ("bob", "1", ["1.jpg"]),
        ("ann", "x.y", ["x.y.jpg"]),
        ("ann", "A", ["A.jpg"]),
        ("ann", "a", ["a.jpg"]),
    ]
    run = run_all(make_dataset(infos, pictures, rows), tmp_path / "run", raw=False)
    records = [json.loads(content) for name, content in members(run).items() if name.endswith(".json")]
    keys = {(record["influencer"], record["post_id"]): record["key"] for record in records}
    assert len(keys) == 5 and len({key.lower() for key in keys.values()}) == 5
    assert keys["ann", "x.y"] == "x_y"
    assert all(keys[who].startswith("1-") for who in (("ann", "1"), ("bob", "1")))
    assert plan.manifest(run).counts["mapped_posts"] == 5
    assert [row[:2] for row in fault_rows(run)] == [
        ("conflicting_mapping_row", False),
        ("duplicate_mapping_row", False),
        ("unmapped_image", False),
    ]
    accounts = {record["influencer"]: (record["category"], record["followers"]) for record in records}
    assert accounts == {"ann": ("food", 1000), "bob": (None, None)}


@pytest.fixture
def carousels(make_dataset: Dataset, make_info: Info) -> tuple[Path, dict[str, bytes]]:
    """Sixty posts, a third of them carousels scattered over an archive of several parts."""
    noise = random.Random(1)
    rows: list[tuple[str, str, list[str]]] = []
    pictures: dict[str, bytes] = {}
    for n in range(60):
        images = [f"{n}_{i}.jpg" for i in range(3 if n % 3 == 0 else 1)]
        rows.append(("ann", str(n), images))
        pictures.update({f"ann-{image}": noise.randbytes(noise.randrange(2000, 9000)) for image in images})
    shuffled = list(pictures.items())
    noise.shuffle(shuffled)
    infos = {f"ann-{n}.info": make_info(str(n)) for n in noise.sample(range(60), 60)}
    root = make_dataset(infos, dict(shuffled), rows, options=["-s", "64k"])
    assert len(list((root / "Post_images").iterdir())) > 5
    return root, pictures


@pytest.mark.parametrize("shard_bytes", [10_000, 40_000, 1 << 20])
def test_spanning_posts_come_together(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, shard_bytes: int
) -> None:
    root, pictures = carousels
    run = run_all(root, tmp_path / "run", shard_bytes=shard_bytes)
    found = members(run)
    for n in range(60):
        record = json.loads(found[f"{n}.json"])
        assert len(record["images"]) == (3 if n % 3 == 0 else 1)
        for i, image in enumerate(record["images"]):
            assert found[f"{n}.{i}.jpg"] == pictures[f"ann-{image}"]
    kinds = [shard.kind for shard in plan.shards(run)]
    assert kinds == sorted(kinds, reverse=True) and kinds[-1] == "spanning"
    assert plan.manifest(run).counts["spanning_posts"] > 10


def test_pictures_wait_for_the_rest_of_their_post(
    make_dataset: Dataset, make_info: Info, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that passes through buffers much smaller than what lies between the pictures of a post, or fits them."""
    noise = random.Random(2)
    rows = [("ann", str(n), [f"{n}_{i}.jpg" for i in range(noise.randint(1, 4))]) for n in range(50)]
    pictures = {f"ann-{image}": noise.randbytes(noise.randrange(9000)) for _, _, images in rows for image in images}
    shuffled = noise.sample(list(pictures.items()), len(pictures))
    root = make_dataset({f"ann-{n}.info": make_info(str(n)) for n in range(50)}, dict(shuffled), rows)
    for name, size, held in (("small", 5000, 3000), ("whole", 1 << 20, 4 << 20)):
        monkeypatch.setattr(windows, "_CACHED", size)
        monkeypatch.setattr(pack, "_HELD", held)
        run = run_all(root, tmp_path / name)
        assert [shard.kind for shard in plan.shards(run)] == ["window"]
    tars = [(tmp_path / name / "posts" / "posts-000000.tar").read_bytes() for name in ("small", "whole")]
    assert tars[0] == tars[1]
    found = members(run)
    for _, post, images in rows:
        assert [found[f"{post}.{i}.jpg"] for i in range(len(images))] == [pictures[f"ann-{image}"] for image in images]
    places = {name: place for place, (name, _) in enumerate(shuffled)}
    last = {post: max(places[f"ann-{image}"] for image in images) for _, post, images in rows}
    assert posts.read_records(run, 0)["key"].to_pylist() == sorted(last, key=last.__getitem__)


@pytest.mark.parametrize("field", ["row", "image"])
@pytest.mark.parametrize("stage", [Stage.METADATA, Stage.WINDOWS])
def test_a_spool_that_is_not_what_the_plan_says_is_refused(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, stage: Stage, field: str
) -> None:
    """A number changed in place, which leaves the spool's own structure whole."""
    run, _ = prepare(discover(str(carousels[0])), tmp_path / "run", shard_bytes=20_000)
    list(ingest(run, list(Stage)[: list(Stage).index(stage) + 1]))
    path = next(run.spool.glob("metadata-*.spool" if stage is Stage.METADATA else "window-*.spool"))
    content = bytearray(path.read_bytes())
    content[len(spool.MAGIC) + {"row": 0, "image": 4}[field]] ^= 0x40
    path.write_bytes(content)
    assert list(verify.verify_files(run))
    with pytest.raises(PostmillError, match="not what the plan says") as caught:
        list(ingest(run, [Stage.WINDOWS, Stage.SPANNING]))
    assert caught.value.place == str(run.spool) and caught.value.hint is not None and "verify" in caught.value.hint


@pytest.mark.parametrize("count", [1, 3, 50])
def test_tasks_in_any_order_make_the_same_bytes(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, count: int
) -> None:
    root, _ = carousels
    whole = run_all(root, tmp_path / "whole", shard_bytes=20_000)
    split, _ = prepare(discover(str(root)), tmp_path / "split", shard_bytes=20_000)
    for stage in Stage:
        for index in reversed(range(count)):
            list(ingest(split, [stage], Task(index, count)))
    for path in sorted(whole.folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (split.folder / path.relative_to(whole.folder)).read_bytes(), path


def test_a_stage_before_its_time_is_refused(carousels: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    run, _ = prepare(discover(str(carousels[0])), tmp_path / "run")
    with pytest.raises(PostmillError, match="stage windows needs stage metadata") as caught:
        list(ingest(run, [Stage.WINDOWS]))
    assert caught.value.hint is not None and "--stage metadata" in caught.value.hint


def test_a_part_that_changed_after_the_plan_is_refused(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    root, _ = carousels
    run, _ = prepare(discover(str(root)), tmp_path / "run")
    part = root / "Post_images" / "posts_image.z02"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(PostmillError, match="planned with") as caught:
        list(ingest(run))
    assert caught.value.place == str(part)


def test_the_plan_of_another_dataset_is_refused(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    root = make_dataset({"ann-1.info": make_info()}, {"ann-1.jpg": b"x"}, [("ann", "1", ["1.jpg"])])
    prepare(discover(str(root)), tmp_path / "run")
    with (root / "JSON-Image_files_mapping.txt").open("a") as file:
        file.write("ann\t2.info\t['2.jpg']\n")
    with pytest.raises(UsageError, match=r"sources\.mapping"):
        prepare(discover(str(root)), tmp_path / "run")


def test_nothing_in_common_is_an_error(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    root = make_dataset({"ann-1.info": make_info()}, {"ann-1.jpg": b"x"}, [("bob", "1", ["1.jpg"])])
    with pytest.raises(PostmillError, match="none of the 1 mapped posts"):
        prepare(discover(str(root)), tmp_path / "run")
    assert not [path.name for path in (tmp_path / "run" / "plan").iterdir()]


def test_entries_over_the_limit_are_faults(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    pictures = {"ann-1.jpg": bytes(5000), "ann-2.jpg": bytes(100)}
    infos = {"ann-1.info": make_info(), "ann-2.info": make_info()}
    root = make_dataset(infos, pictures, [("ann", "1", ["1.jpg"]), ("ann", "2", ["2.jpg"])])
    run = run_all(root, tmp_path / "run", max_entry=1000, raw=False)
    assert sorted(members(run)) == ["2.0.jpg", "2.json"]
    assert fault_rows(run) == [("no_image", True, "1"), ("too_large", False, "image/ann-1.jpg")]


@pytest.mark.parametrize("lost", ["posts_image.z03", "posts_image.zip", "posts_image.z01"])
@pytest.mark.parametrize("shard_bytes", [10_000, 1 << 20])
def test_salvage_goes_on_without_a_part(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, lost: str, shard_bytes: int
) -> None:
    root, pictures = carousels
    (root / "Post_images" / lost).unlink()
    with pytest.raises(PostmillError):
        prepare(discover(str(root)), tmp_path / "refused")
    run = run_all(root, tmp_path / "run", shard_bytes=shard_bytes, level="salvage")
    found = members(run)
    records = [json.loads(content) for name, content in found.items() if re.fullmatch(r"\d+\.json", name)]
    assert 10 < len(records) < 60
    for record in records:
        for n, image in enumerate(record["images"]):
            assert found[f"{record['key']}.{n}.jpg"] == pictures[f"ann-{image}"]
    assert sum(post_lost for _, post_lost, _ in fault_rows(run)) == 60 - len(records)
    kept = {image for record in records for image in record["images"]}
    lost_bytes = sum(len(content) for name, content in pictures.items() if name.removeprefix("ann-") not in kept)
    whole_carousels = sum(not record["missing_images"] for record in records)
    assert whole_carousels > 0 and lost_bytes < 4 * 65_536


def test_strict_stops_at_what_would_be_a_fault(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    pictures = {f"ann-{n}.jpg": bytes([n]) * 3000 for n in (1, 2)}
    infos = {f"ann-{n}.info": make_info(str(n)) for n in (1, 2)}
    root = make_dataset(infos, pictures, [("ann", "1", ["1.jpg"]), ("ann", "2", ["2.jpg"])], options=["-0"])
    run_all(root, tmp_path / "sound", level="strict")
    spoil(root / "Post_images" / "posts_image.zip", "image/ann-2.jpg")
    run, _ = prepare(discover(str(root)), tmp_path / "run", level="strict")
    with pytest.raises(PostmillError, match=r"ann-2\.jpg: crc_wrong") as caught:
        list(ingest(run))
    assert caught.value.hint is not None and "--strict" in caught.value.hint
    assert not list(run.posts.glob("posts-*"))


def test_strict_refuses_a_plan_with_contradictions(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    root = make_dataset({"ann-1.info": make_info()}, {"ann-1.jpg": b"x"}, [("ann", "1", ["1.jpg"])])
    with zipfile.ZipFile(root / "Post_images" / "posts_image.zip", "a") as archive:
        archive.writestr("other/ann-1.jpg", b"y")
    with pytest.raises(PostmillError, match="duplicate_name"):
        prepare(discover(str(root)), tmp_path / "run", level="strict")
    run = run_all(root, tmp_path / "default")
    assert members(run)["1.0.jpg"] == b"x"
    assert fault_rows(run) == [("duplicate_name", False, "other/ann-1.jpg")]
