"""Signals that ask the work to stop: what is in hand is dropped, what is done stays, exit code 75.

The exception that a signal raises can be lost: in a finaliser, in a callback of C code, in a bare ``except``. So the
signal is remembered too, and :func:`check` raises it again where the next piece of work would begin. And it can come
at a bad moment, between making a thing and knowing of it: :func:`held` puts it off to the end of such a step.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType

from postmill.shards.runtime.errors import Interrupted

# SIGTERM comes from schedulers and `kill`, SIGUSR2 ahead of a time limit, SIGINT from Ctrl-C, SIGHUP where a terminal
# is closed or a connection breaks.
SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP)
_LATER_S = 0.02

_arrived: list[int] = []  # at most one: the first that came in the present block
_raised: list[None] = []  # not empty when that one has been raised
_holding: list[None] = []  # one for each block of `held` that is open


def minded() -> tuple[signal.Signals, ...]:
    """Return those of SIGNALS that are to be minded: `nohup` has a command go on when its terminal is closed."""
    return tuple(n for n in SIGNALS if n is not signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN)


def end_at_once() -> None:
    """Let one of SIGNALS end the process, with the exit code and the words of an interrupted command, from now on.

    For while the program loads: nothing has begun, and an exception amid an import could be lost.
    """
    for number in minded():
        signal.signal(number, _end)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise :class:`.errors.Interrupted` in the main thread when one of SIGNALS arrives during the block.

    However the block ends after a signal, with no exception or another one, it ends with Interrupted. A block within
    another changes nothing but that.
    """
    if signal.getsignal(signal.SIGTERM) is _raise or _arrived:
        try:
            yield
        finally:
            check()
        return
    before = {number: signal.signal(number, _raise) for number in minded()}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _deliver)
    hook = sys.unraisablehook
    sys.unraisablehook = partial(_report_unraisable, hook)
    dropped = False
    try:
        yield
    except GeneratorExit:  # a signal came just as the block was left, before its end was run: it is on its way
        dropped = True
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        try:
            if not dropped:
                check()
        finally:
            _arrived.clear()
            _raised.clear()


@contextmanager
def held() -> Iterator[None]:
    """Put off a signal that arrives during the block, which should be short, to its end."""
    _holding.append(None)
    try:
        yield
    finally:
        _holding.pop()
        if not _holding:
            check()


def check() -> None:
    """Raise :class:`.errors.Interrupted` if a signal has arrived in the present block."""
    if _arrived:
        _raised[:] = [None]
        raise Interrupted(f"stopped by {signal.Signals(_arrived[0]).name}")


def answer(number: signal.Signals) -> bool:
    """Take the signal that arrived as answered, by work that was to go on until it came; False if it is another one."""
    if _arrived != [number]:
        return False
    _arrived.clear()
    _raised.clear()
    for stopping in minded():
        signal.signal(stopping, _raise)
    return True


def _raise(number: int, frame: FrameType | None) -> None:
    for stopping in minded():  # a second signal must not break the clean-up that the first one started
        signal.signal(stopping, _pass)
    _arrived.append(number)
    _deliver(signal.SIGALRM, frame)


def _end(number: int, frame: FrameType | None) -> None:
    error = Interrupted(f"stopped by {signal.Signals(number).name}")
    with suppress(OSError):  # standard error is closed, or full
        os.write(2, f"error: {error.cause}\n  next:  {error.hint}\n".encode())
    os._exit(error.exit_code)


def _deliver(_: int, frame: FrameType | None) -> None:
    """Raise what has arrived, but not while a module is imported: later.

    An exception from within the making of a module leaves half of it behind, and native ones end the process by it.
    What :func:`check` has raised meanwhile is on its way: a second one would break the clean-up.
    """
    if _raised:
        return
    if _importing(frame):
        signal.setitimer(signal.ITIMER_REAL, _LATER_S)
    elif not _holding:
        check()


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _report_unraisable(hook: Callable[[sys.UnraisableHookArgs], object], unraisable: sys.UnraisableHookArgs) -> None:
    """Print no traceback of a signal that came in a finaliser: it is remembered."""
    if unraisable.exc_type is not Interrupted:
        hook(unraisable)


def _pass(number: int, frame: FrameType | None) -> None:
    """Take a signal and do nothing; of one that came just before SIG_IGN was set, Python prints a traceback."""
