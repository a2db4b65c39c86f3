"""What some entries take of an archive, as one range of bytes: far gaps between them are left out and never read.

Of a window whose entries are all wanted this is the window itself. Where few are, it is short, and everything that
reads front to back through one buffer does so here too, without knowing of gaps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from postmill.ingest.zipformat.forward import Ahead
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.runtime.addresses import is_url

Int64s = npt.NDArray[np.int64]

# A gap that is shorter is read and thrown away, which costs less than another call does: from the page cache up to some
# 64 KiB, from a disk up to twice or four times that (benchmarks/gaps.py); and over a network, than another request.
GAP, REMOTE_GAP = 64 << 10, 1 << 20


class Stretches:
    """The bytes of ``space`` that entries take, one stretch behind the other, from 0 to ``size``.

    Args:
        space: The archive.
        offset: Shape (n,). Where each entry begins, ascending.
        end: Shape (n,). Where each ends at the latest.
        gap: Longest gap between two entries that is taken along, bytes; None: as it suits where the archive lies.
    """

    def __init__(self, space: AddressSpace, offset: Int64s, end: Int64s, gap: int | None = None) -> None:
        if gap is None:
            gap = REMOTE_GAP if any(is_url(part.path) for part in space.parts) else GAP
        reached = np.maximum.accumulate(end)
        first = np.flatnonzero(np.append(np.full(min(len(offset), 1), True), offset[1:] - reached[:-1] > gap))
        bounds = np.append(first, len(offset))
        starts = offset[first]
        lengths = reached[bounds[1:] - 1] - starts
        closed = np.cumsum(lengths) - lengths
        self._space = space
        self._shift: Int64s = np.repeat(starts - closed, np.diff(bounds))
        self._starts: list[int] = starts.tolist()
        self._closed: list[int] = closed.tolist()
        self.size = int(lengths.sum())
        self.count = len(first)

    def closed_up(self, addresses: Int64s) -> Int64s:
        """Return where here the ``addresses`` (shape (n,), one within each entry) of the archive are."""
        return np.subtract(addresses, self._shift)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` (bytes) from ``offset``.

        Raises:
            PartError: A part cannot be opened or read, or is shorter than it was.
        """
        for start, end in self._pieces(offset, offset + len(buffer)):
            self._space.readinto(start, buffer[: end - start])
            buffer = buffer[end - start :]

    def ahead(self, spans: Sequence[tuple[int, int]]) -> Ahead | None:
        """Return what reads the bytes of ``spans`` that lie behind URLs ahead of their use; None where there are none.

        Args:
            spans: From where to where, in order.
        """
        ahead = self._space.ahead([piece for start, end in spans for piece in self._pieces(start, end)])
        return None if ahead is None else _ClosedUpAhead(ahead, self)

    def address(self, offset: int) -> tuple[int, int]:
        """Return the address of a byte, and how many from it on lie there one behind the other."""
        index = bisect_right(self._closed, offset) - 1
        return self._starts[index] + offset - self._closed[index], self._closing(index) - offset

    def offset_of(self, address: int) -> int:
        """Return where here the byte at ``address`` of the archive is, which is one of these."""
        index = bisect_right(self._starts, address) - 1
        return self._closed[index] + address - self._starts[index]

    def _pieces(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        while start < end:
            address, there = self.address(start)
            take = min(there, end - start)
            yield address, address + take
            start += take

    def stretch_end(self, offset: int) -> int:
        """Return how far the bytes from ``offset`` are there: to the next missing part, or to the end."""
        if self._space.holes:
            for index in range(bisect_right(self._closed, offset) - 1, self.count):
                address = self._starts[index] + max(offset - self._closed[index], 0)
                end = self._closed[index] + self._space.stretch_end(address) - self._starts[index]
                if end < self._closing(index):
                    return end
        return self.size

    def _closing(self, index: int) -> int:
        """Return where the stretch ``index`` ends here."""
        return self._closed[index + 1] if index + 1 < self.count else self.size


class _ClosedUpAhead:
    """What reads ahead, asked and answering in offsets of ``stretches``."""

    def __init__(self, ahead: Ahead, stretches: Stretches) -> None:
        self._ahead = ahead
        self._stretches = stretches

    def read_into(self, offset: int, buffer: memoryview) -> int:
        address, there = self._stretches.address(offset)
        return self._ahead.read_into(address, buffer[:there])

    def next_start(self) -> int | None:
        address = self._ahead.next_start()
        return None if address is None else self._stretches.offset_of(address)

    def close(self) -> None:
        self._ahead.close()
