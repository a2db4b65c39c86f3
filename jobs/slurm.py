"""Slurm's own commands, called with lists of arguments: sbatch, squeue, scontrol."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postmill.shards.runtime.errors import PostmillError

MAX_ARRAY_SIZE = 1001  # Slurm's default, where it cannot be asked
_TIMEOUT_S = 60
_COMMENT = re.compile(r"postmill:(?P<run>[0-9a-f]+):(?P<stage>[a-z.-]+):(?P<offset>-?\d+):(?P<count>\d+)")


@dataclass(frozen=True)
class JobMark:
    """What a job says of itself in its comment: the run, the stage, and which of how many tasks it is."""

    run: str
    stage: str
    offset: int
    count: int

    def __str__(self) -> str:
        return f"postmill:{self.run}:{self.stage}:{self.offset}:{self.count}"


@dataclass(frozen=True)
class Job:
    """A job in the queue, one for each array task.

    Attributes:
        job: Id of the array, or of a job that is none.
        array: Its index in the array; None for a job that is none.
        state: Such as ``PENDING`` or ``RUNNING``.
        reason: Why it waits, as Slurm says it.
        mark: Its stage, and the offset and count of its tasks.
    """

    job: str
    array: int | None
    state: str
    reason: str
    mark: JobMark

    @property
    def index(self) -> int:
        """Which task of its stage it is."""
        return self.mark.offset + (self.array or 0)


def max_array_size() -> int:
    """Return MaxArraySize: indices of an array are below it.

    Raises:
        PostmillError: Slurm cannot be asked.
    """
    line = re.search(r"^MaxArraySize\s*=\s*(\d+)", _call(["scontrol", "show", "config"]), re.MULTILINE)
    return int(line[1]) if line else MAX_ARRAY_SIZE


def submit(script: Path, options: Sequence[str]) -> str:
    """Submit ``script`` and return the job's id.

    Raises:
        PostmillError: Slurm refuses it.
    """
    answer = _call(["sbatch", "--parsable", *options, str(script)])
    return answer.strip().partition(";")[0]


def queued(run: str, timeout: float = _TIMEOUT_S) -> list[Job]:
    """Return the jobs of ``run`` (as in :class:`JobMark`) that are in the queue, waiting or running.

    Raises:
        PostmillError: Slurm cannot be asked.
    """
    listing = _call(["squeue", "--me", "--noheader", "--array", "--format=%F|%K|%T|%r|%k"], timeout)
    jobs = []
    for line in listing.splitlines():
        job, array, state, reason, comment = (*line.strip().split("|", 4), *[""] * 4)[:5]
        fields = _COMMENT.fullmatch(comment.strip())
        if fields is not None and fields["run"] == run:
            mark = JobMark(fields["run"], fields["stage"], int(fields["offset"]), int(fields["count"]))
            jobs.append(Job(job, int(array) if array.isdigit() else None, state, reason, mark))
    return jobs


def _call(command: Sequence[str], timeout: float = _TIMEOUT_S) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError as error:
        raise PostmillError(
            "is not installed here",
            place=command[0],
            hint="submit from a machine of the cluster; --dry-run prints the scripts without Slurm",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PostmillError(
            f"did not answer in {timeout:g} s", place=command[0], hint="try again when Slurm's controller is up: sinfo"
        ) from error
    if done.returncode:
        raise PostmillError(
            " ".join(done.stderr.split()) or f"exit code {done.returncode}",
            place=command[0],
            hint="Slurm says why; options for your cluster are --partition, --account, --time, --mem, --sbatch",
        )
    return done.stdout
