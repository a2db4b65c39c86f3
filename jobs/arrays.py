"""From what is missing in a run to arrays of tasks and what each waits for. Decides only: nothing is submitted here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from postmill.encode.options import model_name, model_of
from postmill.jobs.settings import Settings, tasks_of
from postmill.jobs.slurm import Job
from postmill.shards.formats import models, plan
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.encoders import Encoder
from postmill.shards.run.folder import Run
from postmill.shards.state import attempts, pieces
from postmill.shards.state.attempts import MAX_FAILURES, encode_stage
from postmill.shards.state.pieces import PieceState
from postmill.shards.state.tasks import Task, share
from postmill.train.options import TargetName

TRAIN = "train"
_MAKERS = (Stage.WINDOWS.value, Stage.SPANNING.value)  # the stages that make post shards
AFTER_EACH, AFTER_ALL = "aftercorr", "afterok"  # task by task, or all tasks, of what it waits for
_MAX_GROUPS = 4  # arrays that a stage is split into for the sake of waiting task by task


@dataclass(frozen=True)
class Array:
    """Tasks of one stage that are submitted together.

    Attributes:
        stage: ``metadata``, ``windows``, ``spanning``, ``encode.`` with the encoders, or ``train``.
        count: How many tasks the stage is cut into.
        offset: What is added to an index of the array to get the task's number.
        indices: Of the array; empty for ``train``, which is a job alone.
        pieces: The most pieces that one of the tasks has to do.
        wait: AFTER_EACH or AFTER_ALL.
        after: What it waits for: numbers of arrays submitted before it, or ids of jobs in the queue.
    """

    stage: str
    count: int
    offset: int
    indices: tuple[int, ...]
    pieces: int
    wait: str = AFTER_ALL
    after: tuple[int | str, ...] = ()


@dataclass(frozen=True)
class MissingWork:
    """What there is to do.

    Attributes:
        arrays: To be submitted, in this order.
        queued: Tasks that are missing and in the queue already, by stage.
        given_up: Tasks that failed MAX_FAILURES times, by stage.
        held_back: Stages that would need a task that is given up.
    """

    arrays: tuple[Array, ...]
    queued: Mapping[str, tuple[int, ...]]
    given_up: Mapping[str, tuple[int, ...]]
    held_back: tuple[str, ...]


def ranges(numbers: Iterable[int]) -> str:
    """Write ascending ``numbers`` as Slurm does: ``3,7-9``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def missing_work(run: Run, settings: Settings, queue: Sequence[Job], size: int, again: bool = False) -> MissingWork:
    """Return what is missing in ``run`` and not in the queue, as arrays.

    Args:
        run: A planned run.
        settings: How to cut it.
        queue: The run's jobs that wait or run.
        size: MaxArraySize: indices of an array are below it.
        again: Take the tasks that failed MAX_FAILURES times too.

    Raises:
        UsageError: There is no plan.
    """
    shards = plan.counts(run).shards
    made = pieces.list_units(run.posts, run.fingerprint)
    ingest = pieces.ingest_pieces(run, pieces.list_units(run.spool, run.fingerprint), made)
    cutter = _Cutter(settings, queue, size, _given_up(run, again))
    stages = tuple(Stage)
    for number, stage in enumerate(stages):
        cutter.after_all(stage.value, ingest[stage], [earlier.value for earlier in stages[:number]])
    makers = {piece.shard: (stage, piece.number) for stage in _MAKERS for piece in pieces.missing(ingest[Stage(stage)])}
    encoded = pieces.encoder_pieces(run, shards, made)
    for group in groups(settings):
        states = [
            state
            for name in group
            for state in [states for encoder, states in encoded if _is(encoder, name, settings)] or [_none(shards)]
        ]
        together = [
            PieceState(n, tuple(unit for state in states for unit in state[n].units), in_hand=False, shard=n)
            for n in range(shards)
        ]
        cutter.after_makers(encode_stage(group), together, makers)
    reported = bool(pieces.list_units(run.report, run.fingerprint).done)
    target = None if settings.target == TargetName.LIKES_AND_COMMENTS else settings.target
    cutter.train(done=reported and models.is_trained(run, settings.study, target))
    return MissingWork(tuple(cutter.arrays), cutter.queued, cutter.given_up, tuple(cutter.held_back))


def groups(settings: Settings) -> list[tuple[str, ...]]:
    """Return the encoders that share an array: those without a GPU, and those with one."""
    gpu = tuple(name for name in settings.encoders if name in settings.gpu_encoders)
    cpu = tuple(name for name in settings.encoders if name not in settings.gpu_encoders)
    return [group for group in (cpu, gpu) if group]


