"""A GPU without one: what it is asked for is done as late as the rules of CUDA allow.

A stream is a queue, of which nothing is done before somebody waits for an event behind it: whoever reads too early, or
writes what is still to be read, is found out by wrong numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from postmill.encode.gpu.driver import Driver


class Mark:
    """A place in a stream; ``at`` is when the stream came there."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.at: float | None = None

    def reach(self) -> float:
        while self.at is None:
            self.stream.step()
        return self.at


class Stream:
    """Work in order, of which each piece takes some milliseconds."""

    def __init__(self) -> None:
        self.work: deque[Callable[[], None]] = deque()
        self.now = 0.0

    def ask(self, work: Callable[[], None], milliseconds: float = 0.0) -> None:
        mode = torch.is_inference_mode_enabled()

        def done() -> None:
            with torch.inference_mode(mode):
                work()
            self.now += milliseconds

        self.work.append(done)

    def step(self) -> None:
        self.work.popleft()()

    def wait_event(self, event: Event) -> None:
        mark = event.mark  # as it is now: the event may be recorded anew before the stream comes here
        assert mark is not None, "an event that was never recorded holds nobody up"

        def wait() -> None:
            self.now = max(self.now, mark.reach())

        self.ask(wait)


class Event:
    """A mark in a stream, set anew each time that it is recorded."""

    def __init__(self, gpu: LazyGpu, timed: bool) -> None:
        self.gpu, self.timed = gpu, timed
        self.mark: Mark | None = None

    def record(self, stream: Stream) -> None:
        mark = self.mark = Mark(stream)

        def reached() -> None:
            mark.at = stream.now

        stream.ask(reached)

    def synchronize(self) -> None:
        assert self.mark is not None
        self.mark.reach()

    def query(self) -> bool:
        return self.mark is not None and self.mark.at is not None

    def elapsed_time(self, later: Event) -> float:
        assert self.timed and later.timed and self.mark and later.mark
        assert self.mark.at is not None and later.mark.at is not None, "an event that is not reached has no time"
        return later.mark.at - self.mark.at


class LazyGpu(Driver):
    """What a card is driven by; ``copy_ms`` is what a copy takes."""

    def __init__(self, copy_ms: float = 0.0) -> None:
        self.default = self._current = Stream()
        self.copy_ms = copy_ms
        self.streams = [self.default]
        self.pinned_sizes: list[int] = []
        self.kept: list[tuple[int, Stream]] = []
        self.made: list[torch.Tensor] = []

    def stream(self) -> Any:
        self.streams.append(Stream())
        return self.streams[-1]

    def current(self) -> Any:
        return self._current

    @contextmanager
    def using(self, stream: Any) -> Iterator[None]:
        before, self._current = self._current, stream
        try:
            yield
        finally:
            self._current = before

    def event(self, timed: bool = False) -> Any:
        return Event(self, timed)

    def pinned(self, size: int) -> torch.Tensor:
        self.pinned_sizes.append(size)
        return torch.full((size,), 255, dtype=torch.uint8)

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        self.made.append(torch.full(tuple(shape), 77, dtype=dtype))
        return self.made[-1]

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        self._current.ask(lambda: target.copy_(source), self.copy_ms)

    def keep(self, tensor: torch.Tensor, stream: Any) -> None:
        self.kept.append((tensor.data_ptr(), stream))

    def compute(self, work: Callable[[], None], milliseconds: float = 0.0) -> None:
        """Ask for what a model does."""
        self._current.ask(work, milliseconds)
