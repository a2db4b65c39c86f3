"""Ctrl-C is answered at once, whatever Python is in, and ends a command with 75 whenever it comes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.outputs.terminals import CTRL_C, PATIENCE_S, AtTerminal, program

ANSWER = "Ctrl-C: stopping; the shard in hand is dropped, what is done stays; press Ctrl-C again to end at once"

# `postmill sample` with a long call of C in the place of its work: no handler of Python's runs in it.
NATIVE = """import hashlib, os, threading
from postmill.ingest.sample import write
def work(folder, posts, influencers, seed, progress, effect):
    with progress.track("encode text", 3, "shards") as advance:
        threading.Timer(0.5, os.write, (2, b"the call begins\\n")).start()  # when this thread is within it
        try:
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", {rounds})
        finally:
            os.write(2, b"the call has ended\\n")
        raise SystemExit("it was not interrupted")
write.write_sample = work
"""
SHORT, ENDLESS = 4_000_000, 2**31 - 1  # a second or two, and an hour


@pytest.mark.parametrize("columns", [40, 200])
def test_the_answer_comes_before_a_call_into_a_library_has_ended(tmp_path: Path, columns: int) -> None:
    shown = AtTerminal([*program(tmp_path, NATIVE.format(rounds=SHORT)), "sample", tmp_path / "data"], columns)
    shown.until("the call begins")
    shown.press(CTRL_C)
    assert shown.end() == 75
    text = shown.text.replace("\r\n", "\n")
    assert text.index(ANSWER) < text.index("the call has ended") < text.index("error: stopped by SIGINT")
    assert "Traceback" not in text


def test_a_second_one_ends_it_within_the_call(tmp_path: Path) -> None:
    shown = AtTerminal([*program(tmp_path, NATIVE.format(rounds=ENDLESS)), "sample", tmp_path / "data"])
    shown.until("the call begins")
    shown.press(CTRL_C)
    shown.until("press Ctrl-C again to end at once")
    shown.press(CTRL_C)
    assert shown.end() == 75
    assert "error: stopped by a second Ctrl-C" in shown.text and "the same command carries on" in shown.text
    assert "the call has ended" not in shown.text and "Traceback" not in shown.text
    assert shown.raw.rindex(b"\x1b[?25h") > shown.raw.rindex(b"\x1b[?25l"), "the cursor stays hidden"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT])
def test_a_log_has_the_answer_with_the_name_of_the_signal(tmp_path: Path, number: signal.Signals) -> None:
    words = [*program(tmp_path, NATIVE.format(rounds=SHORT)), "sample", str(tmp_path / "data")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line == "the call begins\n":
            process.send_signal(number)
    assert process.wait(PATIENCE_S) == 75
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    answers = [place for place, line in enumerate(said) if f"{name}: stopping; the shard in hand is dropped" in line]
    assert len(answers) == 1 and answers[0] < said.index("the call has ended\n"), said


TIDY = """def tidy():
    import time
    os.write(2, b"it tidies\\n")
    time.sleep(1)
    os.write(2, b"it is tidy\\n")
"""


def test_a_second_signal_of_a_scheduler_does_not_break_the_clean_up(tmp_path: Path) -> None:
    """Only who presses Ctrl-C twice asks for it."""
    text = NATIVE.format(rounds=SHORT).replace('os.write(2, b"the call has ended\\n")', "tidy()")
    words = [*program(tmp_path, TIDY + text), "sample", str(tmp_path / "data")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line in ("the call begins\n", "it tidies\n"):
            process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 75 and "it is tidy\n" in said
    assert sum("SIGTERM: stopping" in line for line in said) == 1


AT_EXIT = """import atexit, os, signal
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
"""
AS_MODULES_GO = """import os, signal, sys
class Late:
    kill, pid, number = os.kill, os.getpid(), signal.SIGINT
    def __del__(self):
        self.kill(self.pid, self.number)
sys.late = Late()
"""
# A first one amid the work, and then another as Python ends.
BEFORE = """import os, signal
from postmill.ingest.sample import write
write.write_sample = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize("late", [AT_EXIT, AS_MODULES_GO])
@pytest.mark.parametrize(("first", "code"), [("", 0), (BEFORE, 75)])
def test_one_that_comes_while_python_ends_changes_nothing(tmp_path: Path, late: str, first: str, code: int) -> None:
    words = [*program(tmp_path, late + first), "sample", str(tmp_path / "data"), "--posts", "20", "--influencers", "4"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
