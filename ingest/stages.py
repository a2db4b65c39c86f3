"""The three stages of ingest over many windows and shards: what is done is skipped, the rest is done by workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from ingest.pack import pack_shard
from ingest.source import open_archive
from ingest.windows import image_spool, is_packed, metadata_spool, pack_window, spool_metadata, spooled
from ingest.workers import perform
from shards import listing, plan, posts, publish
from shards import run as runs
from shards.errors import PostmillError
from shards.plan import IMAGES, METADATA
from shards.progress import Progress, Silent
from shards.run import Run
from shards.tasks import WHOLE, Task, share


class Stage(StrEnum):
    """The stages in the order in which they depend on each other."""

    METADATA = "metadata"
    WINDOWS = "windows"
    SPANNING = "spanning"


@dataclass(frozen=True)
class StageSummary:
    """What one stage did: pieces of work done now, and found done."""

    stage: Stage
    done: int
    skipped: int


def ingest(
    run: Run,
    stages: Sequence[Stage] = tuple(Stage),
    task: Task = WHOLE,
    workers: int = 1,
    progress: Progress | None = None,
) -> Iterator[StageSummary]:
    """Do ``stages`` of the ingest of ``run`` in order, yielding what each did.

    Args:
        run: A planned run.
        stages: Which stages.
        task: This process's share of each stage.
        workers: How many processes work at once, each holding one window in memory.
        progress: Told of each finished piece.

    Raises:
        PostmillError: An earlier stage is not done, a source cannot be read, or the run cannot be written.
        Interrupted: A signal came.
    """
    progress = progress or Silent()
    plan.manifest(run)
    for folder in (run.spool, run.posts):
        if folder.is_dir():
            publish.sweep(folder)
    for stage in stages:
        _require_earlier(run, stage)
        items = _items(run, stage)
        mine = share(items, task)
        waiting = [item for item, done in mine if not done]
        with progress.track(f"ingest: {stage.value}", len(mine), "pieces") as advance:
            advance(len(mine) - len(waiting))
            for _ in perform([partial(_do, run.folder, stage, item) for item in waiting], workers):
                advance(1)
        yield StageSummary(stage, len(waiting), len(mine) - len(waiting))
    listing.write(run)


def _items(run: Run, stage: Stage) -> list[tuple[int, bool]]:
    """Return the pieces of ``stage`` by number (window or post shard), and whether each is done."""
    if stage is Stage.METADATA:
        numbers = [window.window for window in plan.windows(run, METADATA)]
        return [(n, publish.done(run.spool, metadata_spool(n), run.fingerprint) is not None) for n in numbers]
    if stage is Stage.WINDOWS:
        return [(window.window, is_packed(run, window)) for window in plan.windows(run, IMAGES)]
    spanning = [shard.shard for shard in plan.shards(run) if shard.kind == "spanning"]
    return [(n, publish.done(run.posts, posts.shard_name(n), run.fingerprint) is not None) for n in spanning]


def _require_earlier(run: Run, stage: Stage) -> None:
    """Check that the stages that ``stage`` builds on are done; skip the check where ``stage`` has nothing to do."""
    if all(done for _, done in _items(run, stage)):
        return
    for earlier in tuple(Stage)[: tuple(Stage).index(stage)]:
        missing = sum(not done for _, done in _items(run, earlier))
        if missing:
            raise PostmillError(
                f"stage {stage.value} needs stage {earlier.value}, of which {missing} pieces are not done",
                place=run.folder,
                hint=f"do them first: postmill ingest {run.word} --stage {earlier.value}",
            )


def _do(folder: Path, stage: Stage, number: int) -> None:
    """Do one piece of ``stage``: what a worker process runs."""
    run = runs.open_run(folder)
    if stage is Stage.SPANNING:
        units = [metadata_spool(window.window) for window in plan.windows(run, METADATA)]
        units += [image_spool(window.window) for window in plan.windows(run, IMAGES) if window.spools]
        pack_shard(run, number, dict(spooled(run, number, units)))
        return
    archive = METADATA if stage is Stage.METADATA else IMAGES
    window = next(each for each in plan.windows(run, archive) if each.window == number)
    with open_archive(run, archive) as space:
        if stage is Stage.METADATA:
            spool_metadata(run, space, window)
        else:
            pack_window(run, space, window, plan.windows(run, METADATA))
