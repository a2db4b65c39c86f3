"""How far a run is, from its folder alone: nothing is asked of a scheduler, and no picture or table is opened."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from postmill.shards.formats import models, plan
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.counts import PlanCounts, ShardCounts
from postmill.shards.formats.faults import count_encoders_reasons
from postmill.shards.indicators.indicator import indicators_of
from postmill.shards.run import manifests, regular
from postmill.shards.run.folder import Run
from postmill.shards.run.temporary import TEMPORARY
from postmill.shards.runtime.collector import uncollected
from postmill.shards.state import attempts, underway
from postmill.shards.state.attempts import MAX_FAILURES, TaskRecord
from postmill.shards.state.pieces import DoneUnit, PieceState, encoder_pieces, ingest_pieces, list_units
from postmill.shards.state.tasks import share
from postmill.shards.state.underway import Underway

RATE_WINDOW_S = 3600.0  # a rate is of the pieces done in the last hour
_PAUSE = 10  # times the usual gap between two pieces: nobody was at it
_LEAST_GAP_S = 1.0


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is.

    Attributes:
        stage: ``plan``, ``metadata``, ``windows``, ``spanning``, ``encode FOLDER``, ``train`` or ``report``.
        total: Its pieces; None for ``train`` while it does not run, for only the command knows which models are wanted.
        done: Pieces that are done.
        running: Pieces in hand: a process holds a file of theirs, or a task that has no other in hand.
        failed: Pieces that are not done, of tasks whose last attempt failed or was killed.
        waiting: All others.
        bytes: Of the files of what is done.
        per_hour: Pieces an hour, from the first to the last of those done in the last hour; None where nothing is in
            hand, where fewer than two were done, or nothing for long.
        seconds_left: For what is not done, at that rate; None where nothing is in hand or there is no rate. For
            ``train``, at the rate of the process that trains.
    """

    stage: str
    total: int | None
    done: int
    running: int
    failed: int
    waiting: int
    bytes: int
    per_hour: float | None
    seconds_left: float | None


