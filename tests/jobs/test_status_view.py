"""What `postmill status` looks like: no stage is cut, what is watched fits the screen, a pipe has what changed."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from postmill.jobs import show
from postmill.jobs.slurm import Job, JobMark
from postmill.shards.run.folder import Run
from postmill.shards.state.status import FailedTask, StageStatus, Status
from tests.outputs.terminals import CTRL_C, AtTerminal

ENCODERS = [
    "encode text.all-mpnet-base-v2",
    "encode text.all-MiniLM-L6-v2",
    "encode text-with-comments.all-mpnet-base-v2",
    *("encode sentiment.distilbert-base-uncased-finetuned-sst-2-english", "encode image.clip", "encode metadata"),
]
STAGES = ["plan", "metadata", "windows", "spanning", *ENCODERS, "train", "report"]
JOBS = [Job("1", n, state, "", JobMark("r", "windows", 0, 9)) for n, state in enumerate(["RUNNING", "PENDING"])]


@pytest.fixture
def told() -> Status:
    """A run in which everything is long."""
    stages = tuple(StageStatus(name, 9600, 4821, 64, 3, 4712, 189 * 10**9, 1234.0, 140_000.0) for name in STAGES)
    failed = FailedTask("windows", 3, 760, 3, True, 1, "node-17", "/a/log", tuple(f"line {n}" for n in range(10)))
    faults = {"no_image": 18, "metadata_unreadable": 3, "image_missing": 1}
    return Status(stages, 9_000_000, 1200, 30, 500_000, 7, 0, faults, (failed,), False)


def lines(told: Status, width: int, height: int | None = None) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, height=height or 200)
    console.print(show.status_view("run", told, JOBS, width, height))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_stage_loses_its_name_and_none_takes_two_lines(told: Status, width: int) -> None:
    shown = lines(told, width)
    rows = [line for line in shown if "4,821/9,600" in line]
    assert len(rows) == len(STAGES) and all(len(line) <= width for line in shown[: len(STAGES) + 4])
    for stage, row in zip(STAGES, rows, strict=True):
        encoder = stage.partition(".")[0]
        alone = sum(other.partition(".")[0] == encoder for other in STAGES) == 1
        assert row.split("  ")[0].strip() == (encoder if alone else stage)
    assert ("bytes" in shown[1]) == (width >= 100) and "left" in shown[1]


def test_a_narrow_terminal_has_the_names_and_what_is_done(told: Status) -> None:
    shown = lines(Status(**{**vars(told), "stages": told.stages[:4] + told.stages[6:]}), 40)
    assert "stage" in shown[1] and "done" in shown[1] and "running" not in shown[1]
    assert any(line.split() == ["encode", "text-with-comments", "4,821/9,600"] for line in shown)


@pytest.mark.parametrize("height", [23, 40])
def test_what_is_watched_fits_with_faults_and_jobs(told: Status, height: int) -> None:
    shown = lines(told, 80, height)
    assert len(shown) <= height
    text = "\n".join(shown)
    assert "no_image 18, metadata_unreadable 3" in text and "Slurm: windows 1 RUNNING, 1 PENDING" in text
    assert "windows task 3/760" in text


def test_every_field_of_the_json_stands_in_the_document() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "slurm.md").read_text()
    tables = "".join(line for line in text[text.index("`status --json`") :].splitlines(True) if line.startswith("|"))
    fields = {field.name for kind in (Status, StageStatus, FailedTask) for field in dataclasses.fields(kind)}
    assert {name for name in fields | {"jobs"} if f"`{name}`" not in tables} == set()


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's client, and no cluster."""
    path = tmp_path / "bin" / "squeue"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nprintf 'squeue: error: resolve_ctls_from_dns_srv\\nsqueue: fatal: x\\n' >&2\nexit 1\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("squeue")
@pytest.mark.parametrize("columns", [40, 80])
def test_watching_at_a_terminal_repeats_no_header_and_says_nothing_of_squeue(
    planned: Callable[..., Run], columns: int
) -> None:
    run = planned(1, list(range(10)), 0)
    text = f"""from pathlib import Path
from postmill.console import checks
from postmill.shards.run.folder import open_run
from postmill.shards.runtime.interrupt import interruptible
with interruptible():
    checks.watch_status(open_run(Path({str(run.folder)!r})), 0.05)
"""
    shown = AtTerminal([sys.executable, "-c", text], columns)
    shown.until("no scheduler answers here", times=4)
    shown.press(CTRL_C)
    assert shown.end() == 0
    assert "squeue" not in shown.text and "stopping" not in shown.text
    frames = shown.raw.count(b"stage")
    assert frames >= 3 and shown.raw.count(b"\x1b[2K") >= (frames - 1) * 5, "each look goes over the one before"
    assert shown.raw.count(b"\n") < 24 * frames


@pytest.mark.usefixtures("squeue")
def test_watching_in_a_pipe_prints_what_has_changed(planned: Callable[..., Run], ingested: Callable[..., None]) -> None:
    run = planned(1, list(range(3)), 0)
    text = f"""from pathlib import Path
from postmill.console import checks
from postmill.shards.run.folder import open_run
from postmill.shards.runtime.interrupt import interruptible
with interruptible():
    checks.watch_status(open_run(Path({str(run.folder)!r})), 0.05)
"""
    watching = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    try:
        for done in range(3):
            said = next(line for line in watching.stdout if line.startswith("windows"))
            assert said.split()[1] == f"{done}/3"
            ingested(run, done, spools=["metadata-000000"] if done else [])
    finally:
        watching.kill()
        watching.communicate()
