"""Which share of a stage this process does: ``--task K/N``, or what an array scheduler says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shards.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """Share ``index`` (from 0) of ``count``."""

    index: int
    count: int


WHOLE = Task(0, 1)


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
    """Return the share that a SLURM array task is to do, or everything outside an array.

    Raises:
        UsageError: The scheduler's variables make no sense.
    """
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return WHOLE
    try:
        index = int(environment["SLURM_ARRAY_TASK_ID"])
        first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
        last = int(environment["SLURM_ARRAY_TASK_MAX"])
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"the array variables cannot be read ({error})", place="SLURM_ARRAY_TASK_*", hint="give --task K/N"
        ) from error
    return Task((index - first) // step, (last - first) // step + 1)


def share(items: Sequence[T], task: Task) -> Sequence[T]:
    """Return ``task``'s share of ``items``: contiguous, and an exact partition over all tasks."""
    return items[len(items) * task.index // task.count : len(items) * (task.index + 1) // task.count]
