"""What pages show and no test can do here: each kind with its reason, and with what is checked of it instead."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import typer

from postmill.cli import app
from tests.docs.pages import ROOT

GROUP: Any = typer.main.get_command(app)


@dataclass(frozen=True)
class Elsewhere:
    """Commands that are not done.

    Attributes:
        pattern: Which ones.
        reason: Why.
        check: Raises AssertionError, or what parsing raises, where a command of the kind cannot be right.
    """

    pattern: str
    reason: str
    check: Callable[[str], None]


def parses(command: str) -> None:
    """Let the command line's own parser take the words before a pipe or a file; nothing is done."""
    parse(shlex.split(re.split(r" [>|]", command)[0])[1:])


def parse(words: list[str]) -> None:
    """Raise click.UsageError where postmill does not take these words."""
    with click.Context(GROUP, info_name="postmill") as outer:
        GROUP.commands[words[0]].make_context(words[0], list(words[1:]), parent=outer)


def in_makefile(command: str) -> None:
    done = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def extras_exist(command: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for names in re.findall(r"\[([a-z0-9,]+)\]", command):
        assert set(names.split(",")) <= set(project["optional-dependencies"]), names
    for file in re.findall(r"-c (\S+)", command):
        assert (ROOT / file).is_file(), file
    for pin in re.findall(r"'\^(\w+)=='", command):
        assert f"\n{pin}==" in "\n" + (ROOT / "constraints.txt").read_text()


def in_dockerfile(command: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for argument in re.findall(r"--build-arg (\w+)=", command):
        assert f"ARG {argument}" in dockerfile, argument
    ours = re.search(r" (?:postmill(?::\w+)?|postmill\.sif) ((?:run|encode|ingest|plan) .*)", command)
    if ours is not None:
        parse(shlex.split(ours[1]))


def template(command: str) -> None:
    words = shlex.split(command)
    at = next(n for n, word in enumerate(words) if word.endswith(".sbatch"))
    script = ROOT / words[at]
    subprocess.run(["bash", "-n", str(script)], check=True)
    parse([script.stem, words[at + 1], *words[at + 4 :]])  # the run; tasks and what is added to the index; options


def cloned(command: str) -> None:
    assert command.split()[:2] == ["git", "clone"]


def environment(command: str) -> None:
    assert "-m venv --clear .venv" in (ROOT / "Makefile").read_text()


NOT_HERE = (
    Elsewhere(r"make [a-z]+$", "makes an environment, and takes minutes", in_makefile),
    Elsewhere(r"git clone ", "takes the network", cloned),
    Elsewhere(r"\. \.venv/bin/activate$", "takes the environment that `make demo` makes", environment),
    Elsewhere(r"(\.venv/bin/|\S*/)?(python3? -m )?pip install", "takes the package index and gigabytes", extras_exist),
    Elsewhere(r"(docker|podman|apptainer) ", "takes a container runtime and an image of gigabytes", in_dockerfile),
    Elsewhere(r"sbatch ", "takes a cluster; tests/integration/test_slurm.py has one, with these templates", template),
    Elsewhere(r"postmill (submit|retry)\b(?!.*--dry-run)", "the same", parses),
    Elsewhere(r"postmill .*--watch", "goes on until Ctrl-C", parses),
    Elsewhere(r"postmill .*--model [a-z-]+=", "takes weights of 90 to 600 MB", parses),
)


if shutil.which("jq") is None:
    NOT_HERE += (Elsewhere(r".*\| *jq ", "takes jq, which is not installed here", parses),)


def elsewhere(command: str) -> Elsewhere | None:
    """Return why a command is not done here; None for one that is."""
    return next((kind for kind in NOT_HERE if re.match(kind.pattern, command)), None)
