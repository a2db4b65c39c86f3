"""Independent pieces of work, done one after another or by worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for

from shards.errors import EXIT_INTERRUPTED, Interrupted, PostmillError
from shards.interrupt import held, interruptible

Work = Callable[[], None]
_FROM_TERMINALS = (signal.SIGINT, signal.SIGUSR2)  # which, and some schedulers, send them to every process


def perform(work: Sequence[Work], workers: int) -> Generator[None, None, None]:
    """Do all of ``work``, yielding as each piece ends; on an exception the other workers drop what is in hand.

    Args:
        work: Pieces that do not depend on each other, in the order in which to begin them.
        workers: How many processes; with 1 this process does everything.

    Raises:
        PostmillError: A piece failed, or a worker was killed.
        Interrupted: A signal came.
    """
    if workers == 1 or len(work) < 2:
        for each in work:
            each()
            yield
        return
    context = multiprocessing.get_context("spawn")
    with _blocked():  # starts a process too, which keeps count of semaphores
        executor = ProcessPoolExecutor(min(workers, len(work)), mp_context=context, initializer=_begin)
    complete = False
    try:
        with held(), _blocked():
            pending = {executor.submit(_interruptibly, each) for each in work}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                yield
        complete = True
    except BrokenProcessPool as error:
        raise PostmillError(
            "a worker process was killed, most likely for want of memory",
            place="--workers",
            hint="run the same command again with fewer workers: each holds one window in memory",
        ) from error
    finally:
        with held():
            if not complete:
                for child in multiprocessing.active_children():
                    child.terminate()
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _blocked() -> Iterator[None]:
    """Put off what terminals send; processes started in the block are born so, and ignore it when they can."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FROM_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interruptibly(work: Work) -> None:
    """Let a signal end the worker, between pieces of work at once, within one after the clean-up.

    A worker that went on would wait for more work, for ever where another was killed while it held the queue's lock.
    """
    interrupted = False
    try:
        with interruptible():
            work()
    except Interrupted:
        interrupted = True
    if interrupted:  # the exception is gone, and with it what its frames held
        os._exit(EXIT_INTERRUPTED)


def _begin() -> None:
    """Prepare a worker process: only its parent decides when it ends, and it does not outlive its parent."""
    for number in _FROM_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FROM_TERMINALS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(EXIT_INTERRUPTED)  # no clean-up: the temporaries are unlocked by this and swept by the next start
