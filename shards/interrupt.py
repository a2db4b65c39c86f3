"""Signals that ask the work to stop: what is in hand is dropped, what is done stays, exit code 75."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from shards.errors import Interrupted

# SIGTERM comes from schedulers and `kill`, SIGUSR2 ahead of a time limit, SIGINT from Ctrl-C.
SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise :class:`shards.errors.Interrupted` in the main thread when one of SIGNALS arrives during the block."""
    before = {number: signal.signal(number, _raise) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def install() -> None:
    """Do the same for the rest of this process: what a worker process calls first."""
    for number in SIGNALS:
        signal.signal(number, _raise)


def _raise(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:  # a second signal must not break the clean-up that the first one started
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(
        f"stopped by {signal.Signals(number).name}", hint="what was finished is kept: the same command carries on"
    )
