"""A signal is answered at once, while Python is inside a library's call too; a second Ctrl-C ends the process there.

A handler of Python's runs only between two of its instructions, which within an eigendecomposition or a query may be
minutes apart. So the C handler, which runs at once, writes the number into a pipe (``signal.set_wakeup_fd``), and a
thread reads it there and says what will happen. What happens is :mod:`.interrupt`'s: the exception comes when the call
returns. A second Ctrl-C says that this is too late: the process ends, as by SIGKILL, which every command can carry on
from; worker processes end with it, for the pipe that their work comes from does.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from postmill.shards.runtime import interrupt
from postmill.shards.runtime.errors import EXIT_INTERRUPTED
from postmill.shards.runtime.ticking import started

_OVER = b"\0"  # no signal has the number 0


@contextmanager
def announced(say: Callable[[signal.Signals], None], last: Callable[[], None]) -> Iterator[None]:
    """Call ``say`` from another thread as soon as one of the signals comes that ask the work to stop.

    Within a block of another, or outside the main thread, nothing is changed.

    Args:
        say: Told of the first signal. May take locks: it is called in no handler.
        last: Called before a second signal, SIGINT, ends the process with exit code 75. Must take none.
    """
    here = threading.current_thread() is threading.main_thread()
    with ExitStack() as stack:
        with interrupt.held():
            if here and _begin(stack, say, last):
                stack.callback(signal.set_wakeup_fd, -1)
        yield


def _begin(stack: ExitStack, say: Callable[[signal.Signals], None], last: Callable[[], None]) -> bool:
    """Start the thread that reads the pipe; False where a block around this one has its own."""
    read, write = os.pipe()
    os.set_blocking(write, False)  # which Python demands: a handler must not wait
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    thread = started(lambda: _listen(read, say, last)) if before == -1 else None
    if thread is None:
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)
        return False
    stack.callback(_end, thread, read, write)
    return True


def _end(thread: threading.Thread, read: int, write: int) -> None:
    with interrupt.held():
        os.write(write, _OVER)
        thread.join()
        os.close(write)
        os.close(read)


def _listen(read: int, say: Callable[[signal.Signals], None], last: Callable[[], None]) -> None:
    came = False
    while True:
        for number in os.read(read, 64):
            if number == 0:
                return
            if number not in interrupt.SIGNALS:
                continue
            if came and number == signal.SIGINT:
                try:
                    last()
                finally:
                    os._exit(EXIT_INTERRUPTED)
            if not came:
                came = True
                say(signal.Signals(number))
