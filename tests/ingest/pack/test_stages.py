"""From a dataset to post shards: posts come together, in any order of tasks, with parts lost on the way."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from postmill.ingest.pack import first_pass, post_shard
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats import plan, posts, spool
from postmill.shards.formats.choices import Stage
from postmill.shards.run.options import Level, Options
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.state import verify
from postmill.shards.state.tasks import Task
from tests.ingest.pack.packing import Dataset, Info, fault_rows, members, run_all


@pytest.mark.parametrize("shard_bytes", [10_000, 40_000, 1 << 20])
def test_spanning_posts_come_together(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, shard_bytes: int
) -> None:
    root, pictures = carousels
    run = run_all(root, tmp_path / "run", shard_bytes=shard_bytes)
    contents = members(run)
    for n in range(60):
        record = json.loads(contents[f"{n}.json"])
        assert len(record["images"]) == (3 if n % 3 == 0 else 1)
        for i, image in enumerate(record["images"]):
            assert contents[f"{n}.{i}.jpg"] == pictures[f"ann-{image}"]
    kinds = [shard.kind for shard in plan.shards(run)]
    assert kinds == sorted(kinds, reverse=True) and kinds[-1] == "spanning"
    assert plan.counts(run).spanning_posts > 10


def test_pictures_wait_for_the_rest_of_their_post(
    make_dataset: Dataset, make_info: Info, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that passes through buffers much smaller than what lies between the pictures of a post, or fits them."""
    noise = random.Random(2)
    rows = [("ann", str(n), [f"{n}_{i}.jpg" for i in range(noise.randint(1, 4))]) for n in range(50)]
    pictures = {f"ann-{image}": noise.randbytes(noise.randrange(9000)) for _, _, images in rows for image in images}
    shuffled = noise.sample(list(pictures.items()), len(pictures))
    root = make_dataset({f"ann-{n}.info": make_info(str(n)) for n in range(50)}, dict(shuffled), rows)
    for name, size, written in (("small", 5000, 3000), ("whole", 1 << 20, 4 << 20)):
        monkeypatch.setattr(first_pass, "_CACHED_BYTES", size)
        monkeypatch.setattr(post_shard, "_WRITTEN_BYTES", written)
        run = run_all(root, tmp_path / name)
        assert [shard.kind for shard in plan.shards(run)] == ["window"]
    tars = [(tmp_path / name / "posts" / "posts-000000.tar").read_bytes() for name in ("small", "whole")]
    assert tars[0] == tars[1]
    contents = members(run)
    for _, post, images in rows:
        assert [contents[f"{post}.{i}.jpg"] for i in range(len(images))] == [
            pictures[f"ann-{image}"] for image in images
        ]
    positions = {name: position for position, (name, _) in enumerate(shuffled)}
    last = {post: max(positions[f"ann-{image}"] for image in images) for _, post, images in rows}
    assert posts.read_records(run, 0)["key"].to_pylist() == sorted(last, key=last.__getitem__)


@pytest.mark.parametrize("field", ["row", "image"])
@pytest.mark.parametrize("stage", [Stage.METADATA, Stage.WINDOWS])
def test_a_spool_that_is_not_what_the_plan_says_is_refused(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, stage: Stage, field: str
) -> None:
    """A number changed in place, which leaves the spool's own structure whole: its checksum tells."""
    run, _ = make_plan(discover(str(carousels[0])), tmp_path / "run", Options(shard_bytes=20_000))
    list(ingest(run, list(Stage)[: list(Stage).index(stage) + 1]))
    path = next(run.spool.glob("metadata-*.spool" if stage is Stage.METADATA else "window-*.spool"))
    content = bytearray(path.read_bytes())
    content[len(spool.MAGIC) + {"row": 0, "image": 4}[field]] ^= 0x40
    path.write_bytes(content)
    assert list(verify.verify_files(run))
    with pytest.raises(PostmillError, match="is damaged") as caught:
        list(ingest(run, [Stage.WINDOWS, Stage.SPANNING]))
    assert caught.value.place == str(path) and caught.value.hint == f"rm -f -- {path}; postmill ingest {run.word}"


@pytest.mark.parametrize("count", [1, 3, 50])
def test_tasks_in_any_order_make_the_same_bytes(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, count: int
) -> None:
    root, _ = carousels
    undivided = run_all(root, tmp_path / "whole", shard_bytes=20_000)
    split, _ = make_plan(discover(str(root)), tmp_path / "split", Options(shard_bytes=20_000))
    for stage in Stage:
        for index in reversed(range(count)):
            list(ingest(split, [stage], Task(index, count)))
    for path in sorted(undivided.folder.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (split.folder / path.relative_to(undivided.folder)).read_bytes(), path


def test_a_stage_before_its_time_is_refused(carousels: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    run, _ = make_plan(discover(str(carousels[0])), tmp_path / "run")
    with pytest.raises(PostmillError, match="stage windows needs stage metadata") as caught:
        list(ingest(run, [Stage.WINDOWS]))
    assert caught.value.hint is not None and "--stage metadata" in caught.value.hint


def test_a_part_that_changed_after_the_plan_is_refused(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    root, _ = carousels
    run, _ = make_plan(discover(str(root)), tmp_path / "run")
    part = root / "Post_images" / "posts_image.z02"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(PostmillError, match="planned with") as caught:
        list(ingest(run))
    assert caught.value.place == str(part)


@pytest.mark.parametrize("lost", ["posts_image.z03", "posts_image.zip", "posts_image.z01"])
@pytest.mark.parametrize("shard_bytes", [10_000, 1 << 20])
def test_salvage_goes_on_without_a_part(
    carousels: tuple[Path, dict[str, bytes]], tmp_path: Path, lost: str, shard_bytes: int
) -> None:
    root, pictures = carousels
    (root / "Post_images" / lost).unlink()
    with pytest.raises(PostmillError):
        make_plan(discover(str(root)), tmp_path / "refused")
    run = run_all(root, tmp_path / "run", shard_bytes=shard_bytes, level=Level.SALVAGE)
    contents = members(run)
    records = [json.loads(content) for name, content in contents.items() if re.fullmatch(r"\d+\.json", name)]
    assert 10 < len(records) < 60
    for record in records:
        for n, image in enumerate(record["images"]):
            assert contents[f"{record['key']}.{n}.jpg"] == pictures[f"ann-{image}"]
    assert sum(post_lost for _, post_lost, _ in fault_rows(run)) == 60 - len(records)
    kept = {image for record in records for image in record["images"]}
    lost_bytes = sum(len(content) for name, content in pictures.items() if name.removeprefix("ann-") not in kept)
    whole_carousels = sum(not record["missing_images"] for record in records)
    assert whole_carousels > 0 and lost_bytes < 4 * 65_536
