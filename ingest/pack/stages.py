"""The three stages of ingest over many windows and shards: what is done is skipped, the rest is done by workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from postmill.ingest.pack.first_pass import pack_window, read_pieces, spool_metadata
from postmill.ingest.pack.mend import stale_pieces
from postmill.ingest.pack.post_shard import pack_shard
from postmill.ingest.pack.selection import EVERYTHING, Selection
from postmill.ingest.pack.workers import Perform, alone
from postmill.ingest.source.pinning import open_window
from postmill.ingest.source.places.arrivals import AwaitedPart, awaited_parts, awaits
from postmill.shards.formats import faults, plan, posts, shard_lists
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.formats.units import Piece, image_spool, metadata_spool, pieces
from postmill.shards.run import manifests, temporary
from postmill.shards.run.folder import Run
from postmill.shards.runtime.collector import uncollected
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.pace import Contents
from postmill.shards.runtime.progress import Progress, Silent
from postmill.shards.state.tasks import WHOLE, Task, share

_UNITS = {Stage.METADATA: "windows", Stage.WINDOWS: "windows", Stage.SPANNING: "shards"}
_CONTENTS = {Stage.METADATA: "posts", Stage.WINDOWS: "pictures", Stage.SPANNING: "posts"}


@dataclass(frozen=True)
class StageSummary:
    """What one stage did: pieces of work done now, found done, and waiting for what is not done or not here yet.

    ``shards`` are the post shards of all of these, done or not; ``awaited`` the parts that some of them wait for.
    """

    stage: Stage
    done: int
    skipped: int
    waiting: int = 0
    shards: tuple[int, ...] = ()
    awaited: tuple[AwaitedPart, ...] = ()


def ingest(
    run: Run,
    stages: Sequence[Stage] = tuple(Stage),
    task: Task = WHOLE,
    perform: Perform = alone,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
    mending: bool = False,
    restoring: bool = False,
    at_most: int | None = None,
) -> Iterator[StageSummary]:
    """Do ``stages`` of the ingest of ``run`` in order, yielding what each did.

    What is done and waits for other bytes is done again where these are there (:mod:`.mend`).

    Args:
        run: A planned run.
        stages: Which stages.
        task: This process's share of each stage.
        perform: Does the pieces of a stage: in this process, or as :func:`.workers.workforce` provides.
        progress: Told of each finished piece.
        selection: Which pieces of each stage; ``task`` is a share of these.
        mending: Do only what has waited for other bytes.
        restoring: Do anew, too, the post shards whose tar was dropped.
        at_most: Make so many post shards, and leave the others for another call; None for all.

    Raises:
        UsageError: ``selection`` names what there is not.
        PostmillError: An earlier stage is not done, a source cannot be read, or the run cannot be written.
        Interrupted: A signal came.
    """
    progress = progress or Silent()
    plan.manifest(run)
    # What is asked for is looked at before the first byte is read: of all stages, for the metadata takes hours.
    chosen = {stage: _selected(run, stage, _needed(stage, stages, selection)) for stage in stages}
    for folder in (run.spool, run.posts, run.posts / faults.FOLDER):
        if folder.is_dir():
            temporary.sweep(folder)
    stale = stale_pieces(run)
    left: set[int] = set()  # of the metadata, for parts that had not come: they may have by the time of the next stage
    with progress.steps([f"ingest {stage.value}" for stage in stages]) as begin:
        for stage in stages:
            begin(f"ingest {stage.value}")
            mine = share(chosen[stage], task)
            if mending:
                mine = [piece for piece in mine if piece.number in stale[stage]]
            todo = [
                piece
                for piece in mine
                if piece.number in stale[stage] or not _is_done(run, piece) or (restoring and _is_dropped(run, piece))
            ]
            absent = _awaited(run, stage, todo)
            here = _without(todo, absent)
            if stage is Stage.METADATA:
                left = {piece.number for piece in todo} - {piece.number for piece in here}
            partly = selection != EVERYTHING or at_most is not None or awaits(run)
            ready = _first(_ready(run, stage, here, left, partly), at_most)
            if at_most is not None:
                at_most -= sum(piece.shard is not None for piece in ready)
            held = _held(run, stage)
            contents = Contents(sum(held[piece.number] for piece in ready), _CONTENTS[stage])
            work = (f"ingest: {stage.value}", len(mine), _UNITS[stage], len(mine) - len(todo), contents)
            with progress.track(*work) as advance:
                for done in perform([partial(_do_piece, run, stage, piece.number) for piece in ready]):
                    advance(1, held[ready[done].number])
            shards = tuple(piece.shard for piece in mine if piece.shard is not None)
            yield StageSummary(stage, len(ready), len(mine) - len(todo), len(todo) - len(ready), shards, tuple(absent))
    shard_lists.write(run)


def _held(run: Run, stage: Stage) -> dict[int, int]:
    """Return how many of :data:`_CONTENTS` each piece of ``stage`` holds, by its number."""
    if stage is Stage.SPANNING:
        return {shard.shard: shard.posts for shard in plan.shards(run)}
    archive = METADATA if stage is Stage.METADATA else IMAGES
    return {window.window: window.entries for window in plan.windows(run, archive)}


def awaited(run: Run) -> list[AwaitedPart]:
    """Return the parts that are still needed and have not come."""
    if not awaits(run):
        return []
    stages = (Stage.METADATA, Stage.WINDOWS)
    todo = {stage: [piece for piece in pieces(run, stage) if not _is_done(run, piece)] for stage in stages}
    return [part for stage in stages for part in _awaited(run, stage, todo[stage])]


def _needed(stage: Stage, stages: Sequence[Stage], selection: Selection) -> Selection:
    """Return ``selection``, or everything where later stages of this call need all of ``stage``."""
    return EVERYTHING if stage is Stage.METADATA and len(stages) > 1 else selection


def _is_done(run: Run, piece: Piece) -> bool:
    return all(manifests.done(folder, name, run.fingerprint) is not None for folder, name in piece.units)


def _is_dropped(run: Run, piece: Piece) -> bool:
    return piece.shard is not None and posts.tar_state(run, piece.shard).dropped


def _first(ready: list[Piece], shards: int | None) -> list[Piece]:
    """Return the first of ``ready``, which make so many post shards and no more; the others only set pictures aside."""
    if shards is None:
        return ready
    making = [n for n, piece in enumerate(ready) if piece.shard is not None]
    return ready if len(making) <= shards else ready[: making[shards]]


def _selected(run: Run, stage: Stage, selection: Selection) -> list[Piece]:
    """Return the pieces of ``stage`` that ``selection`` takes."""
    chosen = pieces(run, stage)
    parts = selection.part_indices(run, METADATA if stage is Stage.METADATA else IMAGES)
    numbers = selection.shard_numbers(run)
    if stage is Stage.METADATA:
        return [piece for piece in chosen if piece.part in parts]
    if selection.parts is None and stage is Stage.SPANNING:  # what has no picture is complete before all parts
        return [piece for piece in chosen if piece.shard in numbers]
    # A window without a post shard of its own only sets pictures aside, for shards that may be among the chosen.
    return [piece for piece in chosen if piece.part in parts and (piece.shard is None or piece.shard in numbers)]


def _awaited(run: Run, stage: Stage, todo: Sequence[Piece]) -> list[AwaitedPart]:
    """Return the parts that ``todo`` needs and that have not come."""
    if stage is Stage.SPANNING:
        return []
    numbers = {number for piece in todo for number in range(piece.first_part, piece.part + 1)}
    return awaited_parts(run, {METADATA if stage is Stage.METADATA else IMAGES: numbers})


def _without(todo: list[Piece], awaited: Sequence[AwaitedPart]) -> list[Piece]:
    numbers = {part.part for part in awaited}
    return [piece for piece in todo if numbers.isdisjoint(range(piece.first_part, piece.part + 1))]


def _ready(run: Run, stage: Stage, todo: list[Piece], left: set[int], partly: bool) -> list[Piece]:
    """Return those of ``todo`` for which the earlier stages have done what they need; none where metadata was ``left``.

    Raises:
        PostmillError: Metadata is not done, though its parts are here; or not all are ready, and that was not asked for
            by ``partly``.
    """
    if not todo or stage is Stage.METADATA:
        return todo
    missing = [piece for piece in pieces(run, Stage.METADATA) if not _is_done(run, piece)]
    if missing and (not left.isdisjoint(piece.number for piece in missing) or _awaited(run, Stage.METADATA, missing)):
        return []
    if missing:
        raise _too_early(run, stage, Stage.METADATA, missing)
    if stage is Stage.WINDOWS:
        return todo
    unseen = [piece for piece in pieces(run, Stage.WINDOWS) if _spools(run, piece) and not _is_done(run, piece)]
    first = min((piece.part for piece in unseen), default=None)
    ready = [piece for piece in todo if first is None or piece.part < first]
    if len(ready) < len(todo) and not partly:
        raise _too_early(run, stage, Stage.WINDOWS, unseen)
    return ready


def _spools(run: Run, piece: Piece) -> bool:
    return any(folder == run.spool for folder, _ in piece.units)


def _too_early(run: Run, stage: Stage, earlier: Stage, missing: Sequence[Piece]) -> PostmillError:
    first = next(name for folder, name in missing[0].units if manifests.done(folder, name, run.fingerprint) is None)
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return PostmillError(
        f"stage {stage.value} needs stage {earlier.value}, of which {first}{more} is not done",
        place=run.folder,
        hint=f"do them first: postmill ingest {run.word} --stage {earlier.value}",
    )


def _do_piece(run: Run, stage: Stage, number: int) -> None:
    """Do one piece of ``stage``: what a worker process runs.

    Raises:
        PostmillError: A source or a spool cannot be read, or the run cannot be written.
    """
    try:
        with uncollected():
            _make_units(run, stage, number)
    except PostmillError:  # some are an OSError too
        raise
    except OSError as error:
        raise PostmillError(
            f"a file of this run cannot be read: {error.strerror or error}",
            place=error.filename or run.spool,
            hint="check the disk; what is damaged, postmill verify finds, and it says what to do",
        ) from error


def _make_units(run: Run, stage: Stage, number: int) -> None:
    if stage is Stage.SPANNING:
        units = [metadata_spool(window.window) for window in plan.windows(run, METADATA)]
        last = next(shard.last_part for shard in plan.shards(run) if shard.shard == number)
        windows = [window for window in plan.windows(run, IMAGES) if window.spools and window.last_part <= last]
        units += [image_spool(window.window) for window in windows]
        pack_shard(run, number, read_pieces(run, number, units))
        return
    archive = METADATA if stage is Stage.METADATA else IMAGES
    window = next(window for window in plan.windows(run, archive) if window.window == number)
    with open_window(run, window, lazily=True) as space:
        if stage is Stage.METADATA:
            spool_metadata(run, space, window)
        else:
            pack_window(run, space, window, plan.windows(run, METADATA))
