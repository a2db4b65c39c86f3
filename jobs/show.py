"""Status and submissions in words and tables, for the command line to print, and the JSON that programs read."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from postmill.jobs.arrays import MissingWork, ranges
from postmill.jobs.slurm import Job
from postmill.jobs.submit import Submitted
from postmill.shards.formats.faults import meaning
from postmill.shards.run.folder import Run
from postmill.shards.runtime.pace import duration, size
from postmill.shards.state.attempts import MAX_FAILURES, TaskRecord, tail
from postmill.shards.state.status import FailedTask, StageStatus, Status

_LEAST_FIRST = ("bytes", "an hour", "waiting", "running", "failed", "left")  # columns, where not all fit
_BETWEEN = "  "  # of columns
_NO_SCHEDULER = "no scheduler answers here: this is what the run folder says"


def as_json(status: Status, jobs: Sequence[Job] | None) -> dict[str, Any]:
    """Return ``status`` as the JSON object that `postmill status --json` prints, a contract with other programs.

    Args:
        status: How far the run is.
        jobs: The run's jobs in the queue; None where there is no scheduler to ask.
    """
    value = dataclasses.asdict(status)
    value["jobs"] = None if jobs is None else states(jobs)
    return value


def state_of(status: Status, jobs: Sequence[Job] | None) -> object:
    """Return what of ``status`` is another when something has happened: all but sizes, rates and times."""
    stages = [(stage.stage, stage.total, stage.done, stage.running, stage.failed) for stage in status.stages]
    return stages, dict(status.faults), status.failed, None if jobs is None else states(jobs)


def states(jobs: Sequence[Job]) -> dict[str, dict[str, int]]:
    """Count ``jobs`` by stage and state."""
    by_stage: dict[str, Counter[str]] = {}
    for job in jobs:
        by_stage.setdefault(job.mark.stage, Counter())[job.state] += 1
    return {stage: dict(counts) for stage, counts in by_stage.items()}


def status_view(
    name: str, status: Status, jobs: Sequence[Job] | None, width: int | None = None, height: int | None = None
) -> RenderableType:
    """Return what `postmill status` shows: a table of stages, the faults, the jobs, and the tasks that failed.

    Args:
        name: Of the run.
        status: How far it is.
        jobs: Its jobs in the queue; None where no scheduler answers.
        width: Columns that there are: what matters least in the table is left out, and no stage's name is cut; None for
            as many as it takes.
        height: Lines that there are: faults and jobs have a line each then, and what is still too much is left out;
            None for as many as it takes.
    """
    summary = _summary(status)
    if height is None:
        lines = [summary, *(f"fault {reason} {count:,}: {meaning(reason)}" for reason, count in status.faults.items())]
        lines += [f"Slurm {stage}: {_counted(counts)}" for stage, counts in states(jobs or ()).items()]
        failed = [_failed_view(task) for task in status.failed]
    else:
        lines = [summary] + [", ".join(f"{reason} {n:,}" for reason, n in status.faults.items())] * bool(status.faults)
        queued = "; ".join(f"{stage} {_counted(counts)}" for stage, counts in states(jobs or ()).items())
        lines += [f"Slurm: {queued}"] * bool(queued)
        lines += [_failed_head(task) for task in status.failed]
        failed = []
    if jobs is None:
        lines.append(_NO_SCHEDULER)
    table = _stages(name, status, width)
    if height is None:
        return Group(*table, *map(escape, lines), *failed)
    table[0].truncate(width or len(name), overflow="ellipsis")
    room = max(height - len(table), 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"and {len(lines) - room + 1} lines more: postmill status"]
    return Group(*table, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def _stages(name: str, status: Status, width: int | None) -> list[Text]:
    """Return the table of stages with the columns that fit into ``width``; stage and what is done always stand."""
    cells = [{heading: Text.from_markup(cell) for heading, cell in _cells(stage, status)} for stage in status.stages]
    needs = {heading: max(len(heading), *(len(row[heading]) for row in cells)) for heading in cells[0]}
    for heading in _LEAST_FIRST:
        if width is not None and sum(needs.values()) + len(_BETWEEN) * (len(needs) - 1) > width:
            del needs[heading]
    rows = [{heading: Text(heading, style="bold") for heading in needs}, *cells]
    for row in rows:
        for heading, need in needs.items():
            row[heading].align("left" if heading == "stage" else "right", need)
    lines = [Text(_BETWEEN).join(row[heading] for heading in needs) for row in rows]
    return [Text(name, style="italic"), lines[0], Text("-" * len(lines[0])), *lines[1:]]


def _cells(stage: StageStatus, status: Status) -> Iterator[tuple[str, str]]:
    """Yield the headings and cells of a stage."""
    encoder = stage.stage.partition(".")[0]
    alone = sum(other.stage.partition(".")[0] == encoder for other in status.stages) == 1
    of = f"{stage.done:,}" if stage.total is None else f"{stage.done:,}/{stage.total:,}"
    yield "stage", escape(encoder if alone else stage.stage)
    yield "done", f"[green]{of}[/]" if stage.done == stage.total else of
    yield "running", f"{stage.running:,}"
    yield "failed", f"[red]{stage.failed:,}[/]" if stage.failed else "0"
    yield "waiting", f"{stage.waiting:,}"
    yield "bytes", size(stage.bytes)
    yield "an hour", "-" if stage.per_hour is None else f"{stage.per_hour:,.0f}"
    yield "left", "-" if stage.seconds_left is None else duration(stage.seconds_left)


def _summary(status: Status) -> str:
    waiting = f", {status.waiting:,} wait for other bytes" if status.waiting else ""
    timeless = f" ({status.without_time:,} have no time)" if status.without_time else ""
    left_out = f", {status.not_chosen:,} not chosen{timeless}" if status.not_chosen else ""
    mark = "; the data are invented" if status.invented else ""
    return f"{status.posts:,} posts in shards, {status.lost:,} lost{waiting}{left_out}{mark}"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())


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


def _failed_head(task: FailedTask) -> str:
    what = "was killed" if task.code is None else f"ended with exit code {task.code}"
    again = f"; it failed {task.failures} times and is given up" if task.given_up else f", failure {task.failures}"
    return f"{task.stage} task {task.index}/{task.count} {what} on {task.host or 'this machine'}{again}: {task.log}"


def _failed_view(task: FailedTask) -> str:
    return "[red]" + escape(_failed_head(task)) + "[/]" + "".join(f"\n  {escape(line)}" for line in task.tail)
