"""Each mistake of the table is made: what is said names cause, place and next step, nothing is lost, and pasting helps.

What is linked from one test to the next is never changed in place: commands write files anew.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mistakes import files, words
from tests.mistakes.files import ELSEWHERE
from tests.mistakes.forked import PLAIN, Forks
from tests.mistakes.mistake import Mistake

TESTS = Path(__file__).resolve().parents[1]
COMMAND = re.compile(r"(?:rm -f -- [^;]+; )?postmill [a-z]+[^;]*")
MISTAKES = [*words.MISTAKES, *files.MISTAKES]
ROWS = 41


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """What lies below a folder, as far as it may be looked at: the length of each file and when it was written.

    Logs are passed over: in them stands what was typed, and that it was refused.
    """
    paths = [Path(above, name) for above, _, names in os.walk(folder) for name in names if "/logs/" not in f"{above}/"]
    return {str(path): (status.st_size, status.st_mtime_ns) for path in paths for status in [path.lstat()]}


def next_command(said: str, typed: str) -> list[list[str]]:
    """The commands that a message ends with, as a shell has their words, with what stands for a name filled in."""
    if "exchange them: " in said:
        words = shlex.split(typed)
        return [["postmill", *words[:3], *shlex.split(said.partition("exchange them: ")[2])]]
    said = said.partition("next: ")[2] or said
    names = {"SOURCE": "data", "NEW_RUN": "pasted"}
    *_, found = COMMAND.findall(said)
    return [[names.get(word, word) for word in shlex.split(command)] for command in found.split("; ")]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{mistake.id}-{n}" for n, mistake in enumerate(MISTAKES)])
def test_what_is_said_of_a_mistake(mistake: Mistake, here: Callable[[str], Path], forked: Forks) -> None:
    needed = "data" if mistake.pasted is not None and "SOURCE" in "".join(mistake.says) else ""
    if mistake.make.__qualname__.startswith(("without", "alone", "changed", "moved", "closed")):
        needed += " data planned packed run"
    folder = here(f"{mistake.typed} {needed}")
    mistake.make(folder)
    before = state(folder)
    hasty = "http:" in mistake.typed
    done = forked.run(*shlex.split(mistake.typed), cwd=folder, variables={"CUDA_VISIBLE_DEVICES": ""}, hasty=hasty)
    assert done.code == mistake.code, done
    assert "Traceback" not in done.err
    if mistake.code:
        (first,) = (line for line in done.err.splitlines() if line.startswith("error: "))
        assert "  next:  " in done.err and first != "error: "
    said = done.err[done.err.find("error: ") :] if mistake.code else done.out
    position = 0
    for phrase in mistake.says:
        position = said.find(phrase, position)
        assert position >= 0, (phrase, said)
    if mistake.holds:
        assert state(folder) == before
    if mistake.pasted is not None:
        for number, typed in enumerate(commands := next_command(said, mistake.typed), 1):
            if typed[0] == "rm":
                subprocess.run(typed, cwd=folder, check=True)
                continue
            again = forked.run(*typed[1:], cwd=folder)
            assert number < len(commands) or again.code == mistake.pasted, (typed, again)
            assert "Traceback" not in again.err


def test_every_row_is_tested() -> None:
    """None is left out, as root and as anybody: what is done elsewhere is done by a test that is there."""
    assert {mistake.row for mistake in MISTAKES} - {ROWS + 1} | ELSEWHERE.keys() == set(range(1, ROWS + 1))
    for place in ELSEWHERE.values():
        path, name = place.split("::")
        functions = [
            node for node in ast.walk(ast.parse((TESTS / path).read_text())) if isinstance(node, ast.FunctionDef)
        ]
        (function,) = (node for node in functions if node.name == name)
        assert "skip" not in ast.unparse(function)


def test_a_terminal_that_is_closed(here: Callable[[str], Path]) -> None:
    """The command ends as an interrupted one, leaves nothing half done, and is carried on by typing it again."""
    folder = here("planned data")
    command = [sys.executable, "-m", "postmill.cli", "ingest", "planned"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, env={**os.environ, **PLAIN}) as child:
        while child.poll() is None and not (folder / "planned" / "spool").exists():
            time.sleep(0.01)
        child.send_signal(signal.SIGHUP)
        assert child.stderr is not None
        said = child.stderr.read().decode()
    assert child.returncode in (75, 0) and "Traceback" not in said, said
    assert child.returncode == 0 or ("stopped by SIGHUP" in said and "the same command carries on" in said)
    assert not list(folder.rglob(".tmp-*"))
    for command_name in ("ingest", "verify"):
        subprocess.run([*command[:3], command_name, "planned"], cwd=folder, check=True, capture_output=True)
