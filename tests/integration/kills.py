"""Ways to stop a command at a random moment, each with what must be true of it afterwards."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.jobs import PATIENCE_S, Job, Measured, group, temporaries

Stop = Callable[[random.Random, Job, Measured], bool]


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


def ask_twice(draw: random.Random, job: Job, measured: Measured) -> bool:
    """Ctrl-C twice: the command ends at once, and its workers with it; what it leaves, the next one clears."""
    started = job.start()
    started.until_ready()
    time.sleep(draw.uniform(0, measured.seconds))
    minded = started.minds_signals()
    for pause in (draw.choice([0.0, 0.01, 0.1]), 0.0):
        started.process.send_signal(signal.SIGINT)
        time.sleep(pause)
    code = started.wait(PATIENCE_S)
    said = started.said()
    started.until_gone()
    if not minded or code in (0, -signal.SIGINT):
        return False
    assert code == 75 and "Traceback" not in said, f"{code}: {said}"
    return "stopped by a second Ctrl-C" in said or "stopped by SIGINT" in said


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
    """Check that an error is told as errors are, with the path that it is about and what to do, and left nothing."""
    assert said.count("error:") == 1 and "next:" in said and "Traceback" not in said, said
    assert re.search(r"^error: \S*/\S+: \S", said, re.MULTILINE), said
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
    "SIGINT twice": ask_twice,
    "SIGTERM all": ask(signal.SIGTERM, everyone=True),
    "SIGUSR2 all": ask(signal.SIGUSR2, everyone=True),
    "SIGINT all": ask(signal.SIGINT, everyone=True),
    "no space": no_space,
    "no memory": no_memory,
    "read error": read_error,
}
