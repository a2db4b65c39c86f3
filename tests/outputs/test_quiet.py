"""`--quiet`: results, warnings and errors are said, progress and what only reassures are not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from postmill.cli import app
from postmill.console.output import NotesAlone
from postmill.ingest.sample.write import write_sample
from postmill.shards.runtime.progress import Lines
from tests.outputs.test_widths import piped

Said = Callable[..., subprocess.CompletedProcess[str]]
GROUP: Any = typer.main.get_command(app)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quiet")
    write_sample(folder / "data", posts=60, influencers=8, seed=3)
    return folder / "data"


def test_every_command_can_be_quiet() -> None:
    assert all(any("-q" in each.opts for each in command.params) for command in GROUP.commands.values())


def test_a_sample_that_was_written_is_no_news(tmp_path: Path) -> None:
    done = piped("sample", tmp_path / "data", "--posts", 40, "--influencers", 8, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "data" / "truth.json").is_file()


def test_results_and_warnings_are_said_and_progress_is_not(data: Path) -> None:
    run = data.parent / "run"
    planned = piped("plan", data, run, "-q")
    assert "plan: " in planned.stdout and "on disk when it is packed" not in planned.stdout
    assert "faults: " in planned.stdout, "what was wrong with the input"
    assert " rows" not in planned.stderr and "/s" not in planned.stderr
    waiting = piped("ingest", run, "--stage", "metadata", "-q")
    assert "ingest metadata" not in waiting.stdout and waiting.stderr == ""
    unfinished = piped("verify", run, "-q")
    assert unfinished.stdout.startswith("not done yet: ") and "as it should be" not in unfinished.stdout
    assert piped("ingest", run, "-q").returncode == 0
    finished = piped("verify", run, "--quiet")
    assert "as it should be" not in finished.stdout + finished.stderr and "bytes" not in finished.stderr
    assert "1/1" in piped("status", run, "--quiet").stdout
    assert "metadata_missing" in piped("faults", run, "--quiet").stdout


def test_errors_are_said(tmp_path: Path) -> None:
    done = piped("verify", tmp_path, "-q")
    assert done.returncode == 2 and done.stderr.startswith("error: ")


def test_what_must_not_be_missed_is_said(caplog: pytest.LogCaptureFixture) -> None:
    quiet = NotesAlone(Lines())
    with caplog.at_level("INFO"), quiet.track("posts", 1) as advance:
        advance(1)
        quiet.note("a model stands in for another")
    assert caplog.messages == ["a model stands in for another"]


def test_the_version_has_a_short_name() -> None:
    assert piped("-V").stdout == piped("--version").stdout != ""
