"""The readers that benchmarks/archives.py compares, and what each made of an archive.

Each gets the parts, the parts joined into one file, and a folder that is empty.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60  # seconds until a reader counts as hanging

Tree = dict[str, str]  # name to SHA-256


@dataclass
class Case:
    """One archive, and what it holds where that is known."""

    name: str
    parts: list[Path]
    holds: Tree | None


@dataclass
class Outcome:
    """What a reader made of a case."""

    code: int  # 0 if it had nothing to complain of
    contents: Tree = field(default_factory=dict)
    outside: bool = False  # it wrote beside the folder it was given
    crash: str | None = None


Reader = Callable[[Case, Path, Path], Outcome]

_ZIPFILE = """
import hashlib, json, sys, zipfile, zlib
bad = 0
try:
    archive = zipfile.ZipFile(sys.argv[1])
except zipfile.BadZipFile:
    sys.exit(1)
for info in archive.infolist():
    try:
        if not info.is_dir():
            print(json.dumps([info.filename, hashlib.sha256(archive.read(info)).hexdigest()]))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError):
        bad = 1
sys.exit(bad)
"""
_STREAM_UNZIP = """
import hashlib, json, sys, stream_unzip
def blocks():
    with open(sys.argv[1], "rb") as file:
        while block := file.read(65536):
            yield block
try:
    for name, size, chunks in stream_unzip.stream_unzip(blocks()):
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        if not name.endswith(b"/"):
            print(json.dumps([name.decode("utf-8", "replace"), digest.hexdigest()]))
except stream_unzip.UnzipError:
    sys.exit(1)
"""


def run(command: list[object], **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a locale whose names are UTF-8, with nothing to read and limited patience."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        env=environment,
        **options,  # type: ignore[call-overload]
    )


def scripted(python: object, script: str, path: Path) -> Outcome:
    """Run a reader that is a Python library: it prints a name and a digest a line."""
    done = run([python, "-W", "ignore", "-c", script, path])
    crash = None
    if done.stderr:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1]
        crash = last.partition(":")[0].rpartition(".")[2]
    return Outcome(done.returncode, dict(json.loads(line) for line in done.stdout.splitlines()), crash=crash)


def extracted(command: list[object], out: Path) -> Outcome:
    """Run a tool that extracts into ``out``, which lies deep in a folder of its own."""
    done = run(command)
    sandbox = out.parents[2]
    contents: Tree = {}
    outside = False
    for path in sandbox.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        if out in path.parents:
            path.chmod(0o600)
            contents[str(path.relative_to(out))] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            outside = True
    return Outcome(done.returncode, contents, outside, f"signal {-done.returncode}" if done.returncode < 0 else None)


def last(case: Case) -> Path:
    """The part that a user would name: the one with the directory, or the first slice."""
    return case.parts[0] if re.search(r"\.(001|aa|000)$", case.parts[0].name) else case.parts[-1]


def postmill(case: Case, *options: str) -> Outcome:
    """Run `postmill inspect --digest`."""
    done = run([sys.executable, "-m", "postmill.cli", "inspect", "--digest", *options, *case.parts])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    crash = "Traceback" if b"Traceback" in done.stderr else None
    return Outcome(done.returncode, {row["name"]: row["sha256"] for row in rows if "sha256" in row}, crash=crash)


def readers(stream_unzip_python: str) -> tuple[dict[str, Reader], list[str]]:
    """Return the readers that are here by their names, and notes on the others and on versions."""
    available: dict[str, Reader] = {
        "postmill": lambda case, joined, out: postmill(case),
        "postmill, salvage": lambda case, joined, out: postmill(case, "--salvage"),
        "zipfile": lambda case, joined, out: scripted(sys.executable, _ZIPFILE, last(case)),
        "zipfile, joined": lambda case, joined, out: scripted(sys.executable, _ZIPFILE, joined),
    }
    notes = [f"Python {platform.python_version()} (zipfile)"]
    tools: dict[str, tuple[list[str], dict[str, Reader]]] = {
        "7z": (
            ["7z", "i"],
            {"7z": lambda case, joined, out: extracted(["7z", "x", "-y", f"-o{out}", last(case)], out)},
        ),
        "bsdtar": (
            ["bsdtar", "--version"],
            {
                "bsdtar": lambda case, joined, out: extracted(["bsdtar", "-xf", last(case), "-C", out], out),
                "bsdtar, joined": lambda case, joined, out: extracted(["bsdtar", "-xf", joined, "-C", out], out),
            },
        ),
        "unzip": (
            ["unzip", "-v"],
            {
                "unzip": lambda case, joined, out: extracted(["unzip", "-qqo", last(case), "-d", out], out),
                "unzip, joined": lambda case, joined, out: extracted(["unzip", "-qqo", joined, "-d", out], out),
            },
        ),
    }
    for tool, (version, ways) in tools.items():
        if shutil.which(tool) is None:
            notes.append(f"{tool}: not installed, left out")
            continue
        available |= ways
        lines = [line.strip() for line in run(version).stdout.decode(errors="replace").splitlines() if line.strip()]
        notes.append(re.split(r" : | by |, | - ", lines[0])[0].removesuffix(","))
    asked = run(
        [stream_unzip_python, "-c", "import stream_unzip, importlib.metadata as m; print(m.version('stream-unzip'))"]
    )
    if asked.returncode:
        notes.append("stream-unzip: not installed, left out")
    else:
        available["stream-unzip, joined"] = lambda case, joined, out: scripted(
            stream_unzip_python, _STREAM_UNZIP, joined
        )
        notes.append(f"stream-unzip {asked.stdout.decode().strip()}")
    return available, notes


def digest(path: Path) -> Tree:
    """Return what a whole zip holds, as zipfile reads it."""
    return scripted(sys.executable, _ZIPFILE, path).contents
