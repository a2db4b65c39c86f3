"""What a process is at that leaves no file half written for hours: ``logs/underway/STAGE-PID-....jsonl``.

Training works in memory, and a report reads for minutes before it writes. So whoever does it says so in a file of its
own, which goes when the work ends: a line with what it is going to do, and one each time something of it is done.
A file that a kill left is told from others by the process that it names, or by its lock, and is cleared by the next.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from postmill.shards.run import regular
from postmill.shards.run.folder import Run
from postmill.shards.runtime import locks
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.processes import Process, this_process
from postmill.shards.runtime.progress import log

_SUFFIX = ".jsonl"
_LONGEST_S = 1e9  # what is said to take longer, or is no number, is no time
_OLD_S = 24 * 3600.0  # since a process of another machine wrote, where there are no locks


@dataclass(frozen=True)
class Underway:
    """What a process is at.

    Attributes:
        stage: ``train``, ``insights`` or ``report``.
        names: The units that it makes, in their order.
        done: How many of them it has made, or found made.
        seconds_left: For the others, at the rate so far; None where nothing was measured yet.
    """

    stage: str
    names: tuple[str, ...]
    done: int
    seconds_left: float | None


@dataclass
class Work:
    """What this process is at, as it tells it: units, each of ``each`` parts, such as the trainings of a model."""

    names: Sequence[str]
    each: int
    write: Callable[[Mapping[str, object]], None]
    started: float = field(default_factory=time.time)
    made: int = 0
    found: int = 0
    parts: int = 0

    def part(self, n: int) -> None:
        """Say that ``n`` parts more were done."""
        self.parts += n
        left = (len(self.names) - self.found) * self.each - self.parts
        seconds = (time.time() - self.started) / self.parts * left if self.parts else None
        self.write({"done": self.made + self.found, "seconds_left": seconds})

    def counting(self, advance: Callable[[int], None]) -> Callable[[int], None]:
        """Return ``advance``, counting parts here too."""

        def both(n: int) -> None:
            advance(n)
            self.part(n)

        return both

    def unit(self, made: bool) -> None:
        """Say that a unit was made, or that it was found made before."""
        self.made += made
        self.found += not made
        self.part(0)


@contextmanager
def underway(run: Run, stage: str, names: Sequence[str], each: int = 1) -> Iterator[Work]:
    """Say in the run what this process is at, until the block ends; where that cannot be written, in the log alone.

    Args:
        run: The run.
        stage: ``train``, ``insights`` or ``report``.
        names: The units that it makes, in their order.
        each: Parts of a unit.
    """
    process = this_process()
    path = folder(run) / f"{stage}-{process.pid}-{secrets.token_hex(4)}{_SUFFIX}"
    try:
        for place in (run.logs, path.parent):
            place.mkdir(exist_ok=True)
            if place.is_symlink():  # which may lead anywhere
                raise NotADirectoryError(errno.ENOTDIR, "it is a link", str(place))
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        log.info("%s cannot be written (%s): status will not show that it runs", path.parent, error.strerror)
        yield Work(names, each, lambda line: None)
        return
    try:
        locks.hold(fd, path)
        _append(fd, {"stage": stage, "names": list(names), "process": process._asdict()})
        _clear(run)
        yield Work(names, each, partial(_append, fd))
    finally:
        os.close(fd)
        with suppress(OSError):  # the next one clears it
            path.unlink()


def read(run: Run) -> list[Underway]:
    """Return what living processes are at in ``run``; nothing where that cannot be read."""
    with suppress(PostmillError):
        found = [_read(path) for path in regular.listed(folder(run)) if path.suffix == _SUFFIX]
        return [work for work in found if work is not None]
    return []


def folder(run: Run) -> Path:
    """Return the folder of these files."""
    return run.logs / "underway"


def _append(fd: int, line: Mapping[str, object]) -> None:
    with suppress(OSError):  # the disk is full: what was said last is shown
        os.write(fd, f"{json.dumps(line)}\n".encode())


def _clear(run: Run) -> None:
    """Remove what processes of this machine left that were killed."""
    with suppress(PostmillError):
        for path in regular.listed(folder(run)):
            lines = _lines(path)
            process = _process(lines[0]) if lines else None
            if process is not None and process.is_here and not process.lives:
                path.unlink(missing_ok=True)


def _read(path: Path) -> Underway | None:
    lines = _lines(path)
    process = _process(lines[0]) if lines else None
    if process is None or not (process.lives if process.is_here else _is_held(path)):
        return None
    match lines[0]:
        case {"stage": str(stage), "names": [*names]}:
            last = lines[-1]
            done, left = last.get("done"), last.get("seconds_left")
            return Underway(
                stage,
                tuple(str(name) for name in names),
                min(done, len(names)) if type(done) is int and done >= 0 else 0,
                float(left) if isinstance(left, int | float) and 0 <= left < _LONGEST_S else None,
            )
    return None


def _lines(path: Path) -> list[dict[str, object]]:
    """Return the lines of a file, whoever wrote it; none where it is no such file."""
    try:
        with regular.opened(path) as file:
            texts = (file.readall() or b"").splitlines()
        lines = [json.loads(text) for text in texts]
    except (OSError, ValueError, RecursionError, PostmillError):
        return []
    return [line for line in lines if isinstance(line, dict)]


def _process(line: dict[str, object]) -> Process | None:
    match line.get("process"):
        case {"machine": str(machine), "pid": int(pid), "start": int(start)} if pid > 0:
            return Process(machine, pid, start)
    return None


def _is_held(path: Path) -> bool:
    """Say whether a process of another machine is at it still."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # another user's, or on a disk that is only read
        held = None
    else:
        try:
            held = locks.is_held(fd, path)
        finally:
            os.close(fd)
    if held is not None:
        return held
    with suppress(OSError):
        return time.time() - path.stat().st_mtime < _OLD_S
    return False
