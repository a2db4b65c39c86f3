"""Other systems, as far as their lacks can be imitated: what macOS has not is done without, Windows is told."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample

MACOS = """
import mmap, os, sys
lacks = (os, "sched_"), (os, "posix_f"), (os, "copy_file_range"), (mmap, "MADV_HUGE"), (mmap, "MAP_POPULATE")
for module, start in lacks:
    for name in [name for name in dir(module) if name.startswith(start)]:
        delattr(module, name)
def deny(event, arguments):
    if event == "open" and str(arguments[0]).startswith("/proc/"):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])
sys.addaudithook(deny)
"""
WINDOWS = """
import signal, sys
sys.platform = "win32"
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
for name in ("SIGUSR1", "SIGUSR2", "SIGALRM", "setitimer", "pthread_sigmask"):
    delattr(signal, name)
"""


def on(system: str, folder: Path, *words: object, start: str = "console.start") -> subprocess.CompletedProcess[str]:
    """Run a command, and each process that it starts, where `system` is imitated."""
    (folder / "sitecustomize.py").write_text(system)
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.modules.pop('sitecustomize', None); "
    program += f"import sitecustomize; sys.argv[1:] = {[str(word) for word in words]!r}; "
    program += (
        "import runpy; runpy.run_module('postmill.cli', run_name='__main__')"
        if start == "cli"
        else ("from postmill.console.start import main; main()")
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_without_what_macos_lacks_the_shards_are_the_same(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", posts=60, influencers=5)
    made = []
    for name, system in (("linux", ""), ("macos", MACOS)):
        run = tmp_path / name
        for words in (["plan", tmp_path / "data", run, "--shard-size", 1], ["ingest", run, "--workers", 2]):
            done = on(system, tmp_path, *words)
            assert done.returncode == 0, done.stderr
        assert on(system, tmp_path, "status", run).returncode == 0
        paths = sorted((run / "posts").glob("*.tar"))
        made.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
    assert made[0] == made[1] != []


@pytest.mark.parametrize("start", ["console.start", "cli"])
@pytest.mark.parametrize("words", [["--version"], ["plan", "data", "run"], []])
def test_windows_is_told_in_a_sentence(words: list[str], start: str, tmp_path: Path) -> None:
    done = on(WINDOWS, tmp_path, *words, start=start)
    assert done.returncode == 2 and done.stdout == ""
    assert "WSL" in done.stderr and "container" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
