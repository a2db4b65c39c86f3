"""What of torch moves data and takes times on a GPU, a line each; tests put a GPU of their own in its place."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Driver:
    """The GPU that is torch's current device.

    Streams and events are torch's: ``stream.wait_event(event)``, ``event.record(stream)``, ``event.synchronize()``,
    ``event.query()``, and ``event.elapsed_time(later)`` in milliseconds.
    """

    def stream(self) -> Any:
        """Return a stream of its own."""
        return _cuda().Stream()

    def current(self) -> Any:
        """Return the stream that models compute on."""
        return _cuda().current_stream()

    def using(self, stream: Any) -> AbstractContextManager[Any]:
        """Have what is done in the block be done on ``stream``."""
        context: AbstractContextManager[Any] = _cuda().stream(stream)
        return context

    def event(self, timed: bool = False) -> Any:
        """Return an event; who waits for it sleeps, for a processor that spins prepares no pictures."""
        return _cuda().Event(enable_timing=timed, blocking=True)

    def pinned(self, size: int) -> torch.Tensor:
        """Return ``size`` bytes of main memory that the GPU reads and writes by itself."""
        import torch

        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Return memory of the GPU, which belongs to the stream in use."""
        import torch

        return torch.empty(shape, dtype=dtype, device="cuda")

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """Copy between pinned memory and the GPU, on the stream in use, without waiting."""
        target.copy_(source, non_blocking=True)

    def keep(self, tensor: torch.Tensor, stream: Any) -> None:
        """Have the memory of ``tensor`` given to nobody before ``stream`` is done with what it was asked for so far."""
        tensor.record_stream(stream)


def _cuda() -> Any:  # which torch has not annotated throughout
    import torch

    return torch.cuda
