"""What became of each task: ``logs/tasks/STAGE-K-of-N.jsonl``, a line when it begins and one when it ends.

Logs are the one thing in a run that is appended to, by any number of processes at once: a line is one ``write`` of a
file opened for appending, and begins with a newline of its own, so that one torn by a kill spoils no other. Whoever
works on a task holds a shared lock on its file: an attempt that did not end and whose file nobody holds was killed.
Of an attempt on this machine its process tells that more surely; where there are no locks, one on another that did not
end is taken to run.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmill.shards.run import regular
from postmill.shards.run.folder import Run
from postmill.shards.runtime import locks
from postmill.shards.runtime.errors import EXIT_DONE, EXIT_FAILED, EXIT_FAULTS, EXIT_INTERRUPTED, PostmillError
from postmill.shards.runtime.processes import Process, this_process
from postmill.shards.runtime.progress import log
from postmill.shards.state.tasks import Task

MAX_FAILURES = 3  # a task that failed so often is not submitted again unless the user says so
_NAME = re.compile(r"(?P<stage>[a-z.-]+)-(?P<index>\d+)-of-(?P<count>\d+)\.jsonl")
_TAIL_BYTES = 16 << 10


@dataclass(frozen=True)
class Attempt:
    """One start of a task.

    Attributes:
        started: Seconds since 1970 UTC.
        ended: Likewise; None where it did not end, or was killed.
        code: The exit code; None where ``ended`` is.
        host: Where it ran.
        job: The scheduler's name for the job; empty outside a scheduler.
        restarts: How often the scheduler had started this job before.
        log: The file its messages went to; empty where that was none.
    """

    started: float
    ended: float | None
    code: int | None
    host: str
    job: str
    restarts: int
    log: str


@dataclass(frozen=True)
class TaskRecord:
    """A task and its attempts in the order in which they began; ``running`` if a process holds its file."""

    stage: str
    task: Task
    attempts: tuple[Attempt, ...]
    running: bool

    @property
    def failures(self) -> int:
        """How many attempts failed or were killed since the last that did neither.

        An interrupted attempt is no failure; nor is one that the scheduler itself cut short and started again, as it
        does when a node is lost.
        """
        failed = 0
        last = len(self.attempts) - 1
        for index, attempt in enumerate(self.attempts):
            following = None if index == last else self.attempts[index + 1]
            if attempt.code in (EXIT_DONE, EXIT_FAULTS):
                failed = 0
            elif attempt.code is None:
                restarted = following is not None and following.job == attempt.job != ""
                failed += not (restarted or (self.running and index == last))
            else:
                failed += attempt.code != EXIT_INTERRUPTED
        return failed

    @property
    def failed(self) -> bool:
        """Whether it is not running and its last attempt failed or was killed."""
        return not self.running and bool(self.attempts) and self.attempts[-1].code not in (0, 3, EXIT_INTERRUPTED)


@contextmanager
def recorded(run: Run, stage: str, task: Task, facts: Mapping[str, Any]) -> Iterator[None]:
    """Write down that ``task`` of ``stage`` began and, however the block ends, how it ended.

    Args:
        run: The run.
        stage: Its name, of small letters, hyphens and dots.
        task: The share.
        facts: Further fields of the line, among them ``host``, ``job``, ``restarts`` and ``log``.

    Raises:
        PostmillError: The file cannot be written.
    """
    path = folder(run) / f"{stage}-{task.index}-of-{task.count}.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        locks.hold(fd, path, shared=True)
        attempt = secrets.token_hex(8)
        process = this_process()._asdict()
        try:
            _append(fd, {"event": "start", "attempt": attempt, "time": time.time(), "process": process, **facts})
        except OSError as error:
            raise _unwritable(path, error) from error
        code = EXIT_FAILED
        try:
            yield
            code = EXIT_DONE
        except BaseException as error:
            code = getattr(error, "exit_code", EXIT_FAILED)
            raise
        finally:
            try:
                _append(fd, {"event": "end", "attempt": attempt, "time": time.time(), "code": code})
            except OSError as error:  # the work has ended as it has
                log.info("%s cannot be written (%s): this attempt will look as if it was killed", path, error.strerror)
    finally:
        os.close(fd)


def encode_stage(encoders: Sequence[str] = ()) -> str:
    """Return the name of the stage for a task of ``encoders``; none: of all."""
    return ".".join(["encode", *encoders])


def encodes(stage: str, encoder: str) -> bool:
    """Say whether tasks of ``stage`` run ``encoder``."""
    name, *encoders = stage.split(".")
    return name == "encode" and (not encoders or encoder in encoders)


def folder(run: Run) -> Path:
    """Return the folder of the records."""
    return run.logs / "tasks"


def read(run: Run) -> list[TaskRecord]:
    """Return the records of all tasks, by stage, count and index.

    Raises:
        PostmillError: They are there, and cannot be read.
    """
    named = [(path, _NAME.fullmatch(path.name)) for path in regular.listed(folder(run))]
    tasks = [(path, name["stage"], int(name["index"]), int(name["count"])) for path, name in named if name is not None]
    records = [_read(path, stage, Task(index, count)) for path, stage, index, count in tasks if index < count]
    return sorted(records, key=lambda record: (record.stage, record.task.count, record.task.index))


def tail(run: Run, log: str, lines: int = 10) -> list[str]:
    """Return the last ``lines`` lines of a log, none where it cannot be read or is no file below the run's logs.

    What a record calls its log is the word of whoever wrote the record, which may be any file of this machine.
    """
    try:
        path = Path(log).resolve(strict=True)
        if not path.is_relative_to(run.logs.resolve()):
            return []
        with regular.opened(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.readall().decode("utf-8", "replace")
    except (OSError, ValueError, RuntimeError, PostmillError):
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


def _append(fd: int, line: Mapping[str, Any]) -> None:
    data = f"\n{json.dumps(line, sort_keys=True)}\n".encode()
    if os.write(fd, data) < len(data):  # torn, as by a kill: the disk has just become full
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _unwritable(path: Path, error: OSError) -> PostmillError:
    return PostmillError(
        f"cannot be written ({error.strerror})", place=path, hint="check its owner, its mode and the space"
    )


def _read(path: Path, stage: str, task: Task) -> TaskRecord:
    content, running = _read_locked(path)
    starts: dict[str, dict[str, Any]] = {}
    ends: dict[str, dict[str, Any]] = {}
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue  # empty, or torn by a kill
        if isinstance(line, dict) and isinstance(line.get("attempt"), str) and isinstance(line.get("time"), float):
            (starts if line.get("event") == "start" else ends)[line["attempt"]] = line
    attempts = tuple(_attempt(start, ends.get(key)) for key, start in starts.items())
    unended = bool(attempts) and attempts[-1].ended is None
    if running is not True and unended:
        process = _process(list(starts.values())[-1])
        if process is not None and process.is_here:
            running = process.lives
    if running is None:
        running = unended
    return TaskRecord(stage, task, attempts, running)


def _read_locked(path: Path) -> tuple[bytes, bool | None]:
    """Return the content of a record and whether a process holds it; None where that cannot be told.

    The lock is kept while reading, so that nobody begins in between. On NFS only a file opened for writing can be
    locked exclusively; another user's cannot be.
    """
    try:
        with regular.opened(path) as file:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:  # another user's, or on a disk that is only read
                return file.readall() or b"", None
            try:
                locked = locks.is_held(fd, path)
                return file.readall() or b"", locked
            finally:
                os.close(fd)
    except OSError as error:
        raise regular.unreadable(path, error) from error


def _process(start: Mapping[str, Any]) -> Process | None:
    match start.get("process"):
        case {"machine": str(machine), "pid": int(pid), "start": int(begun)} if pid > 0:
            return Process(machine, pid, begun)
    return None


def _attempt(start: Mapping[str, Any], end: Mapping[str, Any] | None) -> Attempt:
    """Return an attempt as its lines state it; what is of another type in them says nothing."""
    code = None if end is None else end.get("code")
    restarts = start.get("restarts")
    return Attempt(
        started=start["time"],
        ended=None if end is None else end["time"],
        code=None if end is None else code if type(code) is int else EXIT_FAILED,
        host=str(start.get("host", "")),
        job=str(start.get("job", "")),
        restarts=restarts if type(restarts) is int else 0,
        log=str(start.get("log", "")),
    )
