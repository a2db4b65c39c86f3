"""Ranges that are wanted in order, several of them asked for at once, so that no answer is waited for alone.

::

    with ReadAhead(ranges, at_once=4) as ahead:
        ahead.read_into(offset, buffer)      # offsets that only grow
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from postmill.ingest.remote.patience import Stopped
from postmill.shards.runtime.errors import PostmillError

RANGE = 16 << 20  # bytes of a range
AT_ONCE = 4  # ranges that are asked for, or not used up: what is held in memory

Fetch = Callable[[memoryview, Callable[[int], None], threading.Event], None]
"""Fills memory with a range, tells of bytes as they come, and raises Stopped where the event is set."""


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes from ``start`` to ``end`` of some address space, and what fetches them."""

    start: int
    end: int
    fetch: Fetch


@dataclass(slots=True)
class _Fetched:
    """A range on its way: as much of it as has come, or what it failed with."""

    range: Range
    memory: bytearray
    filled: int = 0
    error: PostmillError | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)


class ReadAhead:
    """Reads ``ranges``, which are in order and do not overlap, ahead of who uses them, each of them once.

    Memory is ``at_once`` times the longest range. Threads do the asking; they end with the last range, or when this is
    closed. One thread uses it.
    """

    def __init__(self, ranges: Iterable[Range], at_once: int = AT_ONCE) -> None:
        self._coming = iter(ranges)
        self._at_once = at_once
        self._fetched: deque[_Fetched] = deque()
        self._orders: SimpleQueue[_Fetched | None] = SimpleQueue()
        self._stop = threading.Event()
        self._threads = 0
        self._free: list[bytearray] = []
        self._order()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ask for nothing more."""
        self._stop.set()
        self._dismiss()
        self._fetched.clear()
        self._free.clear()
        self._coming = iter(())

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Put bytes from ``offset`` on into ``buffer``; return how many, 0 where no range has them.

        Ranges that end at or before ``offset`` are given up.

        Raises:
            PostmillError: The range could not be had.
        """
        while self._fetched and self._fetched[0].range.end <= offset:
            self._free.append(self._fetched.popleft().memory)
            self._order()
        if not self._fetched or offset < self._fetched[0].range.start:
            return 0
        first = self._fetched[0]
        begin = offset - first.range.start
        end = min(begin + len(buffer), first.range.end - first.range.start)
        with first.changed:
            while first.filled < end and first.error is None:
                first.changed.wait()
            if first.filled < end and first.error is not None:
                raise first.error
        buffer[: end - begin] = memoryview(first.memory)[begin:end]
        return end - begin

    def next_start(self) -> int | None:
        """Return where the first range begins that is not given up; None after the last."""
        return self._fetched[0].range.start if self._fetched else None

    def _order(self) -> None:
        """Ask for ranges until as many are on their way as may be."""
        while len(self._fetched) < self._at_once:
            following = next(self._coming, None)
            if following is None:
                self._dismiss()
                return
            length = following.end - following.start
            memory = self._free.pop() if self._free else bytearray(length)
            ordered = _Fetched(following, memory if len(memory) >= length else bytearray(length))
            self._fetched.append(ordered)
            self._orders.put(ordered)
            if self._threads < self._at_once:
                self._threads += 1
                threading.Thread(target=self._fetch, daemon=True).start()

    def _dismiss(self) -> None:
        """Let the threads end when they have done what was asked for."""
        for _ in range(self._threads):
            self._orders.put(None)
        self._threads = 0

    def _fetch(self) -> None:
        while not self._stop.is_set() and (ordered := self._orders.get()) is not None:
            _fetch(ordered, self._stop)


def _fetch(ordered: _Fetched, stop: threading.Event) -> None:
    length = ordered.range.end - ordered.range.start

    def arrived(more: int) -> None:
        with ordered.changed:
            ordered.filled += more
            ordered.changed.notify()

    failed: PostmillError | None = PostmillError("a range was not fetched, by a mistake of the program")
    try:
        ordered.range.fetch(memoryview(ordered.memory)[:length], arrived, stop)
        failed = None
    except PostmillError as error:
        failed = error
    except Stopped:
        pass
    finally:
        with ordered.changed:
            ordered.error = failed
            ordered.changed.notify()
