"""Read an address space front to back through one buffer that is used again."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Protocol

from postmill.ingest.zipformat.space import BLOCK


class Readable(Protocol):
    """A range of bytes: an address space, or what some entries take of one."""

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` (bytes) from ``offset``."""

    def stretch_end(self, offset: int) -> int:
        """Return how far the bytes from ``offset`` are there."""


class Forward:
    """A view that moves forward over ``space`` and reads every byte at most once, in order.

    It reads a block ahead, up to ``end`` or a missing part; memory is a block or the longest view, whichever is more.
    """

    def __init__(self, space: Readable, end: int, block: int = BLOCK) -> None:
        self._space = space
        self._end = end
        self._block = block
        self._base = 0  # offset of the buffer's first byte
        self._filled = 0
        self._view = memoryview(bytearray())

    def view(self, start: int, end: int) -> memoryview:
        """Return the bytes from ``start`` to ``end``; valid until the next call.

        ``start`` must not be before that of the call before.

        Raises:
            ValueError: ``start`` goes backwards, or the range leaves the address space.
            PartError: A part cannot be read.
            MemoryError: There is not enough for a block, or for the range if that is longer.
        """
        if start < self._base:
            raise ValueError(f"{start} lies before {self._base}, which has been passed")
        if end > self._base + self._filled:
            self._advance(start, end)
        return self._view[start - self._base : end - self._base]

    def _advance(self, start: int, end: int) -> None:
        length = max(end, min(start + self._block, self._end, self._space.stretch_end(start))) - start
        kept = max(self._base + self._filled - start, 0)
        tail = bytes(self._view[self._filled - kept : self._filled])
        if length > len(self._view):
            self._view = _memory(length)
        self._view[:kept] = tail
        self._base, self._filled = start, kept
        for index in range(kept, length, BLOCK):
            self._space.readinto(start + index, self._view[index : min(index + BLOCK, length)])
        self._filled = length


def _memory(size: int) -> memoryview:
    """Return ``size`` bytes of memory, in large pages if the kernel has them: filling small ones takes twice as long.

    Raises:
        MemoryError: There is less.
    """
    try:
        mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size} bytes to read an archive into") from error
    with suppress(OSError):  # a kernel without large pages
        mapped.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(mapped)
