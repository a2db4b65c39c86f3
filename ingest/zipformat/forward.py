"""Read an address space front to back through one buffer that is used again."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol
from weakref import finalize

from postmill.ingest.zipformat.space import BLOCK


class Ahead(Protocol):
    """What reads ranges ahead of their use: :class:`postmill.ingest.remote.read_ahead.ReadAhead`."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Put bytes from ``offset`` on into ``buffer``; return how many, 0 where no range has them."""

    def next_start(self) -> int | None:
        """Return where the first range begins that is not given up; None after the last."""

    def close(self) -> None:
        """Ask for nothing more."""


class Readable(Protocol):
    """A range of bytes: an address space, or what some entries take of one."""

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` (bytes) from ``offset``."""

    def stretch_end(self, offset: int) -> int:
        """Return how far the bytes from ``offset`` are there."""

    def ahead(self, spans: Sequence[tuple[int, int]]) -> Ahead | None:
        """Return what reads ``spans`` ahead of their use, if anything does."""


class Forward:
    """A view that moves forward over ``space`` and reads every byte at most once, in order.

    It reads a block ahead, up to ``end`` or a missing part; memory is a block or the longest view, whichever is more.
    Of parts behind URLs it asks for more, some ranges at once (:mod:`postmill.ingest.remote.read_ahead`).

    Args:
        space: What to read.
        end: Where to stop.
        block: Bytes.
    """

    def __init__(self, space: Readable, end: int, block: int = BLOCK) -> None:
        self._space = space
        self._end = end
        self._block = block
        self._base = 0  # offset of the buffer's first byte
        self._filled = 0
        self._view = memoryview(bytearray())
        self._ahead: Ahead | None = None
        self._begun = False

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
        if not self._begun:
            self._begun = True
            self._ahead = self._space.ahead([(start, max(end, self._end))])
            if self._ahead is not None:  # nothing more is asked for when nobody has this any more
                finalize(self, self._ahead.close).atexit = False
        length = max(end, min(start + self._block, self._end, self._space.stretch_end(start))) - start
        kept = max(self._base + self._filled - start, 0)
        tail = bytes(self._view[self._filled - kept : self._filled])
        if length > len(self._view):
            self._view = _memory(length)
        self._view[:kept] = tail
        self._base, self._filled = start, kept
        for index in range(kept, length, BLOCK):
            self._read(start + index, self._view[index : min(index + BLOCK, length)])
        self._filled = length

    def _read(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from what was asked for ahead; what nobody asked for is read here."""
        while self._ahead is not None and buffer:
            done = self._ahead.read_into(offset, buffer)
            if not done:
                following = self._ahead.next_start()
                done = len(buffer) if following is None else min(len(buffer), following - offset)
                self._space.readinto(offset, buffer[:done])
            offset, buffer = offset + done, buffer[done:]
        if buffer:
            self._space.readinto(offset, buffer)


def _memory(size: int) -> memoryview:
    """Return ``size`` bytes of memory, in large pages if the kernel has them: filling small ones takes twice as long.

    Raises:
        MemoryError: There is less.
    """
    try:
        mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size} bytes to read an archive into") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):  # Linux has it
        with suppress(OSError):  # a kernel without large pages
            mapped.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(mapped)
