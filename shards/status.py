"""How far a run is, from its folder alone: nothing is asked of a scheduler, and no picture or table is opened."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shards import attempts, manifests, models, pieces, plan
from shards.attempts import MAX_FAILURES, TaskRecord
from shards.collector import uncollected
from shards.manifests import Manifest
from shards.pieces import INGEST, Listing, Piece
from shards.run import Run
from shards.tasks import share

RATE_WINDOW_S = 3600.0  # a rate is of the pieces done in the last hour


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is.

    Attributes:
        stage: ``plan``, ``metadata``, ``windows``, ``spanning``, ``encode FOLDER``, ``train`` or ``report``.
        total: Its pieces; None for ``train``, where only the command knows how many models are wanted.
        done: Pieces that are done.
        running: Pieces in hand: a process holds a file of theirs, or a task that has no other in hand.
        failed: Pieces that are not done, of tasks whose last attempt failed or was killed.
        waiting: All others.
        bytes: Of the files of what is done.
        per_hour: Pieces an hour, of those done in the last hour; None where fewer than two were.
        seconds_left: For what is not done, at that rate; None where nothing is in hand or there is no rate.
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
        faults: Faults by reason, the most frequent first, so far.
        failed: Tasks whose last attempt failed or was killed, and that are not running.
    """

    stages: tuple[StageStatus, ...]
    posts: int
    lost: int
    faults: Mapping[str, int]
    failed: tuple[FailedTask, ...]


def read(run: Run, now: float | None = None) -> Status:
    """Return how far ``run`` is.

    Args:
        run: The run.
        now: The time, in seconds since 1970; None: the clock's.
    """
    with uncollected():
        return _read(run, time.time() if now is None else now)


def _read(run: Run, now: float) -> Status:
    planned = manifests.done(run.plan, plan.NAME, run.fingerprint)
    if planned is None:
        held = pieces.listing(run.plan, run.fingerprint).held
        return Status((_single("plan", False, bool(held), 0),), 0, 0, {}, ())
    records = attempts.read(run)
    shards = pieces.listing(run.posts, run.fingerprint)
    ingest = pieces.ingest_pieces(run, pieces.listing(run.spool, run.fingerprint, parse=False), shards)
    stages = [_single("plan", True, False, sum(file.bytes for file in planned.files.values()))]
    stages += [_stage(name, ingest[name], _of(records, name), now) for name in INGEST]
    for encoder, found in pieces.encoder_pieces(run, planned.counts["shards"], parse=False):
        ours = [record for record in records if attempts.encodes(record.stage, encoder.encoder)]
        stages.append(_stage(f"encode {encoder.folder}", found, ours, now))
    stages.append(_train(run, _of(records, "train")))
    reports = pieces.listing(run.report, run.fingerprint)
    size = sum(made.bytes for made in reports.made.values())
    stages.append(_single("report", bool(reports.made), bool(reports.held), size))
    return Status(
        stages=tuple(stages),
        posts=sum(made.counts.get("posts", 0) for made in shards.made.values()),
        lost=planned.counts["lost"] + sum(made.counts.get("lost", 0) for made in shards.made.values()),
        faults=_faults(planned, shards),
        failed=tuple(_failed(record) for record in records if record.failed),
    )


def _single(stage: str, done: bool, held: bool, size: int) -> StageStatus:
    running = held and not done
    return StageStatus(stage, 1, int(done), int(running), 0, int(not done and not running), size, None, None)


def _of(records: Iterable[TaskRecord], stage: str) -> list[TaskRecord]:
    return [record for record in records if record.stage == stage]


def _stage(name: str, found: Sequence[Piece], records: Sequence[TaskRecord], now: float) -> StageStatus:
    missing: set[int] = set()
    running: set[int] = set()
    size, times = 0, []
    for piece in found:
        latest = 0.0
        for unit in piece.units:
            if unit is None:
                missing.add(piece.number)
            else:
                size += unit.bytes
                latest = max(latest, unit.time)
        if piece.number not in missing:
            times.append(latest)
        elif piece.held:
            running.add(piece.number)
    failed: set[int] = set()
    for record in records:
        if not (record.running or record.failed):
            continue
        theirs = [piece.number for piece in share(found, record.task) if not piece.done]
        if record.failed:
            failed.update(theirs)
        elif theirs and not running.intersection(theirs):
            running.add(theirs[0])
    failed -= running
    per_hour = _rate(times, now)
    return StageStatus(
        stage=name,
        total=len(found),
        done=len(found) - len(missing),
        running=len(running),
        failed=len(failed),
        waiting=len(missing) - len(running) - len(failed),
        bytes=size,
        per_hour=per_hour,
        seconds_left=len(missing) / per_hour * 3600 if per_hour and running else None,
    )


def _rate(times: Sequence[float], now: float) -> float | None:
    recent = [at for at in times if now - RATE_WINDOW_S < at <= now]
    if len(recent) < 2 or now <= min(recent):
        return None
    return (len(recent) - 1) / (now - min(recent)) * 3600


def _train(run: Run, records: Sequence[TaskRecord]) -> StageStatus:
    done = size = 0
    if run.models.is_dir():
        with os.scandir(run.models) as folders:
            for folder in folders:
                made = pieces.listing(run.models / folder.name, run.fingerprint).made.get(models.MANIFEST)
                done += made is not None
                size += 0 if made is None else made.bytes
    running = sum(record.running for record in records)
    failed = sum(record.failed for record in records)
    return StageStatus("train", None, done, running, failed, 0, size, None, None)


def _faults(planned: Manifest, shards: Listing) -> dict[str, int]:
    total: Counter[str] = Counter(planned.info["faults"])
    for made in shards.made.values():
        if made.counts.get("faults", 0):
            total.update(made.info["faults"])
    return dict(total.most_common())


def _failed(record: TaskRecord) -> FailedTask:
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
        tail=tuple(attempts.tail(last.log)),
    )
