"""Stages as commands of their own: started, watched, measured, and what they leave."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STAGES = ("plan", "metadata", "windows", "spanning")
PATIENCE_S = 30  # within which a command ends that was asked to
PROGRAM = [sys.executable, "-m", "postmill.cli"]
_ALARM = 1 << (signal.SIGALRM - 1)  # minded from when an exception is raised for signals, not while the program loads


@dataclass
class Started:
    """A command that runs in a process group of its own."""

    process: subprocess.Popen[bytes]
    output: Path

    def wait(self, seconds: float = 300) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"it did not end within {seconds} s: {self.said()}") from None

    def said(self) -> str:
        text = self.output.read_text(errors="replace")
        self.output.unlink()
        return text

    def until_ready(self) -> bool:
        """Wait until it minds signals, which it does from when it works; False if it ended before."""
        while self.process.poll() is None:
            if self.minds_signals():
                return True
            time.sleep(0.002)
        return False

    def minds_signals(self) -> bool:
        return bool(int(status(self.process.pid).get("SigCgt", "0"), 16) & _ALARM)

    def workers(self) -> list[int]:
        """Its living worker processes."""
        workers = []
        for pid in group(self.process.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"postmill.ingest.pack.workers" in command:
                workers.append(pid)
        return workers

    def until_gone(self) -> None:
        """Wait until no process of the group is left."""
        end = time.monotonic() + PATIENCE_S
        while left := group(self.process.pid):
            assert time.monotonic() < end, f"still there: {left}"
            time.sleep(0.01)


@dataclass(frozen=True)
class Job:
    """One stage to be done in the run folder ``run``, with further environment variables."""

    stage: str
    workers: int
    source: Path
    run: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        if self.stage == "plan":
            return [*PROGRAM, "plan", str(self.source), str(self.run), "--shard-size", "1"]
        return [*PROGRAM, "ingest", str(self.run), "--stage", self.stage, "--workers", str(self.workers)]

    def start(self, before: Sequence[str] = (), memory: int | None = None) -> Started:
        """Start it, behind the words ``before``, with ``memory`` bytes of address space for each process."""

        def limit() -> None:
            if memory is not None:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

        fd, path = tempfile.mkstemp(prefix="postmill-said-")
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **self.variables}
        process = subprocess.Popen(
            [*before, *self.command()],
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            env=environment,
            start_new_session=True,
            preexec_fn=limit,  # this process has no other thread
        )
        os.close(fd)
        return Started(process, Path(path))

    def finish(self) -> None:
        started = self.start()
        code = started.wait()
        said = started.said()
        assert code == 0, said


@dataclass(frozen=True)
class Measured:
    """What a stage takes when nothing disturbs it: seconds of work, and bytes of address space before and at most."""

    seconds: float
    memory: tuple[int, int]


def measure(job: Job) -> Measured:
    started = job.start()
    assert started.until_ready()
    began = time.monotonic()
    first = most = 0
    while started.process.poll() is None:
        peak = int(status(started.process.pid).get("VmPeak", "0 kB").split()[0]) << 10
        first, most = first or peak, max(most, peak)
        time.sleep(0.002)
    seconds = time.monotonic() - began
    said = started.said()
    assert started.process.returncode == 0, said
    return Measured(seconds, (first, most))


def status(pid: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def group(leader: int) -> list[int]:
    """The living processes of a group."""
    members = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] not in "ZX":
                members.append(int(folder.name))
    return members


def temporaries(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob(".tmp-*"))


def digests(run: Path) -> dict[str, str]:
    names = [path.relative_to(run) for path in sorted(run.rglob("*")) if path.is_file()]
    files = [run / name for name in names if ".tmp-" not in str(name) and name.parts[0] != "logs"]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
