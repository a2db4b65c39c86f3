"""A reader's desk: a folder in which the names that stand on the pages exist, and what is typed there.

RUN, OTHER_RUN, SOURCE, DIR and the like are files and folders of these very names in it. What pages name elsewhere is
put in (:attr:`Desk.places`), and what would take minutes or a network is made small (:func:`light`, :func:`smaller`):

| on the page | here |
|---|---|
| `SOURCE`, `data`, `/data/instagram` | 120 invented posts of 30 accounts, in some parts of 64 KiB |
| `/data/unpacked`, `/scratch/image` | the same, unpacked |
| `/disk1/Post_images`, `/disk2` | its parts on two disks |
| `links.txt`, `fresh-links.txt` | lists of the parts of its pictures |
| `NEW_PLACE` | the same, moved |
| `my-profiles` | what instaloader leaves of two invented profiles |
| `~/Downloads`, `Downloads` | a folder with the dataset a folder further down |
| `a.zip` | a zip of three texts |
| `https://HOST`, `https://example.org` | a server of the dataset |
| `RUN` | a finished run of it, until a line plans another |
| `OTHER_RUN`, `POSTS` | another finished run |
| `DIR` | a folder that is not there yet |
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postmill import cli
from postmill.console import lean, steps
from postmill.encode.options import EncoderName, usual
from postmill.shards.run.folder import Run
from postmill.train import stage
from postmill.train.options import Split
from postmill.train.stage import TrainSummary
from tests.commands import postmill

RUN, DATA = "RUN", "SOURCE"
SIZE = {"posts": 120, "influencers": 30}
WALKS = ("docs/start.md",)  # pages whose blocks go on from one another
MODELS = ("followers", "history", "history-fusion", "fusion")  # of the finished run; the rest are minutes
FEW = ("followers", "history")
OF_THE_STUDY = ("text-mlp",)
TRAIN = stage.train_run
ENCODERS = (EncoderName.SENTIMENT, EncoderName.METADATA)  # the two without a network
_PROGRAM = re.compile(r"[|<>;&$`*]")


@dataclass(frozen=True)
class Desk:
    """Where a page is done.

    Attributes:
        folder: The working directory.
        finished: The finished run to copy from.
        data: The dataset to copy from.
        server: Address of the server.
        models: What is trained where none is named.
        patch: Undone when the page is.
    """

    folder: Path
    finished: Path
    data: Path
    server: str
    models: tuple[str, ...]
    patch: pytest.MonkeyPatch

    @property
    def places(self) -> dict[str, str]:
        """What is put in for places that pages name elsewhere than in this folder, the longest names first."""
        here = str(self.folder)
        return {
            "/data/instagram": f"{here}/{DATA}",
            "/data/unpacked": f"{here}/unpacked",
            "/scratch/image": f"{here}/unpacked/image",
            "/disk1/": f"{here}/disk1/",
            "/disk2": f"{here}/disk2",
            "~/Downloads": f"{here}/Downloads",
            "https://example.org": f"http://{self.server}",
            "https://HOST": f"http://{self.server}",
            "--shards 0-99": "--shards 0-0",
            ".all-mpnet-base-v2/": ".all-MiniLM-L6-v2/",
            ".venv/bin/postmill": "postmill",
        }

    def put(self, text: str) -> str:
        """Put the places of this desk into what stands on a page."""
        for name, place in self.places.items():
            text = text.replace(name, place)
        return text

    def tidy(self) -> None:
        """Begin anew with a finished run and the whole dataset."""
        for name, made in ((RUN, self.finished), (DATA, self.data)):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.copytree(made, self.folder / name)
        for made in self.folder.glob("DIR*"):
            shutil.rmtree(made)


def light(desk: Desk, words: list[str]) -> None:
    """Have a command that names no encoders, models or splits take few of them; all else of it is as it is."""
    paper = "--study" in words
    encoders = usual if paper or desk.models == MODELS else lambda *_, text_only: ENCODERS

    def few(run: Run, **asked: Any) -> TrainSummary:
        asked["names"] = asked["names"] or (OF_THE_STUDY if paper else desk.models)
        if tuple(asked["split_names"]) == tuple(Split):
            asked["split_names"] = (Split.RANDOM if paper else Split.INFLUENCER,)
        return TRAIN(run, **asked)

    desk.patch.setattr(stage, "train_run", few)
    for module in (cli, lean, steps):
        desk.patch.setattr(module, "usual", encoders)


def smaller(words: list[str]) -> list[str]:
    """Have a command take the packaged models that would take the study's own, which are not here, and invent less."""
    if words[0] == "sample":
        return [*words, *(str(word) for name, number in SIZE.items() for word in (f"--{name}", number))]
    takes = words[0] in ("run", "encode") and "--models" not in words
    return [*words, "--models", "light"] if takes else words


def plans_anew(words: list[str]) -> bool:
    """Whether a line begins with a new run: one that names a source, if not where the dataset is now."""
    return words[0] in ("plan", "run") and RUN in words and "NEW_PLACE" not in words and words[1:] != [RUN]


def shell(desk: Desk, command: str) -> subprocess.CompletedProcess[str]:
    """Do a line in a shell, with `postmill` as it is installed, on a terminal of 80 columns."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80"}
    words = ["bash", "-ec", command]
    return subprocess.run(
        words, cwd=desk.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def do(desk: Desk, command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Do one line of a page; return what it prints.

    A line of `postmill` and nothing else is done in this process, which need not load its libraries again.
    """
    typed = desk.put(command)
    capsys.readouterr()
    if typed.startswith("postmill ") and not _PROGRAM.search(typed.replace("'", "")):
        words = shlex.split(typed)[1:]
        if plans_anew(words):
            shutil.rmtree(desk.folder / RUN, ignore_errors=True)
        light(desk, words)
        assert postmill(*smaller(words)) == 0, command
        return capsys.readouterr().out
    # In a process of its own `light` has no say.
    done = shell(desk, re.sub(r"postmill train RUN\b(?! --model)", f"postmill train RUN --model {FEW[0]}", typed))
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def matches(expected: str, printed: str) -> bool:
    """Whether what is printed is what a page shows; `…` stands for anything, on a line of its own for any lines."""
    lines = [
        "(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + " *\n"
        for line in expected.strip().split("\n")
    ]
    return re.fullmatch("".join(lines), printed.strip() + "\n") is not None
