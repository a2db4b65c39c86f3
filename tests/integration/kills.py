"""Ways to stop a command at a random moment, each with what must be true of it afterwards."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("plan", "metadata", "windows", "spanning")
PATIENCE_S = 30  # within which a command ends that was asked to
_TERM = 1 << (signal.SIGTERM - 1)


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
        return bool(int(status(self.process.pid).get("SigCgt", "0"), 16) & _TERM)

    def workers(self) -> list[int]:
        """Its living worker processes."""
        found = []
        for pid in group(self.process.pid):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"ingest.workers" in command:
                found.append(pid)
        return found

    def until_gone(self) -> None:
        """Wait until no process of the group is left."""
        end = time.monotonic() + PATIENCE_S
        while left := group(self.process.pid):
            assert time.monotonic() < end, f"still there: {left}"
            time.sleep(0.01)


@dataclass(frozen=True)
class Job:
    """One stage to be done in the run folder ``run``."""

    stage: str
    workers: int
    source: Path
    run: Path

    def command(self) -> list[str]:
        program = [sys.executable, str(ROOT / "cli.py")]
        if self.stage == "plan":
            return [*program, "plan", str(self.source), str(self.run), "--shard-size", "1"]
        return [*program, "ingest", str(self.run), "--stage", self.stage, "--workers", str(self.workers)]

    def start(self, before: Sequence[str] = (), memory: int | None = None) -> Started:
        """Start it, behind the words ``before``, with ``memory`` bytes of address space for each process."""

        def limit() -> None:
            if memory is not None:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

        fd, path = tempfile.mkstemp(prefix="postmill-said-")
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
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


Stop = Callable[[random.Random, Job, Measured], bool]


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
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] not in "ZX":
                found.append(int(folder.name))
    return found


def temporaries(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob(".tmp-*"))


def digests(run: Path) -> dict[str, str]:
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and ".tmp-" not in str(path.relative_to(run))]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def kill(draw: random.Random, job: Job, measured: Measured) -> bool:
    """SIGKILL to the command alone: its workers end by themselves."""
    started = job.start()
    started.until_ready()
    time.sleep(draw.uniform(0, measured.seconds))
    started.process.send_signal(signal.SIGKILL)
    code = started.wait()
    said = started.said()
    assert code in (0, -signal.SIGKILL), said
    if draw.random() < 0.5:  # else the next command starts while they are still there
        started.until_gone()
    return code != 0


def kill_worker(draw: random.Random, job: Job, measured: Measured) -> bool:
    """SIGKILL to one worker: the command says so and ends."""
    started = job.start()
    while started.process.poll() is None and not started.workers():
        time.sleep(0.002)
    time.sleep(draw.uniform(0, measured.seconds))
    victims = started.workers()
    if victims:
        try:
            os.kill(draw.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            victims.clear()
    code = started.wait(PATIENCE_S)
    said = started.said()
    started.until_gone()
    if code == 0:
        return False
    assert victims and code == 1 and "a worker process was killed" in said and "Traceback" not in said, said
    return True


def ask(number: signal.Signals, everyone: bool = False) -> Stop:
    """A signal that asks the command, or every process of its group, to end."""

    def stop(draw: random.Random, job: Job, measured: Measured) -> bool:
        started = job.start()
        started.until_ready()
        time.sleep(draw.uniform(0, measured.seconds))
        minded = started.minds_signals()
        if everyone and group(started.process.pid):
            os.killpg(started.process.pid, number)
        else:
            started.process.send_signal(number)
        code = started.wait(PATIENCE_S)
        said = started.said()
        started.until_gone()
        if not minded or code in (0, -number):  # it had done its work, and was on its way out
            return False
        assert code == 75 and f"stopped by {number.name}" in said and "Traceback" not in said, f"{code}: {said}"
        assert temporaries(job.run) == [], said
        return True

    return stop


def no_memory(draw: random.Random, job: Job, measured: Measured) -> bool:
    """Less address space than the stage needs.

    Python says MemoryError, which is told as an error; libraries in C may make of it whatever comes, up to the end of
    the process. What counts is that it does end, and is not told as damage of a file.
    """
    least, most = measured.memory
    started = job.start(memory=draw.randrange(least, most + 1))
    code = started.wait()
    said = started.said()
    started.until_gone()
    assert "damaged" not in said and "cannot be read" not in said, f"{code}: {said}"
    return code != 0


def read_error(draw: random.Random, job: Job, measured: Measured) -> bool:
    """A file that cannot be read at some place: it is named."""
    sources = {"plan": "**/*.*", "metadata": "Post_metadata/*", "windows": "Post_images/*"}.get(job.stage, "none")
    spools = {"windows": "spool/metadata-*.spool", "spanning": "spool/*.spool"}.get(job.stage, "none")
    victim = draw.choice([*sorted(job.source.glob(sources)), *sorted(job.run.glob(spools))])
    calls = "read,pread64,preadv"
    inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={draw.randint(1, 3)}"]
    started = job.start(["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(victim), *inject])
    code = started.wait()
    said = started.said()
    started.until_gone()
    if code == 0:
        return False
    named = victim.name if job.source in victim.parents else "spool"
    assert code == 1 and named in said and "Input/output error" in said, f"{code}: {victim}: {said}"
    return told(said, job)


def no_space(draw: random.Random, job: Job, measured: Measured) -> bool:
    """The disk under the run, a tmpfs, is full at some time; then it is made larger."""
    before = used(job.run)
    growth = draw.choice([1 << 14, 1 << 17, 1 << 20, 1 << 22])
    resize(job.run, before + draw.randrange(growth))
    started = job.start()
    code = started.wait()
    said = started.said()
    started.until_gone()
    resize(job.run, 1 << 28)
    if code == 0:
        return False
    assert code == 1 and "No space left" in said, f"{code}: {said}"
    return told(said, job)


def told(said: str, job: Job) -> bool:
    """Check that an error is told as errors are, and left nothing."""
    assert said.count("error:") == 1 and "where:" in said and "next:" in said and "Traceback" not in said, said
    assert temporaries(job.run) == [], said
    return True


def used(mount: Path) -> int:
    state = os.statvfs(mount)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def resize(mount: Path, size: int) -> None:
    size = max(-(-size // 4096) * 4096, 4096)
    subprocess.run(["mount", "-o", f"remount,size={size}", str(mount)], check=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a tmpfs on ``folder``; gives False where that is not permitted."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={1 << 28}", "tmpfs", str(folder)], capture_output=True)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)


STOPS: dict[str, Stop] = {
    "SIGKILL": kill,
    "SIGKILL worker": kill_worker,
    "SIGTERM": ask(signal.SIGTERM),
    "SIGUSR2": ask(signal.SIGUSR2),
    "SIGINT": ask(signal.SIGINT),
    "SIGTERM all": ask(signal.SIGTERM, everyone=True),
    "SIGUSR2 all": ask(signal.SIGUSR2, everyone=True),
    "SIGINT all": ask(signal.SIGINT, everyone=True),
    "no space": no_space,
    "no memory": no_memory,
    "read error": read_error,
}
