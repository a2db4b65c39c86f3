"""Each call on this machine leaves a log in the run: what it was told, what it said, and how it ended."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.console import journal
from postmill.ingest.sample.write import write_sample
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import log
from tests.outputs.terminals import AtTerminal

PROGRAM = [sys.executable, "-m", "postmill.cli"]


def logs(run: Path) -> list[Path]:
    return sorted((run / "logs" / "local").glob("*"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal") / "data"
    write_sample(folder, posts=40, influencers=8, seed=3)
    return folder


@pytest.fixture
def planned(data: Path, tmp_path: Path) -> Path:
    done = subprocess.run([*PROGRAM, "plan", data, tmp_path / "run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tmp_path / "run"


def test_a_call_has_its_words_its_progress_and_its_end(data: Path, planned: Path) -> None:
    (path,) = logs(planned)
    said = path.read_text().splitlines()
    assert f"postmill plan {data} {planned}" in said[0] and "plan: join: 6 of 6 steps" in path.read_text()
    assert said[-1].endswith("ends with exit code 0") and path.name.split("-")[-2] == "plan"
    checked = subprocess.run([*PROGRAM, "verify", planned], capture_output=True, text=True)
    assert checked.returncode == 0, "it is no stray: " + checked.stderr


def test_a_terminal_has_bars_and_the_log_has_lines(planned: Path) -> None:
    shown = AtTerminal([*PROGRAM, "ingest", planned])
    assert shown.end() == 0
    text = logs(planned)[-1].read_text()
    assert "ingest: windows: 0 of 1 windows" in text and "step 3 of 3: ingest spanning: done" in text
    assert "step 3 of 3: ingest spanning: done" not in shown.text


def test_a_refused_call_has_the_words_of_its_error(planned: Path) -> None:
    done = subprocess.run([*PROGRAM, "train", planned], capture_output=True, text=True)
    assert done.returncode != 0
    error = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    text = logs(planned)[-1].read_text()
    assert error in text and f"ends with exit code {done.returncode}" in text


def test_no_log_is_left_where_there_is_no_run(tmp_path: Path) -> None:
    assert subprocess.run([*PROGRAM, "ingest", tmp_path / "none"], capture_output=True).returncode == 2
    assert not (tmp_path / "none").exists()


def test_no_log_where_a_scheduler_keeps_one(planned: Path) -> None:
    words = [*PROGRAM, "ingest", planned, "--task", "0/1"]
    subprocess.run(words, capture_output=True, check=True, env={**os.environ, "SLURM_JOB_ID": "1"})
    assert len(logs(planned)) == 1


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run.json").touch()
    return tmp_path


def test_what_is_secret_in_an_address_is_not_written(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "https://me:hunter2@host/a.zip?X-Amz-Signature=abcdef0123"
    monkeypatch.setattr(sys, "argv", ["postmill", "plan", secret, "run"])
    with pytest.raises(PostmillError), journal.kept(run, "plan", log):
        log.warning("reading %s", secret)
        raise PostmillError("cannot be read", place=secret)
    text = logs(run)[0].read_text()
    assert "host/a.zip" in text and text.count("\n") >= 4
    assert "hunter2" not in text and "abcdef0123" not in text


def test_the_last_fifty_are_kept_and_nothing_else_is_touched(run: Path) -> None:
    folder = run / "logs" / "local"
    folder.mkdir(parents=True)
    for number in range(60):
        (folder / f"2026-01-01T00-00-{number:02d}-train-7.log").touch()
    (folder / "1-mine.log").touch()
    with journal.kept(run, "train", log):
        pass
    assert len(logs(run)) == journal.KEPT + 1 and (folder / "1-mine.log").exists()


@pytest.mark.parametrize("of", ["logs", "local"])
def test_no_link_is_followed_out_of_the_run(run: Path, tmp_path_factory: pytest.TempPathFactory, of: str) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    link = run / "logs" if of == "logs" else run / "logs" / "local"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    with journal.kept(run, "train", log):
        pass
    assert list(elsewhere.iterdir()) == []


def test_a_disk_that_cannot_be_written_stops_nothing_and_is_said_once(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (run / "logs").write_text("in the way")
    with journal.kept(run, "train", log):
        log.info("one")
        log.info("two")
    assert sum("this call leaves no log there" in record.getMessage() for record in caplog.records) == 1
