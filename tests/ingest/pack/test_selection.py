"""Ranges of parts and of post shards: an exact partition, and the same bytes in the end."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from postmill.ingest.pack.selection import Selection
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats import plan
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.runtime.errors import PostmillError, UsageError


@pytest.fixture
def planned(make_dataset: Callable[..., Path], make_info: Callable[..., bytes], tmp_path: Path) -> Callable[[str], Run]:
    """Plan runs of eighty posts, a quarter of them carousels, on archives of several parts."""
    noise = random.Random(5)
    rows = [("ann", str(n), [f"{n}_{i}.jpg" for i in range(3 if n % 4 == 0 else 1)]) for n in range(80)]
    pictures = [f"ann-{image}" for _, _, images in rows for image in images]
    noise.shuffle(pictures)
    infos = {f"ann-{n}.info": make_info(str(n), pad=noise.randbytes(1500).hex()) for n in noise.sample(range(80), 80)}
    content = {name: noise.randbytes(noise.randrange(2000, 9000)) for name in pictures}
    root = make_dataset(infos, content, rows, options=["-s", "64k"])

    def make(name: str) -> Run:
        return make_plan(discover(str(root)), tmp_path / name, Options(shard_bytes=20_000))[0]

    return make


def digests(run: Run) -> dict[str, str]:
    files = (path for path in sorted(run.folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(run.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def endings(run: Run, archive: str) -> list[str]:
    return [name.rpartition(".")[2] for name, _ in getattr(run.sources, archive).parts]


def test_part_after_part_in_any_order_makes_the_same_bytes(planned: Callable[[str], Run]) -> None:
    undivided, run = planned("whole"), planned("run")
    list(ingest(undivided))
    metadata, images = endings(run, "metadata"), endings(run, "images")
    assert len(metadata) > 1 and len(images) > 5
    noise = random.Random(0)
    cuts = [0, *sorted(noise.sample(range(1, len(images)), 2)), len(images)]
    ranges = [f"{images[low]}-{images[high - 1]}" for low, high in pairwise(cuts)]
    for stage, chosen in ((Stage.METADATA, metadata), (Stage.WINDOWS, ranges), (Stage.SPANNING, images)):
        done = 0
        for parts in noise.sample(chosen, len(chosen)):
            (summary,) = ingest(run, [stage], selection=Selection(parts=parts))
            assert summary.skipped == summary.waiting == 0
            done += summary.done
        (summary,) = ingest(run, [stage])
        assert (summary.done, summary.skipped) == (0, done)
    assert digests(run) == digests(undivided)


def test_posts_wait_only_for_the_parts_that_hold_their_pictures(planned: Callable[[str], Run]) -> None:
    run = planned("run")
    images = endings(run, "images")
    middle = len(images) // 2
    _, windows, spanning = ingest(run, selection=Selection(parts=f"{images[0]}-{images[middle]}"))
    complete = [shard for shard in plan.shards(run) if shard.kind == "spanning" and shard.last_part <= middle]
    assert windows.waiting == 0 and (spanning.done, spanning.waiting) == (len(complete), 0)
    assert complete, "a post that spans windows is complete by the middle part"
    after = Selection(parts=f"{images[middle + 2]}-{images[-1]}")
    *_, spanning = ingest(run, selection=after)
    assert spanning.done == 0 and spanning.waiting > 0  # the part between them has not been seen
    with pytest.raises(PostmillError, match="stage spanning needs stage windows"):
        list(ingest(run, [Stage.SPANNING]))
    list(ingest(run))
    assert digests(run) == digests(_undisturbed(planned))


def test_only_the_parts_of_a_window_need_be_there(planned: Callable[[str], Run], tmp_path: Path) -> None:
    run = planned("run")
    list(ingest(run, [Stage.METADATA]))
    for part in (tmp_path / "data" / "Post_metadata").iterdir():
        part.unlink()
    folder, aside = tmp_path / "data" / "Post_images", tmp_path / "aside"
    names = [name for name, _ in run.sources.images.parts]
    aside.mkdir()
    for name in names:
        (folder / name).rename(aside / name)
    (aside / names[0]).rename(folder / names[0])
    for before, name in pairwise(names):  # as a disk would that holds two parts at a time
        (aside / name).rename(folder / name)
        (summary,) = ingest(run, [Stage.WINDOWS], selection=Selection(parts=name))
        assert summary.done
        (folder / before).rename(aside / before)
    with pytest.raises(PostmillError, match="is missing; the run was planned with"):
        list(ingest(run, [Stage.WINDOWS]))
    for name in names:
        if (aside / name).exists():
            (aside / name).rename(folder / name)
    list(ingest(run, [Stage.WINDOWS, Stage.SPANNING]))
    assert {path.name for path in run.posts.glob("*.tar")} == {f"posts-{s.shard:06d}.tar" for s in plan.shards(run)}


def _undisturbed(planned: Callable[[str], Run]) -> Run:
    run = planned("undisturbed")
    list(ingest(run))
    return run


def test_shards_choose_windows_and_spanning_shards(planned: Callable[[str], Run]) -> None:
    run = planned("run")
    shards = plan.shards(run)
    local = [shard.shard for shard in shards if shard.kind == "window"]
    list(ingest(run, [Stage.METADATA], selection=Selection(shards="0")))
    assert all(
        manifests.done(run.spool, f"metadata-{w.window:06d}", run.fingerprint) for w in plan.windows(run, METADATA)
    )
    list(ingest(run, [Stage.WINDOWS], selection=Selection(shards="1,3-4")))
    made = {int(path.stem.partition("-")[2]) for path in run.posts.glob("posts-*.tar")}
    assert made == {1, 3, 4} and max(local) > 4
    list(ingest(run, [Stage.WINDOWS]))
    last = shards[-1].shard
    list(ingest(run, [Stage.SPANNING], selection=Selection(shards=f"{last}")))
    made = {int(path.stem.partition("-")[2]) for path in run.posts.glob("posts-*.tar")}
    assert made == {*local, last}


def test_a_spanning_shard_reads_the_windows_up_to_its_last_part(planned: Callable[[str], Run]) -> None:
    run = planned("run")
    owner = plan.entries
    last = {shard.shard: shard.last_part for shard in plan.shards(run)}
    for window in plan.windows(run, IMAGES):
        for shard in set(owner(run, IMAGES, window.window)["shard"].to_pylist()):
            assert window.last_part <= last[shard]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(parts="z99"), "'z99' is no part of the metadata archive"),
        (Selection(parts=""), "'' is no part"),
        (Selection(parts="zip-z01"), "zip-z01 runs backwards"),
        (Selection(parts="z01-"), "'' is no part"),
        (Selection(shards="a"), "'a' is no number"),
        (Selection(shards="4-2"), "4-2 runs backwards"),
        (Selection(shards="-1"), "'' is no number"),
        (Selection(shards="0-99999999999"), "is no number"),
        (Selection(shards="²"), "is no number"),
    ],
)
def test_a_range_of_what_there_is_not_is_refused(
    planned: Callable[[str], Run], selection: Selection, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        list(ingest(planned("run"), [Stage.METADATA], selection=selection))