class _Cutter:
    """Cuts stage after stage into arrays, and keeps where each missing piece will be made."""

    def __init__(self, settings: Settings, queue: Sequence[Job], size: int, given_up: Collection[tuple[str, Task]]):
        self.settings, self.queue, self.size, self.failed = settings, queue, size, given_up
        self.arrays: list[Array] = []
        self.queued: dict[str, tuple[int, ...]] = {}
        self.given_up: dict[str, tuple[int, ...]] = {}
        self.held_back: list[str] = []
        self.makers: dict[tuple[str, int], tuple[int, int] | str] = {}  # array and index, or a job in the queue

    def after_all(self, stage: str, states: Sequence[PieceState], earlier: Collection[str]) -> None:
        """Cut a stage that needs all of ``earlier``."""
        count, todo = self._todo(stage, states)
        if todo and any(name in self.given_up or name in self.held_back for name in earlier):
            self.held_back.append(stage)
            return
        self._chunks(stage, count, todo, self._all_of(earlier))

    def after_makers(
        self, stage: str, states: Sequence[PieceState], makers: Mapping[int | None, tuple[str, int]]
    ) -> None:
        """Cut a stage of which each piece needs one post shard: wait for its maker alone where that is exact."""
        count, todo = self._todo(stage, states)
        ready: dict[int, list[PieceState]] = {}
        rest: dict[int, list[PieceState]] = {}
        exact: dict[tuple[int, int], dict[int, list[PieceState]]] = defaultdict(dict)
        for index, missing in todo.items():
            needed = [makers[piece.shard] for piece in missing if piece.shard in makers]
            known = {self.makers[piece] for piece in needed if piece in self.makers}
            maker = next(iter(known)) if len(known) == 1 else None
            if needed and not known and len(needed) == len(missing):
                if stage not in self.held_back:
                    self.held_back.append(stage)
            elif not known:
                ready[index] = missing
            elif isinstance(maker, tuple):
                array, array_index = maker
                exact[array, index - array_index][index] = missing
            else:
                rest[index] = missing
        if len(exact) > _MAX_GROUPS:
            for waiting in exact.values():
                rest.update(waiting)
            exact.clear()
        self._chunks(stage, count, ready, ())
        for (array, offset), waiting in exact.items():
            self._add(stage, count, offset, waiting, AFTER_EACH, (array,))
        self._chunks(stage, count, dict(sorted(rest.items())), self._all_of(_MAKERS))

    def train(self, done: bool) -> None:
        """Add the job that trains and reports, if anything before it is new or it was not done."""
        encoding = {array.stage for array in self.arrays} | {job.mark.stage for job in self.queue}
        encoding = {stage for stage in encoding if stage.startswith("encode")}
        if done and not self.arrays and not self.queue:
            return
        if any(job.mark.stage == TRAIN for job in self.queue):
            self.queued[TRAIN] = (0,)
        elif (TRAIN, Task(0, 1)) in self.failed:
            self.given_up[TRAIN] = (0,)
        elif self.given_up or self.held_back:
            self.held_back.append(TRAIN)
        else:
            self.arrays.append(Array(TRAIN, 1, 0, (), 1, AFTER_ALL, self._all_of(encoding)))

    def _todo(self, stage: str, states: Sequence[PieceState]) -> tuple[int, dict[int, list[PieceState]]]:
        """Return the number of tasks, and the missing pieces of those that are neither queued nor given up."""
        count = tasks_of(self.settings, stage, len(states))
        ours = [job for job in self.queue if job.mark.stage == stage]
        queued = {
            piece.number: job.job
            for job in ours
            for piece in share(states, Task(job.index, job.mark.count))
            if not piece.done
        }
        self.makers.update({(stage, number): job for number, job in queued.items()})
        todo = {}
        waiting, failed = [], []
        for index in range(count):
            missing = pieces.missing(share(states, Task(index, count)))
            if not missing:
                continue
            if all(piece.number in queued for piece in missing):
                waiting.append(index)
            elif (stage, Task(index, count)) in self.failed:
                failed.append(index)
            else:
                todo[index] = missing
        if waiting:
            self.queued[stage] = tuple(waiting)
        if failed:
            self.given_up[stage] = tuple(failed)
        return count, todo

    def _all_of(self, stages: Collection[str]) -> tuple[int | str, ...]:
        new = [number for number, array in enumerate(self.arrays) if array.stage in stages]
        return (*new, *dict.fromkeys(job.job for job in self.queue if job.mark.stage in stages))

    def _chunks(
        self, stage: str, count: int, todo: Mapping[int, list[PieceState]], after: tuple[int | str, ...]
    ) -> None:
        for start in sorted({index - index % self.size for index in todo}):
            part = {index: missing for index, missing in todo.items() if start <= index < start + self.size}
            self._add(stage, count, start, part, AFTER_ALL, after)

    def _add(
        self,
        stage: str,
        count: int,
        offset: int,
        todo: Mapping[int, list[PieceState]],
        wait: str,
        after: tuple[int | str, ...],
    ) -> None:
        for index, missing in todo.items():
            self.makers.update({(stage, piece.number): (len(self.arrays), index - offset) for piece in missing})
        indices = tuple(index - offset for index in todo)
        self.arrays.append(Array(stage, count, offset, indices, max(map(len, todo.values())), wait, after))


def _given_up(run: Run, again: bool) -> set[tuple[str, Task]]:
    if again:
        return set()
    return {
        (record.stage, record.task)
        for record in attempts.read(run)
        if record.failures >= MAX_FAILURES and not record.running
    }


def _none(shards: int) -> list[PieceState]:
    return [PieceState(n, (None,), in_hand=False, shard=n) for n in range(shards)]


def _is(encoder: Encoder, name: str, settings: Settings) -> bool:
    """Say whether ``encoder``, found on disk, is what ``settings`` mean by ``name``."""
    if encoder.encoder != name:
        return False
    override = settings.model_overrides.get(model_of(name))
    if override is not None:
        return PurePosixPath(encoder.model).name == PurePosixPath(model_name(name, override)).name
    return encoder.models in (settings.models, "every")
