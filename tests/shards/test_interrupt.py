"""Signals: none is lost, whatever the code that it falls into does with exceptions."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from postmill.shards.run import publish
from postmill.shards.runtime import interrupt
from postmill.shards.runtime.errors import Interrupted
from postmill.shards.runtime.interrupt import interruptible


@pytest.mark.parametrize("number", interrupt.SIGNALS)
def test_a_signal_ends_the_block(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f"stopped by {number.name}"), interruptible():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def swallow() -> None:
    """Take a signal where its exception is lost."""
    with contextlib.suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def test_nothing_is_published_after_a_signal_that_was_swallowed(tmp_path: Path) -> None:
    with pytest.raises(Interrupted), interruptible():
        swallow()
        with publish.unit(tmp_path, "one", "run"):
            pass
    assert not list(tmp_path.iterdir())


def test_the_block_ends_with_a_swallowed_signal() -> None:
    with pytest.raises(Interrupted), interruptible():
        swallow()


def test_an_error_that_a_signal_was_turned_into_is_a_signal() -> None:
    with pytest.raises(Interrupted), interruptible():
        swallow()
        raise RuntimeError("query interrupted")


def test_a_signal_is_put_off_to_the_end_of_a_step() -> None:
    steps = []
    with pytest.raises(Interrupted), interruptible():
        with interrupt.held():
            with interrupt.held():
                signal.raise_signal(signal.SIGTERM)
            steps.append("made and noted")
        pytest.fail("it was lost")
    assert steps == ["made and noted"]


def test_a_block_within_another_leaves_the_signals_to_it() -> None:
    with pytest.raises(Interrupted), interruptible():
        with interruptible():
            pass
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the inner block took the handler away")


def test_a_signal_of_an_earlier_block_is_over() -> None:
    with contextlib.suppress(Interrupted), interruptible():
        os.kill(os.getpid(), signal.SIGUSR2)
    with interruptible():
        interrupt.check()


def test_no_handler_of_exceptions_takes_it() -> None:
    with pytest.raises(Interrupted), interruptible():
        with contextlib.suppress(Exception):
            signal.raise_signal(signal.SIGTERM)
        pytest.fail("it was swallowed")


class Finalised:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def __del__(self) -> None:
        if self.error is not None:
            raise self.error
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_in_a_finaliser_is_not_lost_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Interrupted), interruptible():
        Finalised(None)
        interrupt.check()
        pytest.fail("it was lost")
    assert capfd.readouterr().err == ""


def test_a_signal_at_the_very_end_of_a_block_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """It is raised on the way into the code that ends the block, which is then dropped instead."""
    before = signal.getsignal(signal.SIGTERM)
    block = interruptible()
    block.__enter__()
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)
    del block
    assert signal.getsignal(signal.SIGTERM) is before
    assert capfd.readouterr().err == ""
    with interruptible():
        interrupt.check()


def test_another_error_in_a_finaliser_is_reported_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: reported.append(unraisable.exc_type))
    with interruptible():
        Finalised(ValueError("a fault of its own"))
    assert reported == [ValueError]


@pytest.fixture
def half_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in the midst of whose import a signal comes."""
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGUSR2)\nwhole = True\n"
    (tmp_path / "half_a_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "half_a_module", raising=False)


@pytest.mark.usefixtures("half_a_module")
def test_a_module_is_imported_to_its_end_first() -> None:
    with pytest.raises(Interrupted), interruptible():
        import half_a_module  # type: ignore[import-not-found]

        assert half_a_module.whole
        time.sleep(10)
        pytest.fail("it was lost")


@pytest.mark.usefixtures("half_a_module")
def test_what_was_put_off_by_an_import_does_not_break_the_clean_up_of_what_was_raised_since() -> None:
    cleaned = []
    with pytest.raises(Interrupted), interruptible():
        import half_a_module  # type: ignore[import-not-found]  # noqa: F401

        try:
            interrupt.check()
        finally:
            time.sleep(5 * interrupt._LATER_S)
            cleaned.append("to the end")
    assert cleaned == ["to the end"]
