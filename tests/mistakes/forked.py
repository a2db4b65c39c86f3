"""The command line in a process of its own, forked from one that has loaded what takes long, as a user without rights.

Run by itself, this module is that one: it reads a line of JSON for each command and answers with its exit code. Most of
a command's time goes into Python's start and libraries; all of postmill is loaded in the forked process, by the module
that the console script names, so that signals, streams and surroundings are a real command's.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLOSED, NO_READER = "closed", "no reader"  # what a stream may be, beside a file
PLAIN = {"COLUMNS": "200", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
_HEAVY = (
    *("typer.main", "typer.rich_utils", "rich.live", "rich.progress", "numpy", "pyarrow.compute", "pyarrow.parquet"),
    *("pyarrow.csv", "pyarrow.dataset", "pydantic", "fsspec", "blake3", "orjson", "PIL.Image", "jinja2"),
    *("torch", "scipy.stats", "scipy.optimize", "scipy.sparse.csgraph", "safetensors", "threadpoolctl", "deflate"),
)


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Forks:
    """The process that commands are forked from."""

    process: subprocess.Popen[str]
    folder: Path

    def run(
        self,
        *words: object,
        cwd: Path,
        out: str | None = None,
        err: str | None = None,
        variables: Mapping[str, str | None] | None = None,
        largest_file: int | None = None,
        encoding: str = "utf-8",
        leave: bool = False,
        hasty: bool = False,
    ) -> Done:
        """Run a command.

        Args:
            words: After ``postmill``.
            cwd: Where.
            out, err: What the streams are: the path of a device, :data:`CLOSED` or :data:`NO_READER`; None: a file.
            variables: Of the surroundings, beside :data:`PLAIN`; None for one that is not there.
            largest_file: Bytes that a file may have.
            encoding: Of the streams.
            leave: Whether the folder, an empty one, is removed when the command is in it.
            hasty: Whether an address that nobody serves is given up after a second, not after a minute.
        """
        files = {name: self.folder / name for name in ("out", "err")}
        for file in files.values():
            file.write_bytes(b"")
        asked = {
            "words": [str(word) for word in words],
            "cwd": str(cwd),
            "streams": [out or str(files["out"]), err or str(files["err"])],
            "variables": {**PLAIN, **(variables or {})},
            "largest_file": largest_file,
            "encoding": encoding,
            "leave": leave,
            "hasty": hasty,
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return Done(code, *(file.read_bytes().decode(encoding, "replace") for file in files.values()))


def ordinary() -> list[str]:
    """Return what a command begins with so that permissions bind it: root reads and writes whatever it likes."""
    if os.geteuid() != 0:
        return []
    assert shutil.which("setpriv") is not None, "root needs setpriv of util-linux, to be as any user"
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


@contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    """Start the process that commands are forked from; ``folder`` takes what they print."""
    command = [*ordinary(), sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Forks(process, folder)
        assert process.stdin is not None
        process.stdin.close()


def _serve() -> None:
    for name in _HEAVY:
        importlib.import_module(name)
    gc.freeze()  # what is loaded is not looked through again by each command
    importlib.import_module("duckdb")  # which at the end misses what was not collected, and says so
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
            from postmill.console.start import main

            main()
        _, status = os.waitpid(pid, 0)
        sys.__stdout__.write(f"{os.waitstatus_to_exitcode(status)}\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


def _become(asked: dict[str, Any]) -> None:
    """Take on the surroundings of the command that is asked for."""
    os.chdir(asked["cwd"])
    if asked["leave"]:
        os.rmdir(asked["cwd"])  # noqa: PTH106
    for name, value in asked["variables"].items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    if asked["largest_file"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["largest_file"],) * 2)
    if asked["hasty"]:
        importlib.import_module("postmill.ingest.remote.patience").UNREACHED_S = 1.0
    sys.argv = ["postmill", *asked["words"]]
    sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
    opened = [_stream(number, kind, asked["encoding"]) for number, kind in enumerate(asked["streams"], 1)]
    sys.stdout, sys.stderr = opened  # type: ignore[assignment]


def _stream(number: int, kind: str, encoding: str) -> io.TextIOWrapper | None:
    """Put what ``kind`` says in the place of the file descriptor ``number``; return Python's stream of it."""
    if kind == CLOSED:
        os.close(number)
        return None
    if kind == NO_READER:
        reading, fd = os.pipe()
        os.close(reading)
    else:
        fd = os.open(kind, os.O_WRONLY | os.O_APPEND)
    os.dup2(fd, number)
    os.close(fd)
    errors = "strict" if number == 1 else "backslashreplace"
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "wb", closefd=False)), encoding, errors)


if __name__ == "__main__":
    _serve()
