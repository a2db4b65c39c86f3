"""Which share of a stage this process does: ``--task K/N``, or what a scheduler says of its array and its step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.ranks import rank

T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """Share ``index`` (from 0) of ``count``."""

    index: int
    count: int


@dataclass(frozen=True)
class Scheduler:
    """How a scheduler tells an array task who it is; each field but the name is a variable of the environment.

    Attributes:
        name: What people call it.
        index: The task's own index.
        first: The smallest index; a number where it is always that.
        last: The largest index; None where the scheduler does not say.
        step: The distance between indices; None where it is always 1.
        size: The number of tasks; None where it follows from the others, or is not said.
    """

    name: str
    index: str
    first: str | int = 0
    last: str | None = None
    step: str | None = None
    size: str | None = None


WHOLE = Task(0, 1)
# An index without `last` and `size` says nothing of the count: the user must give --task. Kubernetes does not say it
# either, but its pods' variables are the user's to set, beside the `completions` of the same file.
SCHEDULERS = (
    Scheduler(
        "SLURM",
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_STEP",
        "SLURM_ARRAY_TASK_COUNT",
    ),
    Scheduler("LSF", "LSB_JOBINDEX", 1, "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP"),
    Scheduler("Grid Engine", "SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"),
    Scheduler("AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", size="AWS_BATCH_JOB_ARRAY_SIZE"),
    Scheduler("Kubernetes", "JOB_COMPLETION_INDEX", size="JOB_COMPLETIONS"),
    Scheduler("PBS", "PBS_ARRAY_INDEX"),
    Scheduler("Torque", "PBS_ARRAYID"),
)
_NO_ARRAY = {"LSB_JOBINDEX": "0", "SGE_TASK_ID": "undefined"}  # what these two are outside an array


def parse_task(text: str) -> Task:
    """Read ``K/N``, K from 0 to N - 1.

    Raises:
        UsageError: ``text`` is not of that form.
    """
    index, slash, count = text.partition("/")
    if slash and index.isascii() and index.isdigit() and count.isascii() and count.isdigit():
        task = Task(int(index), int(count))
        if task.index < task.count:
            return task
    raise UsageError(f"{text!r} is not a share of the work", place="--task", hint="write K/N with K from 0 to N-1: 0/8")


def from_environment(environment: Mapping[str, str] = os.environ) -> Task:
    """Return the share that the array task of a scheduler is to do, or everything outside an array.

    Of several processes that one `srun` started, each does its part of that.

    Raises:
        UsageError: The scheduler's variables make no sense, do not say how many tasks there are, or are those of an
            array with gaps, of which the shares would leave out pieces.
    """
    task = _of_array(environment)
    among = rank(environment)
    return task if among is None else Task(task.index * among.count + among.index, task.count * among.count)


def share(items: Sequence[T], task: Task) -> Sequence[T]:
    """Return ``task``'s share of ``items``: contiguous, and an exact partition over all tasks."""
    return items[len(items) * task.index // task.count : len(items) * (task.index + 1) // task.count]


def _of_array(environment: Mapping[str, str]) -> Task:
    for scheduler in SCHEDULERS:
        index = environment.get(scheduler.index)
        if index is not None and index != _NO_ARRAY.get(scheduler.index):
            return _task(scheduler, environment)
    return WHOLE


def _task(scheduler: Scheduler, environment: Mapping[str, str]) -> Task:
    def number(variable: str | int | None, default: int) -> int:
        return variable if isinstance(variable, int) else int(environment.get(variable or "", default))

    try:
        index, first = int(environment[scheduler.index]), number(scheduler.first, 0)
        step = number(scheduler.step, 1)
        if scheduler.last is not None:
            count = (int(environment[scheduler.last]) - first) // step + 1
        elif scheduler.size is not None and scheduler.size in environment:
            count = int(environment[scheduler.size])
        else:
            raise UsageError(
                f"{scheduler.name} does not say how many tasks the array has",
                place=scheduler.index,
                hint=f'give it with the array\'s number of tasks for N: --task "${scheduler.index}/N" where the first '
                f'index is 0, --task "$(({scheduler.index} - 1))/N" where it is 1'
                + (f", or set {scheduler.size}" if scheduler.size else ""),
            )
        size = number(scheduler.size, count)
        share_index, rest = divmod(index - first, step)
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise UsageError(
            f"the array variables of {scheduler.name} cannot be read ({error})",
            place=scheduler.index,
            hint="give --task K/N",
        ) from error
    if size != count:
        raise UsageError(
            f"an array of {size} tasks with indices from {first} on and a last one that makes {count} has gaps",
            place=scheduler.index,
            hint=f'say which shares these are: --task "${scheduler.index}/N"',
        )
    if rest or not 0 <= share_index < count:
        raise UsageError(
            f"the index {index} is not one of {count} from {first} on in steps of {step}",
            place=scheduler.index,
            hint="give --task K/N",
        )
    return Task(share_index, count)
