"""Batches through bounded queues: read and prepared ahead of the model, and back in order."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

from postmill.encode.device import Compute
from postmill.shards.runtime.devices import Device

_AHEAD = 2  # batches in hand for each thread: enough to keep it busy, little memory
_IN_FLIGHT = 1  # batches that a GPU has been given beyond the one whose result is waited for

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


def stream(
    compute: Compute,
    items: Iterable[A],
    prepare: Callable[[A], B],
    forward: Callable[[B], C],
    collect: Callable[[C], D],
    *,
    prepare_while_drawing: bool = False,
) -> Generator[D, None, None]:
    """Yield ``collect(forward(prepare(item)))`` for each of ``items``, in order, several at a time.

    ``items`` is drawn in a thread of its own. On the CPU all three run in the pool. On CUDA ``forward`` and
    ``collect`` run in the calling thread while the pool prepares the next batches, and a batch is given to the device
    before the result of the last one is waited for.

    Args:
        compute: Where ``forward`` runs, and how many threads the pool has.
        items: What is worked on.
        prepare: Makes ready on the CPU: decodes, tokenizes.
        forward: Runs the model; its result may still be on its way.
        collect: Waits for the result and brings it to the CPU.
        prepare_while_drawing: Call ``prepare`` in the thread that draws ``items``, and there alone.
    """

    def all_steps(item: A) -> D:
        return collect(forward(prepare(item)))

    def later_steps(batch: B) -> D:
        return collect(forward(batch))

    ahead = compute.workers * _AHEAD
    with ThreadPoolExecutor(compute.workers) as pool, closing(_drawn(items, prepare, prepare_while_drawing)) as source:
        if compute.device == Device.CUDA:
            batches: Iterator[Any] = source if prepare_while_drawing else _in_order(pool, prepare, source, ahead)
            yield from _overlapped(batches, forward, collect)
        elif prepare_while_drawing:
            yield from _in_order(pool, later_steps, source, ahead)
        else:
            yield from _in_order(pool, all_steps, source, ahead)


def _drawn(
    items: Iterable[Any], prepare: Callable[[Any], Any], prepare_while_drawing: bool
) -> Generator[Any, None, None]:
    yield from prefetched(map(prepare, items) if prepare_while_drawing else items, 1)


def _overlapped(batches: Iterator[B], forward: Callable[[B], C], collect: Callable[[C], D]) -> Iterator[D]:
    waiting: deque[C] = deque()
    failure: Exception | None = None
    try:
        for batch in batches:
            waiting.append(forward(batch))
            if len(waiting) > _IN_FLIGHT:
                yield collect(waiting.popleft())
    except Exception as error:  # noqa: BLE001 - raised again when what came before it is handed on
        failure = error
    yield from map(collect, waiting)
    if failure is not None:
        raise failure


def _in_order(pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], ahead: int) -> Iterator[B]:
    """Yield ``work(item)`` for each item, in order; what drawing one raises comes after the ones before it."""
    source = iter(items)
    pending: deque[Future[B]] = deque()
    drawing = True
    failure: Exception | None = None
    try:
        while drawing or pending:
            while drawing and len(pending) < ahead:
                try:
                    pending.append(pool.submit(work, next(source)))
                except StopIteration:
                    drawing = False
                except Exception as error:  # noqa: BLE001 - raised again below
                    drawing, failure = False, error
            if pending:
                yield pending.popleft().result()
        if failure is not None:
            raise failure
    finally:
        for future in pending:
            future.cancel()


@dataclass(frozen=True)
class _End:
    """The items are at their end, or drawing one failed."""

    error: BaseException | None


def prefetched(items: Iterable[A], depth: int) -> Generator[A, None, None]:
    """Yield ``items``, drawn in a thread of its own, ``depth`` ahead; what drawing raises is raised here."""
    ready: queue.Queue[A | _End] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: A | _End) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def draw() -> None:
        error: BaseException | None = None
        source = iter(items)
        try:
            for item in source:
                put(item)
                if stopped.is_set():
                    break
        except BaseException as caught:  # noqa: BLE001 - raised again in the thread that asks
            error = caught
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
        put(_End(error))

    thread = threading.Thread(target=draw, name="read ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join()
