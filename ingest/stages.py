"""The three stages of ingest over many windows and shards: what is done is skipped, the rest is done by workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ingest.options import Stage
from ingest.pack import pack_shard
from ingest.ranges import EVERYTHING, Selection
from ingest.source import open_archive
from ingest.windows import image_spool, is_packed, metadata_spool, pack_window, spool_metadata, spooled
from ingest.workers import Perform, alone
from shards import listing, manifests, plan, posts, temporary
from shards.collector import uncollected
from shards.errors import PostmillError
from shards.plan import IMAGES, METADATA
from shards.progress import Progress, Silent
from shards.run import Run
from shards.tasks import WHOLE, Task, share


@dataclass(frozen=True)
class StageSummary:
    """What one stage did: pieces of work done now, found done, and waiting for windows that are not done."""

    stage: Stage
    done: int
    skipped: int
    waiting: int = 0


@dataclass(frozen=True)
class _Piece:
    """One piece of a stage: number of the window or of the post shard, and what it takes to choose it."""

    number: int
    done: bool
    part: int  # of the stage's archive: in which it ends, or which completes it
    shard: int | None  # that it writes


def ingest(
    run: Run,
    stages: Sequence[Stage] = tuple(Stage),
    task: Task = WHOLE,
    perform: Perform = alone,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
) -> Iterator[StageSummary]:
    """Do ``stages`` of the ingest of ``run`` in order, yielding what each did.

    Args:
        run: A planned run.
        stages: Which stages.
        task: This process's share of each stage.
        perform: Does the pieces of a stage: in this process, or as :func:`ingest.workers.workforce` provides.
        progress: Told of each finished piece.
        selection: Which pieces of each stage; ``task`` is a share of these.

    Raises:
        UsageError: ``selection`` names what there is not.
        PostmillError: An earlier stage is not done, a source cannot be read, or the run cannot be written.
        Interrupted: A signal came.
    """
    progress = progress or Silent()
    plan.manifest(run)
    for folder in (run.spool, run.posts):
        if folder.is_dir():
            temporary.sweep(folder)
    for stage in stages:
        whole = stage is Stage.METADATA and len(stages) > 1  # the stages that follow need all of it
        pieces = share(_selected(run, stage, EVERYTHING if whole else selection), task)
        todo = [piece for piece in pieces if not piece.done]
        ready = _ready(run, stage, todo, some=selection != EVERYTHING)
        with progress.track(f"ingest: {stage.value}", len(pieces), "pieces") as advance:
            advance(len(pieces) - len(todo))
            for _ in perform([partial(_do, run, stage, piece.number) for piece in ready]):
                advance(1)
        yield StageSummary(stage, len(ready), len(pieces) - len(todo), len(todo) - len(ready))
    listing.write(run)


def _pieces(run: Run, stage: Stage) -> list[_Piece]:
    """Return the pieces of ``stage`` in the order of its archive."""
    if stage is Stage.METADATA:
        return [
            _Piece(window.window, _is_done(run.spool, metadata_spool(window.window), run), window.last_part, None)
            for window in plan.windows(run, METADATA)
        ]
    if stage is Stage.WINDOWS:
        windows = plan.windows(run, IMAGES)
        return [_Piece(each.window, is_packed(run, each), each.last_part, each.shard) for each in windows]
    return [
        _Piece(shard.shard, _is_done(run.posts, posts.shard_name(shard.shard), run), shard.last_part, shard.shard)
        for shard in plan.shards(run)
        if shard.kind == "spanning"
    ]


def _is_done(folder: Path, name: str, run: Run) -> bool:
    return manifests.done(folder, name, run.fingerprint) is not None


def _selected(run: Run, stage: Stage, selection: Selection) -> list[_Piece]:
    """Return the pieces of ``stage`` that ``selection`` takes."""
    pieces = _pieces(run, stage)
    parts = selection.part_indices(run, METADATA if stage is Stage.METADATA else IMAGES)
    numbers = selection.shard_numbers()
    if stage is Stage.METADATA:
        return [piece for piece in pieces if piece.part in parts]
    # A window without a post shard of its own only sets pictures aside, for shards that may be among the chosen.
    return [piece for piece in pieces if piece.part in parts and (piece.shard is None or piece.shard in numbers)]


def _ready(run: Run, stage: Stage, todo: list[_Piece], some: bool) -> list[_Piece]:
    """Return those of ``todo`` for which the earlier stages have done what they need.

    Raises:
        PostmillError: Not all are ready, and not ``some``; or nothing of the metadata is there.
    """
    if not todo or stage is Stage.METADATA:
        return todo
    missing = sum(not piece.done for piece in _pieces(run, Stage.METADATA))
    if missing:
        raise _too_early(run, stage, Stage.METADATA, missing)
    if stage is Stage.WINDOWS:
        return todo
    unseen = [window.last_part for window in plan.windows(run, IMAGES) if window.spools and not is_packed(run, window)]
    ready = [piece for piece in todo if piece.part < min(unseen, default=piece.part + 1)]
    if len(ready) < len(todo) and not some:
        raise _too_early(run, stage, Stage.WINDOWS, len(unseen))
    return ready


def _too_early(run: Run, stage: Stage, earlier: Stage, missing: int) -> PostmillError:
    return PostmillError(
        f"stage {stage.value} needs stage {earlier.value}, of which {missing} pieces are not done",
        place=run.folder,
        hint=f"do them first: postmill ingest {run.word} --stage {earlier.value}",
    )


def _do(run: Run, stage: Stage, number: int) -> None:
    """Do one piece of ``stage``: what a worker process runs.

    Raises:
        PostmillError: A source or a spool cannot be read, or the run cannot be written.
    """
    try:
        with uncollected():
            _make(run, stage, number)
    except PostmillError:  # some are an OSError too
        raise
    except OSError as error:
        raise PostmillError(
            f"a file of this run cannot be read: {error.strerror or error}",
            place=error.filename or run.spool,
            hint="check the disk; what is damaged, postmill verify finds, and it says what to do",
        ) from error


def _make(run: Run, stage: Stage, number: int) -> None:
    if stage is Stage.SPANNING:
        units = [metadata_spool(window.window) for window in plan.windows(run, METADATA)]
        last = next(each.last_part for each in plan.shards(run) if each.shard == number)
        windows = [window for window in plan.windows(run, IMAGES) if window.spools and window.last_part <= last]
        units += [image_spool(window.window) for window in windows]
        pack_shard(run, number, spooled(run, number, units))
        return
    archive = METADATA if stage is Stage.METADATA else IMAGES
    window = next(each for each in plan.windows(run, archive) if each.window == number)
    with open_archive(run, archive, window.first_part, window.last_part) as space:
        if stage is Stage.METADATA:
            spool_metadata(run, space, window)
        else:
            pack_window(run, space, window, plan.windows(run, METADATA))
