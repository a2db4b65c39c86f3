"""What is said of work that goes on: by the clock, with rates of what was done, at any width."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from pathlib import Path

import pytest

from postmill.shards.runtime.bars import bar_line
from postmill.shards.runtime.course import Course
from postmill.shards.runtime.pace import Contents, Stretch
from postmill.shards.runtime.progress import Lines, Silent, Within

LONG_LABEL = "encode text-with-comments-of-everybody"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_rate_is_of_what_was_done_now_and_in_what_the_units_hold(clock: Clock) -> None:
    work = Stretch("encode text", 10, "shards", 4, Contents(600, "posts"), clock)
    assert work.told() == "4 of 10 shards (40 %), less than 1 s, time left not known yet"
    work.advance(2, 300)
    clock.now += 100
    assert work.told() == "6 of 10 shards (60 %), 3.0 posts/s, 100 s, about 100 s left"
    work.advance(4, 300)
    assert work.ended() == "10 of 10 shards in 100 s, 6.0 posts/s"
    assert work.ended(failed=True).startswith("stopped at 10 of 10 shards after 100 s")


@pytest.mark.parametrize(
    ("done", "seconds", "rate"),
    [(3000, 10, "300 trainings/s"), (3, 90, "2.0 trainings/min"), (3, 36_000, "0.3 trainings/h"), (0, 60, "")],
)
def test_slow_work_has_its_rate_in_longer_times(clock: Clock, done: int, seconds: int, rate: str) -> None:
    work = Stretch("train fusion", None, "trainings", clock=clock)
    work.advance(done)
    clock.now += seconds
    assert work.rate == rate


def test_bytes_are_told_as_sizes(clock: Clock) -> None:
    work = Stretch("verify", 2_000_000, "bytes", clock=clock)
    work.advance(500_000)
    clock.now += 2
    assert work.told() == "500.0 kB of 2.0 MB (25 %), 250.0 kB/s, 2 s, about 6 s left"


def test_what_was_done_before_has_no_rate(clock: Clock) -> None:
    work = Stretch("ingest: windows", 2, "windows", 2, clock=clock)
    assert work.idle and work.ended() == "nothing to do, 2 of 2 windows done before"


def test_the_time_left_of_steps_that_are_alike_is_estimated_from_those_that_were_done(clock: Clock) -> None:
    course = Course(clock)
    with course.steps(["encode a", "encode b", "encode c", "encode d"], alike=True) as begin:
        begin("encode a")  # of which nothing is to do: it tells nothing of the others
        with course.track("encode a", 4, "shards", 4):
            assert course.overall() == "step 1 of 4: encode a, 25 % of all, time left not known yet"
        begin("encode b")
        with course.track("encode b", 4, "shards") as work:
            clock.now += 100
            work.advance(4)
        begin("encode c")
        with course.track("encode c", 4, "shards") as work:
            clock.now += 100
            work.advance(2)
            # c takes 200 s, of which 100 are left, and d the mean of 100 and 200
            assert course.overall() == "step 3 of 4: encode c, 50 % of all, about 4 min left"
    assert course.overall() == ""


def test_of_steps_that_differ_the_others_are_named_and_not_guessed(clock: Clock) -> None:
    course = Course(clock)
    with course.steps(["plan", "encode", "train"], alike=False) as begin:
        begin("encode")
        with course.steps(["encode a", "encode b"], alike=True) as inner:
            inner("encode a")
            with course.track("encode a", 10, "shards") as work:
                clock.now += 60
                work.advance(5)
                assert course.overall(" — ") == "step 2 of 3: encode — 25 % — about 3 min left, then train"
        begin("train")
        assert course.overall() == "step 3 of 3: train, time left not known yet"


def test_no_line_about_a_single_step(clock: Clock) -> None:
    course = Course(clock)
    with course.steps(["train mean"], alike=True) as begin:
        begin("train mean")
        assert course.overall() == ""


@pytest.mark.parametrize("width", [12, 20, 40, 60, 80, 200])
@pytest.mark.parametrize("total", [None, 0, 1234])
@pytest.mark.parametrize("label", ["plan", LONG_LABEL])
def test_a_bar_fits_and_names_what_it_is(clock: Clock, width: int, total: int | None, label: str) -> None:
    work = Stretch(label, total, "shards", 0, Contents(1_000_000, "posts"), clock)
    clock.now += 4000
    work.advance(617, 500_000)
    line = bar_line(work, width).plain
    assert len(line) <= width and line.startswith(label[:4])
    if total == 1234:
        assert "50 %" in line
        for least, words in ((40, "left"), (80, "617 of 1,234 shards"), (200, "posts/s"), (200, "━")):
            assert width < least or words in line


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_log_has_a_start_lines_by_the_clock_and_an_end_while_a_call_into_a_library_lasts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with Lines(interval=0.02).track("encode text", 2, "shards") as advance:
        while sum("1 of 2 shards (50 %)" in line for line in lines_of(caplog)) < 2:
            advance(1 if len(lines_of(caplog)) == 1 else 0)
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 200_000)
        advance(1)
    said = lines_of(caplog)
    assert said[0] == "encode text: 0 of 2 shards" and said[-1].startswith("encode text: 2 of 2 shards in ")
    assert len(said) >= 4
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("(run)")], "it says something still"


def test_work_that_is_not_counted_is_told_by_the_clock_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Lines(interval=0.02).track("encode text: loading a model", None):
        while len(lines_of(caplog)) < 3:
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 100_000)
    assert lines_of(caplog)[0] == "encode text: loading a model: begins"
    assert re.fullmatch(r"encode text: loading a model: (less than 1|\d+) s", lines_of(caplog)[1])


def test_steps_are_told_as_they_begin_and_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = Lines()
    with lines.steps(["plan", "train"], alike=False) as begin:
        begin("plan")
        with lines.steps(["a", "b"]) as inner:
            inner("a")
        begin("train")
    assert [line.partition(" in ")[0] for line in lines_of(caplog)] == [
        "step 1 of 2: plan",
        "step 1 of 2: plan: done",
        "step 2 of 2: train",
        "step 2 of 2: train: done",
    ]


def test_work_that_fails_says_how_far_it_came_and_ends_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = threading.active_count()
    with pytest.raises(ValueError, match="x"), Lines().track("train fusion", 20, "trainings") as advance:
        advance(3)
        raise ValueError("x")
    assert lines_of(caplog)[-1].startswith("train fusion: stopped at 3 of 20 trainings after ")
    assert threading.active_count() == before


def test_steps_of_something_with_a_bar_are_told_by_the_clock() -> None:
    class Kept(Silent):
        notes: list[str] = []  # noqa: RUF012

        def note(self, message: str) -> None:
            self.notes.append(message)

    outer = Kept()
    with Within(outer, interval=0.02).track("ingest: windows", 5, "windows", 4) as advance:
        advance(1)
        while not outer.notes:
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 100_000)
    assert outer.notes[0].startswith("ingest: windows: 5 of 5 windows (100 %)")


def test_a_terminal_names_the_step_at_every_width(tmp_path: Path) -> None:
    from rich.console import Console

    from postmill.shards.runtime.bars import Bars

    for width in (40, 80, 200):
        console = Console(width=width, record=True, force_terminal=True, file=(tmp_path / "out").open("w"))
        bars = Bars(console)
        with bars.course.steps(["plan", "ingest", "encode", "train", "report"], alike=False) as begin:
            begin("encode")
            with bars.course.track("encode text-with-comments", 16, "shards"):
                console.print(bars)
        lines = console.export_text().splitlines()
        assert len(lines) == 2 and lines[0].startswith("step 3 of 5: encode") and lines[1].startswith("encode text-w")
        assert all(len(line) <= width for line in lines)
