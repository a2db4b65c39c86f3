"""Every command where something of its surroundings is closed, full, locked, or of few characters.

Each ends with an exit code of the contract, says what is the matter, shows no traceback and leaves nothing half done. A
command that is added fails :func:`test_every_command_is_here`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer

from postmill.cli import app
from tests.integration.kills import resize, small_disk, used
from tests.mistakes.forked import CLOSED, NO_READER, Done, Forks
from tests.mistakes.mistake import LIGHT
from tests.mistakes.test_mistakes import state

COMMANDS = {
    "sample": "sample FOLDER/sampled --posts 5 --influencers 2",
    "run": "run FOLDER/data FOLDER/packed --models light --shard-size 3",  # refused: all of it would take minutes
    "plan": "plan FOLDER/data FOLDER/new",
    "ingest": "ingest FOLDER/planned",
    "mend": "mend FOLDER/packed",
    "encode": f"encode FOLDER/packed {LIGHT}",
    "train": "train FOLDER/run --model mean --seeds 1 --split random",
    "insights": "insights FOLDER/run",  # refused: no encoder of tone has read it
    "report": "report FOLDER/run",
    "predict": "predict FOLDER/run FOLDER/run --model followers",
    "export": "export FOLDER/run FOLDER/exported --to csv",
    "status": "status FOLDER/run",
    "verify": "verify FOLDER/run",
    "faults": "faults FOLDER/run --csv",
    "inspect": "inspect FOLDER/data",
    "submit": "submit FOLDER/run --dry-run",
    "retry": "retry FOLDER/run",  # refused: it was never submitted
}
REFUSED = ("run", "insights", "retry")  # with 2, wherever they are
NEVER_MIND = re.compile(r"^\d\d:\d\d:\d\d ", re.MULTILINE)  # a line of the log


@dataclass(frozen=True)
class World:
    """Surroundings of a command: how :meth:`.forked.Forks.run` is called, and the exit codes that may be there."""

    out: str | None = None
    err: str | None = None
    variables: dict[str, str | None] = field(default_factory=dict)
    encoding: str = "utf-8"
    codes: tuple[int, ...] = (0,)
    says: str = ""  # where it is not 0


FULL = "standard output: cannot be written: No space left on device"
WORLDS = {
    "as usual": World(),
    "standard output closed": World(out=CLOSED, codes=(0, 1), says="standard output: cannot be written: it is closed"),
    "standard output without a reader": World(out=NO_READER, codes=(0, 1)),
    "standard output full": World(out="/dev/full", codes=(0, 1), says=FULL),
    "standard error closed": World(err=CLOSED),
    "standard error without a reader": World(err=NO_READER),
    "standard error full": World(err="/dev/full"),
    "ASCII alone": World(variables={"LC_ALL": "POSIX", "LANG": None, "PYTHONIOENCODING": "ascii"}, encoding="ascii"),
    "no folder for temporary files": World(variables={"TMPDIR": "/no/such/folder"}),
    "no home": World(variables={"HOME": "/no/such/folder", "XDG_CACHE_HOME": None}),
    "no name of a home": World(variables={"HOME": None}),
    "a dumb terminal": World(variables={"TERM": "dumb", "COLUMNS": None, "NO_COLOR": None}),
    "one column": World(variables={"COLUMNS": "1"}),
}


@pytest.fixture
def world(here: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder with a dataset and runs of it, under a name that ASCII has not."""
    here("data planned packed run")
    folder = tmp_path / "übrige Läufe 雨"
    folder.mkdir()
    for name in ("data", "planned", "packed", "run"):
        (tmp_path / name).rename(folder / name)
    return folder


def words(command: str, folder: Path) -> list[str]:
    return [word.replace("FOLDER", str(folder)) for word in shlex.split(COMMANDS[command])]


def told(command: str, done: Done, says: str = "") -> None:
    """Check that what is said names cause and next step."""
    assert "Traceback" not in done.err + done.out, (command, done)
    if done.code:
        (first,) = re.findall(r"^error: .*", done.err, re.MULTILINE)
        assert says in first and "  next:  " in done.err, (command, done)


def test_every_command_is_here() -> None:
    group: typer.core.TyperGroup = typer.main.get_command(app)  # type: ignore[assignment]
    assert list(COMMANDS) == list(group.commands)


@pytest.mark.parametrize("name", WORLDS)
def test_every_command_in_this_world(name: str, world: Path, forked: Forks) -> None:
    surroundings = WORLDS[name]
    for command in COMMANDS:
        done = forked.run(
            *words(command, world),
            cwd=world,
            out=surroundings.out,
            err=surroundings.err,
            variables=surroundings.variables,
            encoding=surroundings.encoding,
        )
        assert done.code in ((2,) if command in REFUSED else surroundings.codes), (command, done)
        if surroundings.err is None and surroundings.out != NO_READER:
            told(command, done, "" if command in REFUSED else surroundings.says)
        assert list(world.rglob(".tmp-*")) == [], command


def test_where_the_folder_one_is_in_is_gone(world: Path, forked: Forks, tmp_path: Path) -> None:
    for command in COMMANDS:
        (tmp_path / "gone").mkdir()
        done = forked.run(*words(command, world), cwd=tmp_path / "gone", leave=True)
        assert done.code in ((2,) if command in REFUSED else (0, 1)), (command, done)
        told(command, done, "" if command in REFUSED else "the folder you are in: is there no more")


def test_a_run_that_cannot_be_written(world: Path, forked: Forks) -> None:
    """What only reads does; what has to write says where it cannot; and nothing is other than before."""
    before = state(world)
    folders = [world, *(path for path in world.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = {command: forked.run(*words(command, world), cwd=world) for command in COMMANDS}
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert state(world) == before
    for command, each in done.items():
        told(command, each, "" if command in REFUSED else ": cannot write: Permission denied")
    assert {command for command, each in done.items() if each.code == 1} == {
        *("sample", "plan", "ingest", "encode", "train", "report", "export")
    }
    assert all(str(world) in each.err and ".tmp-" not in each.err for each in done.values() if each.code == 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(command: str, world: Path, forked: Forks, tmp_path: Path) -> None:
    """Where no disk may be mounted, files of which nothing can be written stand for it."""
    with small_disk(tmp_path / "disk") as mounted:
        folder = tmp_path / "disk"
        for name in ("data", "planned", "packed", "run"):
            shutil.copytree(world / name, folder / name)
        before = state(folder)
        if mounted:
            resize(folder, used(folder) + 4096)
        output = ["--output", str(folder / "scores.csv")] if command == "predict" else []
        done = forked.run(*words(command, folder), *output, cwd=tmp_path, largest_file=None if mounted else 64)
        if mounted:
            resize(folder, 1 << 28)
        assert done.code in ((2,) if command in REFUSED else (0, 1)), done
        full = "No space left on device" if mounted else "File too large"
        told(command, done, "" if command in REFUSED else f": cannot write: {full}")
        assert list(folder.rglob(".tmp-*")) == []
        after = state(folder)
        assert before.items() <= after.items()
        assert done.code == 0 or not os.path.lexists(folder / "scores.csv")
