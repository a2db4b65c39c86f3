"""How long a GPU computes, by events on its own clock, and how much of the time it waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from postmill.encode.gpu import visible
from postmill.encode.gpu.driver import Driver
from postmill.shards.runtime.pace import Clock
from postmill.shards.runtime.progress import Progress


@dataclass
class Share:
    """Time that passed, and how much of it a GPU computed.

    Attributes:
        busy: Seconds in which it had a batch to compute, from its first kernel to its last: what it waits within a
            batch for the next kernel to be asked for counts as computing, what it waits for data does not.
        wall: Seconds in all.
    """

    busy: float = 0.0
    wall: float = 0.0

    def told(self) -> str:
        """Say both."""
        share = 100 * min(self.busy / self.wall, 1.0) if self.wall else 0.0
        return f"computed {share:.0f} % of {self.wall:.1f} s and waited for the rest"


class Busy:
    """Measures how long a GPU computes: stretches between events on the stream that models compute on.

    Args:
        driver: The GPU.
        clock: Returns the time in seconds.
    """

    def __init__(self, driver: Driver, clock: Clock = time.perf_counter) -> None:
        self._driver, self._clock = driver, clock
        self._start: Any = None
        self._pending: deque[tuple[Any, Any]] = deque()
        self._last: Any = None  # the latest end that was counted
        self._milliseconds = 0.0
        self._stretches = 0
        self._passes: dict[str, Share] = {}
        self._said: dict[str, float] = {}

    def begin(self) -> None:
        """Count from here on, where the stream has come to what it was asked for so far."""
        self.end()
        self._start = self._driver.event(timed=True)
        self._start.record(self._driver.current())

    def end(self) -> None:
        """Count to here; without a beginning, nothing."""
        if self._start is None:
            return
        end = self._driver.event(timed=True)
        end.record(self._driver.current())
        self._pending.append((self._start, end))
        self._start = None

    def settle(self, wait: bool = False) -> None:
        """Add up the stretches that are over; with ``wait`` those too that are not yet."""
        while self._pending:
            start, end = self._pending[0]
            if wait:
                end.synchronize()
            elif not end.query():
                return
            self._pending.popleft()
            self._stretches += 1
            took = start.elapsed_time(end)
            if self._last is not None:  # of two stretches that overlap the common time counts once
                took -= max(0.0, start.elapsed_time(self._last))
            self._milliseconds += max(0.0, took)
            if self._last is None or self._last.elapsed_time(end) > 0:
                self._last = end

    @contextmanager
    def measured(self) -> Iterator[Share]:
        """Measure the block: what is provided holds the times when it has ended; of one that failed, none."""
        self._start, self._last, self._milliseconds = None, None, 0.0
        self._pending.clear()  # of a block before that failed
        share, started = Share(), self._clock()
        yield share
        self.end()
        self.settle(wait=True)
        share.busy, share.wall = self._milliseconds / 1000, self._clock() - started

    @contextmanager
    def told(self, label: str, progress: Progress) -> Iterator[None]:
        """Measure the block and say at its end which share of the time the GPU computed.

        Nothing is said where nothing was computed through :class:`.card.Card`. Of a pass that comes again and again the
        sum is said, whenever its time has doubled.

        Args:
            label: What the block is called.
            progress: Told.
        """
        before = self._stretches
        with self.measured() as share:
            yield
        if self._stretches == before:
            return
        whole = self._passes.setdefault(label, Share())
        whole.busy, whole.wall = whole.busy + share.busy, whole.wall + share.wall
        if whole.wall >= 2 * self._said.get(label, 0.0):
            self._said[label] = whole.wall
            progress.note(f"{label}: {visible.name()} {whole.told()}")
