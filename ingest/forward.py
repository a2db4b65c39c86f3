"""Read an address space front to back through one buffer that is used again."""

from __future__ import annotations

from ingest.space import BLOCK, AddressSpace


class Forward:
    """A view that moves forward over ``space`` and reads every byte at most once, in order.

    It reads a block ahead, up to ``end`` or a missing part; memory is a block or the longest view, whichever is more.
    """

    def __init__(self, space: AddressSpace, end: int, block: int = BLOCK) -> None:
        self._space = space
        self._end = end
        self._block = block
        self._base = 0  # offset of the buffer's first byte
        self._filled = 0
        self._view = memoryview(bytearray(0))

    def view(self, start: int, end: int) -> memoryview:
        """Return the bytes from ``start`` to ``end``; valid until the next call.

        ``start`` must not be before that of the call before.

        Raises:
            ValueError: ``start`` goes backwards, or the range leaves the address space.
            PartError: A part cannot be read.
        """
        if start < self._base:
            raise ValueError(f"{start} lies before {self._base}, which has been passed")
        if end > self._base + self._filled:
            self._advance(start, end)
        return self._view[start - self._base : end - self._base]

    def _advance(self, start: int, end: int) -> None:
        wanted = max(end, min(start + self._block, self._end, self._space.stretch_end(start))) - start
        kept = max(self._base + self._filled - start, 0)
        tail = bytes(self._view[self._filled - kept : self._filled])
        if wanted > len(self._view):
            self._view = memoryview(bytearray(wanted))
        self._view[:kept] = tail
        self._base, self._filled = start, kept
        self._space.readinto(start + kept, self._view[kept:wanted])
        self._filled = wanted
