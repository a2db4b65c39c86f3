"""Batches through bounded queues: read and prepared ahead of the model, and back in order."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
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

    On the CPU threads do all of it, each with an item of its own. On CUDA ``forward`` and ``collect`` run in the
    calling thread while threads prepare the next batches, and a batch is given to the device before the result of the
    last one is waited for. ``items`` is drawn by one thread at a time.

    Args:
        compute: Where ``forward`` runs, and how many threads there are.
        items: What is worked on.
        prepare: Makes ready on the CPU: decodes, tokenizes.
        forward: Runs the model; its result may still be on its way.
        collect: Waits for the result and brings it to the CPU.
        prepare_while_drawing: Call ``prepare`` by the thread that draws, so that it is never called twice at once.
    """

    def all_steps(item: A) -> D:
        return collect(forward(prepare(item)))

    def later_steps(batch: B) -> D:
        return collect(forward(batch))

    ahead = compute.workers * _AHEAD
    drawn = _each(prepare, items)
    if compute.device == Device.CUDA:
        ready = prefetched(drawn, 1) if prepare_while_drawing else _in_order(compute.workers, prepare, items, ahead)
        with closing(ready):
            yield from _overlapped(ready, forward, collect)
    elif prepare_while_drawing:
        yield from _in_order(compute.workers, later_steps, drawn, ahead)
    else:
        yield from _in_order(compute.workers, all_steps, items, ahead)


def _each(work: Callable[[A], B], items: Iterable[A]) -> Generator[B, None, None]:
    """Yield ``work(item)`` for each item; unlike ``map``, it closes what it draws from when it is closed."""
    source = iter(items)
    try:
        for item in source:
            yield work(item)
    finally:
        _close(source)


def _close(source: Any) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()


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


@dataclass(frozen=True)
class _End:
    """The items are at their end, or drawing one failed."""

    error: BaseException | None


@dataclass
class _Course:
    """How far threads are with their items.

    Attributes:
        drawn: How many items were drawn; the results are numbered likewise.
        ended: Whether no more are to be drawn.
        awaited: The number of the result that the caller takes next.
        results: Those that were not taken yet, by number; the last is the end.
    """

    drawn: int = 0
    ended: bool = False
    awaited: int = 0
    results: dict[int, Any] = field(default_factory=dict)


def _in_order(workers: int, work: Callable[[A], B], items: Iterable[A], ahead: int) -> Generator[B, None, None]:
    """Yield ``work(item)`` for each item, in order; what one raises, or drawing it, comes after the ones before it.

    Each thread draws for itself, and the caller is woken for no other result than the one that it waits for: to pass an
    item on to another thread can take as long as to make a batch of texts.

    Args:
        workers: How many threads.
        work: Safe to call from several.
        items: Drawn by one thread at a time.
        ahead: The most items that are drawn and whose results are not taken.
    """
    source = iter(items)
    course, room = _Course(), threading.Semaphore(ahead)
    drawing, arrived = threading.Lock(), threading.Condition()

    def draw() -> tuple[int, Any]:
        with drawing:
            number = course.drawn
            course.drawn += 1
            if course.ended:
                return number, _End(None)
            try:
                return number, next(source)
            except StopIteration:
                end = _End(None)
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks
                end = _End(error)
            course.ended = True
            return number, end

    def serve() -> None:
        result: Any = None
        while not isinstance(result, _End):
            room.acquire()
            number, result = draw()
            if not isinstance(result, _End):
                try:
                    result = work(result)
                except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks
                    result = _End(error)
            with arrived:
                course.results[number] = result
                if number == course.awaited:
                    arrived.notify()

    threads = [threading.Thread(target=serve, name=f"batches {n}", daemon=True) for n in range(workers)]
    try:
        for thread in threads:
            thread.start()
        while True:
            with arrived:
                arrived.wait_for(lambda: course.awaited in course.results)
                result = course.results.pop(course.awaited)
                course.awaited += 1
            room.release()
            if isinstance(result, _End):
                break
            yield result
            del result
        if result.error is not None:
            raise result.error
    finally:
        course.ended = True
        for _ in threads:
            room.release()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        _close(source)


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
            _close(source)
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
