"""Every command that an error or verify names as the next step, done by a shell where it is named: it mends.

`SITUATIONS` lists where in the code hints are that hold a command, and how a run gets there. A hint that is added
without a situation fails :func:`test_every_hint_with_a_command_is_done_here`.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.state.discrepancy import Discrepancy
from tests.commands import postmill
from tests.integration.situations import ELSEWHERE, SITUATIONS, TRAIN, pinned_otherwise, restate
from tests.shards.whole_runs import digests, discrepancies, everything
from tests.test_architecture import ROOT, modules

BIN = Path(sys.executable).parent
COMMAND = re.compile(r"(?:postmill|rm -f --|mv --|mkdir -p) .*", re.DOTALL)
IN_CODE = re.compile(r"postmill [a-z]|\brm -|\bmv |\bcp |mkdir |command|remade|\banew\(|\baway\(|_choice\(")
ENCODE = "--encoder metadata --models light"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=False)


def choices(step: str) -> list[str]:
    """The commands that a next step or a remedy names; several where there is a choice."""
    named = (COMMAND.search(choice) for choice in re.split(r"; or | or (?=keep one)", step))
    return [match[0] for match in named if match is not None]


def said(words: str) -> str | None:
    """Type a command; return the next step that is named where it is refused."""
    try:
        postmill(*shlex.split(words))
    except PostmillError as error:
        assert error.hint is not None, error
        return error.hint
    return None


def mend(run: Path, placed: Callable[[str], str] = str) -> None:
    """Do by a shell what verify says, until it has nothing to say."""
    for _ in range(6):
        found = named(run)
        if not found:
            return
        command = choices(found[0].remedy)[0]
        done = shell(placed(command))
        assert done.returncode == 0, (command, done.stderr)
    raise AssertionError(found)


def named(run: Path) -> list[Discrepancy]:
    """What is wrong with a run, or not done, or what is said where it cannot be opened."""
    try:
        return discrepancies(run)
    except PostmillError as error:
        return [Discrepancy(run, error.cause, error.hint or "")]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remedies") / "it's data"  # a word that has to be quoted
    write_sample(folder, posts=160, influencers=14, seed=3)
    return folder


@pytest.fixture(scope="module")
def whole(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a model that was not trained with the options by default."""
    run = tmp_path_factory.mktemp("whole") / "run"
    everything(dataset, run)
    shutil.rmtree(run / "models")
    shutil.rmtree(run / "report")
    for words in (TRAIN, "report RUN"):
        assert said(words.replace("RUN", str(run))) is None
    assert discrepancies(run) == []
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    # By the same name, for the page says what the folder is called.
    return Path(shutil.copytree(whole, tmp_path / "a place" / "run", copy_function=os.link))


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_named_as_the_next_step_mends(name: str, run: Path, whole: Path, dataset: Path, tmp_path: Path) -> None:
    situation = SITUATIONS[name]
    situation.make(run)
    places = {"RUN": f"'{run}'", "OUT": f"'{tmp_path / 'out'}'", "SOURCE": f'"{dataset}"'}

    def placed(command: str) -> str:
        return re.sub(r"(?<!\S)(RUN|OUT|SOURCE)(?=[\s/;]|$)", lambda match: places[match[1]], command)

    for _ in range(4):  # a step may lead to the next
        step = None if situation.typed == "verify" else said(placed(situation.typed))
        if step is None:
            break
        command = placed(choices(step)[-1])
        pasted = shell(command)
        if command.startswith("postmill verify "):  # which names the step
            assert pasted.returncode == 1
            mend(run, placed)
            continue
        assert pasted.returncode == 0, (step, pasted.stderr)
        if "--output" not in situation.typed:
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert step is None
    mend(run, placed)
    if situation.same:
        assert digests(run) == digests(whole)


def test_an_encoder_that_is_pinned_otherwise_is_kept_elsewhere(run: Path) -> None:
    pinned_otherwise(run)
    typed = f"encode '{run}' {ENCODE} --device cpu"
    step = said(typed)
    assert step is not None
    going_on, moving = choices(step)
    assert going_on.startswith("postmill encode") and shell(moving).returncode == 0
    assert said(typed) is None
    mend(run)


def test_an_encoder_goes_on_as_it_was_or_with_every_picture(run: Path) -> None:
    image = f"encode '{run}' --encoder image --models light --device cpu"
    assert said(image) is None
    step = said(f"{image} --per-image")
    assert step is not None
    going_on, moving = choices(step)
    assert shell(going_on).returncode == 0
    assert shell(moving).returncode == 0 and said(f"{image} --per-image") is None
    assert discrepancies(run) == []
    path = next((run / "embeddings").glob("image.*/images/000000.parquet"))
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table.slice(3), path)
    restate(path.parents[1] / "posts-000000.json", path)
    (found,) = discrepancies(run)
    assert found.path == path and "--per-image" in found.remedy
    mend(run)


def hints() -> Iterator[tuple[str, str]]:
    """Where hints are in the code, as `module:function`, and their expressions."""
    for _, path in modules(ROOT):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    for keyword in node.keywords if isinstance(node, ast.Call) else ():
                        if keyword.arg == "hint":
                            yield f"{path.relative_to(ROOT)}:{function.name}", ast.unparse(keyword.value)


def test_every_hint_with_a_command_is_done_here() -> None:
    found = {place for place, hint in hints() if IN_CODE.search(re.sub("(the same|the|a) command", "", hint))}
    done = {place for situation in SITUATIONS.values() for place in situation.places}
    assert found - done - ELSEWHERE.keys() == set()
    assert (done | ELSEWHERE.keys()) - found == set()  # no list outlives what it lists
