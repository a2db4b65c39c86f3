"""Independent pieces of work, done one after another or by worker processes.

The processes are started and spoken to here, over a pipe each way, and not by concurrent.futures: its pool shares a
lock among the workers and starts threads in the parent, so a worker that is killed, or a thread that finds no memory,
can leave everybody waiting for ever. Here nothing is shared, and whoever ends is noticed by the end of its pipe.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import NamedTuple

from postmill.shards.runtime import children
from postmill.shards.runtime.cores import cores
from postmill.shards.runtime.errors import EXIT_INTERRUPTED, Interrupted, PostmillError
from postmill.shards.runtime.interrupt import held, interruptible

WorkItem = Callable[[], None]
Outcome = PostmillError | MemoryError | None
Perform = Callable[[Sequence[WorkItem]], Iterator[int]]
"""Does pieces of work, and yields the place among them of each as it ends."""


class _Worker(NamedTuple):
    process: subprocess.Popen[bytes]
    orders: Connection[WorkItem, None]
    outcomes: Connection[None, Outcome]


@contextmanager
def workforce(count: int, preload: str = "") -> Iterator[Perform]:
    """Provide a function that does pieces of work and yields the place of each as it ends.

    The pieces do not depend on each other; they are begun in their order. When one fails, the block should be left:
    its end makes the other workers drop what they have in hand.

    Args:
        count: How many processes; with 1 this process does everything. As many as there are cores are started at once,
            the others where there is work for them.
        preload: The module that the work is made of, which the processes load while this one makes the work ready.

    Raises:
        PostmillError: A piece failed, or a worker was killed.
        Interrupted: A signal came, here or to a worker.
    """
    workers: list[_Worker] = []
    complete = False
    try:
        _start_workers(workers, min(count, cores()) if count > 1 else 0, preload)
        yield partial(_perform, workers, count, preload)
        complete = True
    finally:
        with held():
            for worker in workers:
                if complete:
                    worker.orders.close()
                else:  # its orders stay open until it has cleaned up, for their end ends it at once
                    worker.process.terminate()
            for worker in workers:
                worker.process.wait()
                worker.orders.close()
                worker.outcomes.close()


def alone(work: Sequence[WorkItem]) -> Iterator[int]:
    """Do ``work`` in this process, yielding the place of each piece as it ends."""
    for number, item in enumerate(work):
        item()
        yield number


def _start_workers(workers: list[_Worker], count: int, preload: str) -> None:
    """Start workers until there are ``count``."""
    while len(workers) < count:
        with held():
            workers.append(_start_worker(preload))


def _perform(workers: list[_Worker], count: int, preload: str, work: Sequence[WorkItem]) -> Iterator[int]:
    if count < 2 or len(work) < 2:
        yield from alone(work)
        return
    _start_workers(workers, min(count, len(work)), preload)
    left = iter(enumerate(work))
    busy: dict[_Worker, int] = {}  # what each has in hand
    for worker, (number, item) in zip(workers, left, strict=False):
        _give(worker, item)
        busy[worker] = number
    while busy:
        readable = wait([worker.outcomes for worker in busy])
        for worker in [worker for worker in busy if worker.outcomes in readable]:
            _take(worker)
            ended = busy.pop(worker)
            if (following := next(left, None)) is not None:
                busy[worker] = following[0]
                _give(worker, following[1])
            yield ended


def _give(worker: _Worker, item: WorkItem) -> None:
    with suppress(BrokenPipeError):  # it has ended, which its other pipe tells
        worker.orders.send(item)


def _take(worker: _Worker) -> None:
    """Raise what the worker's piece of work ended with, if it is an error."""
    try:
        error = worker.outcomes.recv()
    except EOFError:
        code = worker.process.wait()
        if code in (EXIT_INTERRUPTED, -signal.SIGTERM):
            raise Interrupted("stopped by a signal to a worker process") from None
        how = "was killed, most likely for want of memory" if code < 0 else f"ended with exit code {code}"
        raise PostmillError(
            f"a worker process {how}",
            place="--workers",
            hint="run the same command again with fewer workers: each holds up to a post shard in memory",
        ) from None
    if error is not None:
        raise error


def _start_worker(preload: str) -> _Worker:
    """Start a worker process.

    Raises:
        PostmillError: The system has no memory or no process left for it.
    """
    orders, give = os.pipe()
    take, outcomes = os.pipe()
    # Else each starts a thread a core, which spin at first.
    few_threads = {"OPENBLAS_NUM_THREADS": "1"}
    try:
        process = children.start(__name__, f"{outcomes} {preload}", [outcomes], stdin=orders, env=few_threads)
    except OSError as error:
        os.close(give)
        os.close(take)
        raise PostmillError(
            f"a worker process cannot be started: {error.strerror}",
            place="--workers",
            hint="run the same command again with fewer workers",
        ) from error
    finally:
        os.close(orders)
        os.close(outcomes)
    return _Worker(process, Connection(give, readable=False), Connection(take, writable=False))


def serve(word: str) -> None:
    """Do the work that comes in from standard input until that ends: what a worker process runs.

    Args:
        word: The file descriptor to which to write how each piece ended, a blank, and the module to load while there is
            no work yet, or nothing.
    """
    outcomes, _, preload = word.partition(" ")
    children.ignore()
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    if preload:
        with suppress(MemoryError, ImportError):  # which the first order meets again, and sends home
            importlib.import_module(preload)
    with Connection(int(outcomes), readable=False) as replies:
        while True:
            replies.send(_carry_out(orders.get()))


def _listen(orders: SimpleQueue[bytes]) -> None:
    """Pass on what comes in; end the process when nothing more can come, so that it does not outlive its parent."""
    try:
        with Connection(os.dup(sys.stdin.fileno()), writable=False) as incoming:
            while True:
                orders.put(incoming.recv_bytes())
    finally:
        os._exit(EXIT_INTERRUPTED)  # no clean-up: the temporaries are unlocked by this and swept by the next start


def _carry_out(order: bytes) -> Outcome:
    """Do one piece and return what it failed with; a signal ends the worker, amid a piece after the clean-up."""
    try:
        with interruptible():
            pickle.loads(order)()  # noqa: S301  # from its parent alone
    except (PostmillError, MemoryError) as error:
        return error
    except Interrupted:
        pass
    else:
        return None
    os._exit(EXIT_INTERRUPTED)  # the exception is gone by now, and with it what its frames held