@dataclass(frozen=True)
class FailedTask:
    """A task whose last attempt failed: how often, whether it is given up, and the end of its log."""

    stage: str
    index: int
    count: int
    failures: int
    given_up: bool
    code: int | None
    host: str
    log: str
    tail: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        stages: In the order in which they depend on each other; an encoder that was never begun has none.
        posts: Posts in finished shards.
        lost: Mapped posts that are in no shard, so far.
        waiting: Mapped posts that are in none until their bytes in the archive are others, so far.
        not_chosen: Mapped posts that the selection leaves out, so far.
        without_time: Those of them that have no time, where a span of time is asked for.
        dropped: Post shards whose tar was let go when every encoder asked for had done it.
        faults: Faults by reason, the most frequent first, so far.
        failed: Tasks whose last attempt failed or was killed, and that are not running.
        invented: Whether the data were marked as invented when the run was planned.
    """

    stages: tuple[StageStatus, ...]
    posts: int
    lost: int
    waiting: int
    not_chosen: int
    without_time: int
    dropped: int
    faults: Mapping[str, int]
    failed: tuple[FailedTask, ...]
    invented: bool


def read(run: Run, now: float | None = None) -> Status:
    """Return how far ``run`` is.

    Args:
        run: The run.
        now: The time, in seconds since 1970; None: the clock's.
    """
    with uncollected():
        return _read(run, time.time() if now is None else now)


def _read(run: Run, now: float) -> Status:
    manifest = manifests.done(run.plan, plan.NAME, run.fingerprint)
    if manifest is None:
        in_hand = bool(list_units(run.plan, run.fingerprint).in_hand)
        return Status((_single("plan", False, in_hand, 0),), 0, 0, 0, 0, 0, 0, {}, (), run.invented)
    planned = PlanCounts.of(manifest)
    records = attempts.read(run)
    shards = list_units(run.posts, run.fingerprint)
    ingest = ingest_pieces(run, list_units(run.spool, run.fingerprint, parse=False), shards)
    stages = [_single("plan", True, False, sum(file.bytes for file in manifest.files.values()))]
    stages += [_stage(stage.value, ingest[stage], _records_of(records, stage), now) for stage in Stage]
    for encoder, pieces in encoder_pieces(run, planned.shards):
        encoding = [record for record in records if attempts.encodes(record.stage, encoder.encoder)]
        stages.append(_stage(f"encode {encoder.folder}", pieces, encoding, now))
    at_work = underway.read(run)
    stages.append(_train(run, _records_of(records, "train"), [work for work in at_work if work.stage == "train"], now))
    stages += _insights(run, planned.shards, at_work)
    reports = list_units(run.report, run.fingerprint)
    size = sum(unit.bytes for unit in reports.done.values())
    writing = bool(reports.in_hand) or any(work.stage == "report" for work in at_work)
    stages.append(_single("report", bool(reports.done) and not writing, writing, size))
    counts = [ShardCounts.of(unit) for unit in shards.done.values()]
    return Status(
        stages=tuple(stages),
        posts=sum(shard.posts for shard in counts),
        lost=planned.lost + sum(shard.lost for shard in counts),
        waiting=sum(shard.waiting for shard in counts),
        not_chosen=planned.not_chosen + sum(shard.not_chosen for shard in counts),
        without_time=sum(shard.without_time for shard in counts),
        dropped=sum(unit.dropped for unit in shards.done.values()),
        faults=_faults(run, planned, counts),
        failed=tuple(_failed(run, record) for record in records if record.failed),
        invented=run.invented,
    )


def _insights(run: Run, shards: int, at_work: Sequence[Underway]) -> list[StageStatus]:
    """Return how far the tables of tone are; nothing where no encoder of tone was begun."""
    told = list_units(run.insights, run.fingerprint)
    if not told.done and not any(indicators_of(encoder) for encoder, _ in encoder_pieces(run, shards)):
        return []
    writing = bool(told.in_hand) or any(work.stage == "insights" for work in at_work)
    size = sum(unit.bytes for unit in told.done.values())
    return [_single("insights", bool(told.done) and not writing, writing, size)]


def _single(stage: str, done: bool, in_hand: bool, size: int) -> StageStatus:
    running = in_hand and not done
    return StageStatus(stage, 1, int(done), int(running), 0, int(not done and not running), size, None, None)


def _records_of(records: Iterable[TaskRecord], stage: str) -> list[TaskRecord]:
    return [record for record in records if record.stage == stage]


def _stage(name: str, pieces: Sequence[PieceState], records: Sequence[TaskRecord], now: float) -> StageStatus:
    missing: set[int] = set()
    running: set[int] = set()
    size, times = 0, []
    for piece in pieces:
        latest = 0.0
        for unit in piece.units:
            if unit is None:
                missing.add(piece.number)
            else:
                size += unit.bytes
                latest = max(latest, unit.time)
        if piece.number not in missing:
            times.append(latest)
        elif piece.in_hand:
            running.add(piece.number)
    failed: set[int] = set()
    for record in records:
        if not (record.running or record.failed):
            continue
        unfinished = [piece.number for piece in share(pieces, record.task) if not piece.done]
        if record.failed:
            failed.update(unfinished)
        elif unfinished and not running.intersection(unfinished):
            running.add(unfinished[0])
    failed -= running
    per_hour = _rate(times, now, len(running))
    return StageStatus(
        stage=name,
        total=len(pieces),
        done=len(pieces) - len(missing),
        running=len(running),
        failed=len(failed),
        waiting=len(missing) - len(running) - len(failed),
        bytes=size,
        per_hour=per_hour,
        seconds_left=len(missing) / per_hour * 3600 if per_hour and running else None,
    )


def _rate(times: Sequence[float], now: float, running: int) -> float | None:
    """Return how many pieces an hour were done of late, None where nothing is in hand or nothing was done for long.

    From the first to the last: the time since the last is that of pieces which are not done. What was done before a
    long pause, as by an earlier call, tells nothing.
    """
    recent = sorted(time for time in times if now - RATE_WINDOW_S < time <= now)
    if not running or len(recent) < 2:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(recent)]
    long = _PAUSE * running * max(statistics.median(gaps), _LEAST_GAP_S)
    begun = max((place + 1 for place, gap in enumerate(gaps) if gap > long), default=0)
    lately = recent[begun:]
    if len(lately) < 2 or now - lately[-1] > long or lately[-1] <= lately[0]:
        return None
    return (len(lately) - 1) / (lately[-1] - lately[0]) * 3600


def _train(run: Run, records: Sequence[TaskRecord], at_work: Sequence[Underway], now: float) -> StageStatus:
    done: dict[str, DoneUnit] = {}
    for folder in regular.folders(run.models, TEMPORARY):
        model = list_units(folder, run.fingerprint).done.get(models.MANIFEST)
        if model is not None:
            done[folder.name] = model
    failed = sum(record.failed for record in records)
    size = sum(model.bytes for model in done.values())
    if not at_work:
        running = sum(record.running for record in records)
        return StageStatus("train", None, len(done), running, failed, 0, size, None, None)
    wanted = {name for work in at_work for name in work.names}
    undone = {name for work in at_work for name in work.names[work.done :]}
    ready = done.keys() - undone  # one that is made anew is not
    running = min(len(at_work), len(undone))
    lefts = [work.seconds_left for work in at_work]
    return StageStatus(
        stage="train",
        total=len(done.keys() | wanted),
        done=len(ready),
        running=running,
        failed=failed,
        waiting=len(undone) - running,
        bytes=size,
        per_hour=_rate([done[name].time for name in ready], now, running),
        seconds_left=max((left for left in lefts if left is not None), default=None) if None not in lefts else None,
    )


def _faults(run: Run, planned: PlanCounts, shards: Sequence[ShardCounts]) -> dict[str, int]:
    total = Counter(planned.reasons) + count_encoders_reasons(run)
    for shard in shards:
        if shard.faults:
            total.update(shard.reasons)
    return dict(total.most_common())


def _failed(run: Run, record: TaskRecord) -> FailedTask:
    last = record.attempts[-1]
    return FailedTask(
        stage=record.stage,
        index=record.task.index,
        count=record.task.count,
        failures=record.failures,
        given_up=record.failures >= MAX_FAILURES,
        code=last.code,
        host=last.host,
        log=last.log,
        tail=tuple(attempts.tail(run, last.log)),
    )
