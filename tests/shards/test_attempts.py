"""Attempts are counted rightly, whoever writes at the same time and whatever a kill leaves."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import Interrupted, PostmillError
from postmill.shards.state import attempts
from postmill.shards.state.attempts import TaskRecord
from postmill.shards.state.tasks import Task

TASK = Task(3, 8)
ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from pathlib import Path
from postmill.shards.state import attempts
from postmill.shards.run.folder import Run
from postmill.shards.state.tasks import Task
run = Run(Path(sys.argv[1]), "0", {}, {}, {})
with attempts.recorded(run, "windows", Task(3, 8), {"job": sys.argv[2]}):
    print("begun", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path, "0", {}, {}, {})


def once(run: Run, error: BaseException | None = None, **facts: object) -> None:
    try:
        with attempts.recorded(run, "windows", TASK, facts):
            if error is not None:
                raise error
    except BaseException as raised:
        if raised is not error:
            raise


def only(run: Run) -> TaskRecord:
    (record,) = attempts.read(run)
    return record


@pytest.fixture
def hold(run: Run) -> Callable[[str], subprocess.Popen[str]]:
    def start(job: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(run.folder), job], cwd=ROOT, stdin=-1, stdout=-1, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        return process

    return start


def test_what_a_record_says(run: Run) -> None:
    once(run, host="n1", job="5_3", restarts=2, log="/l")
    record = only(run)
    assert (record.stage, record.task, record.running, record.failures, record.failed) == (
        "windows",
        TASK,
        False,
        0,
        False,
    )
    (attempt,) = record.attempts
    assert (attempt.code, attempt.host, attempt.job, attempt.restarts, attempt.log) == (0, "n1", "5_3", 2, "/l")
    assert attempt.ended is not None and attempt.ended >= attempt.started


def test_failures_are_counted_since_the_last_success_and_interruptions_are_none(run: Run) -> None:
    counted = []
    for error in (PostmillError("x"), Interrupted("y"), ValueError("z"), None, KeyError("k")):
        once(run, error)
        counted.append((only(run).failures, only(run).failed, only(run).attempts[-1].code))
    assert counted == [(1, True, 1), (1, False, 75), (2, True, 1), (0, False, 0), (1, True, 1)]


def test_a_running_task_is_told_from_a_killed_one(run: Run, hold: Callable[[str], subprocess.Popen[str]]) -> None:
    process = hold("9_3")
    assert only(run).running and not only(run).failed and only(run).failures == 0
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not only(run).running and only(run).failed and only(run).failures == 1


def test_a_task_that_the_scheduler_cut_short_and_started_again_did_not_fail(
    run: Run, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    for job in ("9_3", "10_3"):
        process = hold(job)
        process.kill()
        process.communicate()
    once(run, Interrupted("y"), job="10_3")
    assert only(run).failures == 1, "job 9_3 was never started again, job 10_3 was"


def test_two_at_once_and_a_line_torn_by_a_kill_spoil_nothing(
    run: Run, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    both = [hold("1"), hold("2")]
    path = next(attempts.folder(run).iterdir())
    with path.open("ab") as file:
        file.write(b'{"event": "start", "att')
    for process in both:
        process.communicate("\n")
    once(run)
    assert [attempt.code for attempt in only(run).attempts] == [0, 0, 0]


def test_files_that_are_no_records_and_lines_that_are_no_events_are_passed_over(run: Run) -> None:
    once(run)
    (attempts.folder(run) / "notes.txt").write_text("x")
    with next(attempts.folder(run).glob("*.jsonl")).open("a") as file:
        file.write("\n[]\n3\n" + json.dumps({"event": "end", "attempt": 4, "time": 1.0}) + "\n")
    assert len(only(run).attempts) == 1


def test_a_record_that_cannot_be_written_stops_the_task_and_says_why(run: Run) -> None:
    run.logs.write_text("in the way")
    with pytest.raises(PostmillError, match="cannot be written"):
        once(run)


def test_the_tail_of_a_log(run: Run, tmp_path: Path) -> None:
    log = run.logs / "a.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * 100_000 + b"\n" + b"".join(b"line %d\n\n" % n for n in range(30)) + b"\xff last")
    assert attempts.tail(run, str(log), 3) == ["line 28", "line 29", "\ufffd last"]
    assert attempts.tail(run, str(run.logs / "none")) == attempts.tail(run, "") == []


def test_no_log_is_read_that_is_no_file_below_the_logs(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("not of this run\n")
    run.logs.mkdir()
    (run.logs / "link").symlink_to(outside)
    os.mkfifo(run.logs / "pipe")
    for log in (outside, run.logs / "link", run.logs / ".." / ".." / "outside", run.logs / "pipe", "/etc/passwd", "\0"):
        assert attempts.tail(run, str(log)) == []


def test_a_stage_of_encoders() -> None:
    stage = attempts.encode_stage(("text", "text-with-comments"))
    assert attempts.encodes(stage, "text") and attempts.encodes(stage, "text-with-comments")
    assert not attempts.encodes(stage, "image") and not attempts.encodes("train", "image")
    assert attempts.encodes(attempts.encode_stage(), "image")


@pytest.mark.parametrize("locks", ["missing", "of one node"])
def test_without_working_locks_a_running_task_of_this_machine_is_told_by_its_process(
    run: Run, hold: Callable[[str], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, locks: str
) -> None:
    if locks == "missing":
        monkeypatch.delattr(fcntl, "flock")
    else:
        monkeypatch.setattr(fcntl, "flock", lambda fd, operation: None)
    process = hold("9_3")
    assert only(run).running and only(run).failures == 0
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not only(run).running and only(run).failures == 1
    once(run)
    assert only(run).failures == 0


def test_a_record_on_a_full_disk_stops_a_task_that_has_not_begun_and_no_other(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    caplog.set_level("INFO")
    with attempts.recorded(run, "windows", TASK, {}):
        monkeypatch.setattr(os, "write", write)
    assert "cannot be written (No space left on device)" in caplog.text
    with pytest.raises(PostmillError, match="No space left"):
        once(run)
