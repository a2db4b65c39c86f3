"""Look at any few bytes of an address space, mostly forward, with few reads."""

from __future__ import annotations

from postmill.ingest.zipformat.space import BLOCK, AddressSpace
from postmill.shards.runtime.addresses import is_url

_LOCAL_READ = 256 << 10  # bytes at a time from local parts


class Lookahead:
    """One buffer over ``space`` that moves to wherever it is looked at."""

    def __init__(self, space: AddressSpace, length: int | None = None) -> None:
        self._space = space
        remote = any(is_url(part.path) for part in space.parts)
        self._length = length or (BLOCK if remote else _LOCAL_READ)
        self._start = 0
        self._bytes = b""

    def peek(self, offset: int, length: int, end: int) -> bytes:
        """Return ``length`` bytes from ``offset``, fewer where they would pass ``end``.

        Raises:
            PartError: A part cannot be read.
        """
        stop = min(offset + length, end)
        if stop <= offset:
            return b""
        if offset < self._start or stop > self._start + len(self._bytes):
            read_to = max(stop, min(offset + self._length, end))
            self._bytes, self._start = self._space.read(offset, read_to - offset), offset
        return self._bytes[offset - self._start : stop - self._start]

    def glance(self, offset: int, length: int, end: int) -> bytes:
        """Return as :meth:`peek` does, without moving the buffer: for one look far ahead."""
        stop = min(offset + length, end)
        if self._start <= offset and stop <= self._start + len(self._bytes):
            return self.peek(offset, length, end)
        return self._space.read(offset, stop - offset) if offset < stop else b""

    def find(self, patterns: tuple[bytes, ...], start: int, end: int) -> int:
        """Return where from ``start`` on one of ``patterns`` (of one length) lies first before ``end``, or -1."""
        size = len(patterns[0])
        while start + size <= end:
            self.peek(start, size, end)
            base = start - self._start
            stop = min(len(self._bytes), end - self._start)
            hits = [hit for hit in (self._bytes.find(pattern, base, stop) for pattern in patterns) if hit >= 0]
            if hits:
                return self._start + min(hits)
            start = self._start + stop - size + 1
        return -1
