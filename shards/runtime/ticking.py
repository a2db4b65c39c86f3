"""Something that is done by the clock while other work goes on, however long a call into a library takes."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("postmill")


@contextmanager
def ticking(interval: float, tick: Callable[[], None]) -> Iterator[None]:
    """Call ``tick`` in a thread of its own every ``interval`` seconds during the block, and never after it.

    Where the system has no memory for a thread, it says so once and the block goes on without.
    """
    over = threading.Event()

    def run() -> None:
        while not over.wait(interval):
            tick()

    thread = started(run)
    try:
        yield
    finally:
        over.set()
        if thread is not None:
            thread.join()


def started(run: Callable[[], None]) -> threading.Thread | None:
    """Start a thread that no signal is delivered to, and that does not keep the process from ending.

    A signal that another thread took would not wake the main one from what it waits for. None where there is no memory
    for a thread, which is said.
    """
    thread = threading.Thread(target=run, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    except RuntimeError as error:
        log.info("%s: how far the work is will be said as pieces end, and not by the clock", error)
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
