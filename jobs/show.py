"""Status and submissions in words and tables, for the command line to print, and the JSON that programs read."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from postmill.jobs.arrays import MissingWork, ranges
from postmill.jobs.slurm import Job
from postmill.jobs.submit import Submitted
from postmill.shards.formats.faults import meaning
from postmill.shards.run.folder import Run
from postmill.shards.runtime.pace import duration, size
from postmill.shards.state.attempts import MAX_FAILURES, TaskRecord, tail
from postmill.shards.state.status import FailedTask, Status

_GAP = (0, 1, 0, 0)  # between columns: with it the table fits into 80


def as_json(status: Status, jobs: Sequence[Job] | None) -> dict[str, Any]:
    """Return ``status`` as the JSON object that `postmill status --json` prints, a contract with other programs.

    Args:
        status: How far the run is.
        jobs: The run's jobs in the queue; None where there is no scheduler to ask.
    """
    value = dataclasses.asdict(status)
    value["jobs"] = None if jobs is None else states(jobs)
    return value


def states(jobs: Sequence[Job]) -> dict[str, dict[str, int]]:
    """Count ``jobs`` by stage and state."""
    by_stage: dict[str, Counter[str]] = {}
    for job in jobs:
        by_stage.setdefault(job.mark.stage, Counter())[job.state] += 1
    return {stage: dict(counts) for stage, counts in by_stage.items()}


def status_view(name: str, status: Status, jobs: Sequence[Job] | None) -> RenderableType:
    """Return what `postmill status` shows: a table of stages, the faults, the jobs, and the tasks that failed."""
    table = Table(title=escape(name), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=_GAP)
    for heading in ("stage", "done", "running", "failed", "waiting", "bytes", "an hour", "left"):
        left = heading == "stage"
        table.add_column(heading, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    short = Counter(stage.stage.partition(".")[0] for stage in status.stages)
    for stage in status.stages:
        of = f"{stage.done:,}" if stage.total is None else f"{stage.done:,}/{stage.total:,}"
        encoder = stage.stage.partition(".")[0]
        table.add_row(
            encoder if short[encoder] == 1 else stage.stage,
            f"[green]{of}[/]" if stage.done == stage.total else of,
            f"{stage.running:,}",
            f"[red]{stage.failed:,}[/]" if stage.failed else "0",
            f"{stage.waiting:,}",
            size(stage.bytes),
            "-" if stage.per_hour is None else f"{stage.per_hour:,.0f}",
            "-" if stage.seconds_left is None else duration(stage.seconds_left),
        )
    waiting = f", {status.waiting:,} wait for other bytes" if status.waiting else ""
    timeless = f" ({status.without_time:,} have no time)" if status.without_time else ""
    left_out = f", {status.not_chosen:,} not chosen{timeless}" if status.not_chosen else ""
    mark = "; the data are invented" if status.invented else ""
    lines = [f"{status.posts:,} posts in shards, {status.lost:,} lost{waiting}{left_out}{mark}"]
    lines += [f"fault {reason} {count:,}: {meaning(reason)}" for reason, count in status.faults.items()]
    if jobs is None:
        lines.append("no scheduler was asked: this is what the run folder says")
    else:
        lines += [
            f"Slurm {stage}: " + ", ".join(f"{count} {state}" for state, count in counts.items())
            for stage, counts in states(jobs).items()
        ]
    return Group(table, *map(escape, lines), *map(_failed_view, status.failed))


def submission(work: MissingWork, submitted: Sequence[Submitted]) -> Iterator[str]:
    """Yield a line for each array that was submitted, and for what was not and why."""
    for job in submitted:
        array = job.script.array
        tasks = ranges(index + array.offset for index in array.indices) if array.indices else "one job"
        waits = f", waits for {job.dependency}" if job.dependency else ""
        yield f"{array.stage}: {tasks} of {array.count} tasks as job {job.job}{waits}"
    for stage, indices in work.queued.items():
        yield f"{stage}: {ranges(indices)} in the queue already"
    for stage, indices in work.given_up.items():
        yield f"{stage}: {ranges(indices)} failed {MAX_FAILURES} times, see below; to try again: --again"
    for stage in work.held_back:
        yield f"{stage}: not submitted, for it needs tasks that failed"


def given_up_view(run: Run, work: MissingWork, records: Sequence[TaskRecord]) -> Iterator[str]:
    """Yield the ends of the logs of the tasks that are not submitted again."""
    for record in records:
        if record.task.index in work.given_up.get(record.stage, ()) and record.failures >= MAX_FAILURES:
            last = record.attempts[-1]
            yield f"{record.stage} task {record.task.index}/{record.task.count}: {last.log or 'no log'}"
            yield from (f"  {line}" for line in tail(run, last.log))


def _failed_view(task: FailedTask) -> str:
    what = "was killed" if task.code is None else f"ended with exit code {task.code}"
    again = f"; it failed {task.failures} times and is given up" if task.given_up else f", failure {task.failures}"
    head = f"{task.stage} task {task.index}/{task.count} {what} on {task.host or 'this machine'}{again}: {task.log}"
    return "[red]" + escape(head) + "[/]" + "".join(f"\n  {escape(line)}" for line in task.tail)
