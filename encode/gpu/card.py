"""Data on their way to a GPU and back, while it computes.

To it: what a batch holds is put into pinned memory that is used again and again, and copied from there on a stream of
its own, so that the copy of one batch runs while the one before is computed. To pin it anew costs more than the copy.
Back: the copy of a result is asked for right behind what computes it and ahead of the next batch, so that who waits for
it waits for that batch alone. https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-streams says what must wait for
what: the stream that computes for the copy, the memory on both sides for the end of what reads it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from postmill.encode.gpu.busy import Busy
from postmill.encode.gpu.driver import Driver

if TYPE_CHECKING:
    import torch

_SLOTS = 2  # one is filled while the other is copied
_ALIGNMENT = 64  # bytes; of the numbers of any type


@dataclass
class _Slot:
    """Pinned memory, and what is recorded when the last copy out of it is over."""

    memory: torch.Tensor
    copied: Any


@dataclass(frozen=True)
class Arriving:
    """A result on its way to the CPU.

    Attributes:
        card: Where it comes from.
        memory: Pinned memory that it comes to.
        numbers: The same memory as numbers of its shape.
        done: Recorded when it is there.
    """

    card: Card
    memory: torch.Tensor
    numbers: torch.Tensor
    done: Any

    def wait(self) -> npt.NDArray[np.float32]:
        """Return the result when it is there; once alone, for the memory is used again."""
        self.done.synchronize()
        arrived: npt.NDArray[np.float32] = self.numbers.numpy().copy()
        self.card.take_back(self.memory)
        return arrived


class Card:
    """A GPU, as the one thread uses it that gives it its work. Nothing of it is touched before there is some.

    Args:
        driver: What moves the data.
    """

    def __init__(self, driver: Driver | None = None) -> None:
        self._driver = driver or Driver()
        self._copies: Any = None
        self._slots: list[_Slot] = []
        self._uploads = 0
        self._spare: list[torch.Tensor] = []  # pinned memory for results
        self.busy = Busy(self._driver)

    def upload(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return ``tensors``, which lie on the CPU, on the GPU: the stream in use waits for them, the caller does not.

        What is computed from then on counts as computing, up to the next call or that of :meth:`download`.
        """
        self.busy.end()
        starts, size = [], 0
        for tensor in tensors:
            starts.append(size)
            size += _aligned(tensor.nbytes)
        slot = self._slot(size)
        staged = [_numbers(slot.memory, start, each) for start, each in zip(starts, tensors, strict=True)]
        for place, tensor in zip(staged, tensors, strict=True):
            place.copy_(tensor)
        computing = self._driver.current()
        with self._driver.using(self._copies):
            moved = [self._driver.empty(tensor.shape, tensor.dtype) for tensor in tensors]
            for target, place in zip(moved, staged, strict=True):
                self._driver.copy(target, place)
            slot.copied.record(self._copies)
        computing.wait_event(slot.copied)
        for target in moved:
            self._driver.keep(target, computing)
        self.busy.begin()
        return moved

    def download(self, result: torch.Tensor) -> Arriving:
        """Have ``result``, which the stream in use computes, copied to the CPU as float32 when it is there."""
        numbers = result.detach().float().contiguous()
        self.busy.end()
        memory = self._memory(numbers.nbytes)
        target = _numbers(memory, 0, numbers)
        self._driver.copy(target, numbers)
        done = self._driver.event()
        done.record(self._driver.current())
        return Arriving(self, memory, target, done)

    def take_back(self, memory: torch.Tensor) -> None:
        """Have pinned memory used again, whose result was taken."""
        self._spare.append(memory)
        self.busy.settle()

    def _slot(self, size: int) -> _Slot:
        """Return the memory that was copied from the longest ago, when that copy is over."""
        if self._copies is None:
            self._copies = self._driver.stream()
        if len(self._slots) < _SLOTS:
            self._slots.append(_Slot(self._pinned(size), self._driver.event()))
            slot = self._slots[-1]
        else:
            slot = self._slots[self._uploads % _SLOTS]
            slot.copied.synchronize()
            if slot.memory.nbytes < size:
                slot.memory = self._pinned(size)
        self._uploads += 1
        return slot

    def _pinned(self, size: int) -> torch.Tensor:
        """Return new pinned memory for ``size`` bytes, or some more: batches that grow a little fit in."""
        import torch

        with torch.inference_mode(False):  # it is written in that mode and outside it, which tensors of it forbid
            return self._driver.pinned(1 << max(size - 1, _ALIGNMENT - 1).bit_length())

    def _memory(self, size: int) -> torch.Tensor:
        """Return spare memory for a result, the least that holds it, or new memory."""
        fitting = [(memory.nbytes, number) for number, memory in enumerate(self._spare) if memory.nbytes >= size]
        return self._spare.pop(min(fitting)[1]) if fitting else self._pinned(size)


def _numbers(memory: torch.Tensor, start: int, like: torch.Tensor) -> torch.Tensor:
    """Return the bytes of ``memory`` from ``start`` on as numbers of the type and the shape of ``like``."""
    return memory[start : start + like.nbytes].view(like.dtype).view(like.shape)


def _aligned(size: int) -> int:
    return math.ceil(size / _ALIGNMENT) * _ALIGNMENT
