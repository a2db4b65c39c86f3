"""A tar writer whose bytes depend on nothing but names and contents (POSIX.1-1988 ustar)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from postmill.shards.run.temporary import HashingFile

BLOCK = 512
RECORD = 20 * BLOCK  # tar pads the archive to a whole record
MAX_NAME = 100
MAX_SIZE = 8**11 - 1
_BUFFER = 4 << 20  # bytes written at a time at most

# A header without name, size and checksum: mode, owner, group, size, time (fixed, so that the same input gives the same
# bytes), checksum, type (a regular file), no link, and the magic.
_EMPTY = np.frombuffer(
    bytes(MAX_NAME)
    + b"0000644\0"
    + b"0000000\0" * 2
    + b"00000000000\0" * 2
    + b"000000\0 0"
    + bytes(100)
    + b"ustar\00000"
    + bytes(247),
    np.uint8,
)
_SIZE, _CHECKSUM = slice(124, 135), slice(148, 154)
_FIXED_SUM = int(_EMPTY.sum()) + 8 * ord(" ") - int(_EMPTY[148:156].sum())  # the checksum counts itself as blanks
_SIZE_SHIFTS, _CHECKSUM_SHIFTS = 3 * np.arange(10, -1, -1), 3 * np.arange(5, -1, -1)  # of octal digits

Buffer = bytes | bytearray | memoryview


def headers(names: Sequence[str], sizes: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the blocks that stand before the contents of members: an array of shape (members, BLOCK).

    Args:
        names: Plain ASCII of 1 to MAX_NAME characters, each.
        sizes: Of the contents, bytes; MAX_SIZE at most.
    """
    blocks = np.empty((len(names), BLOCK), np.uint8)
    blocks[:] = _EMPTY
    raw = np.array(names, f"S{MAX_NAME}").view(np.uint8).reshape(-1, MAX_NAME)
    digits = np.asarray(sizes, np.int64)[:, None] >> _SIZE_SHIFTS & 7
    sums = _FIXED_SUM + raw.sum(axis=1, dtype=np.int64) + digits.sum(axis=1)
    blocks[:, :MAX_NAME] = raw
    blocks[:, _SIZE] += digits.astype(np.uint8)
    blocks[:, _CHECKSUM] += (sums[:, None] >> _CHECKSUM_SHIFTS & 7).astype(np.uint8)
    return blocks


def end(size: int) -> int:
    """Return how many zero bytes end an archive whose members take ``size`` bytes: two blocks, and up to a RECORD."""
    return 2 * BLOCK + -(size + 2 * BLOCK) % RECORD


class TarWriter:
    """Appends members to ``file``; :meth:`close` ends the archive, and nothing else does.

    Leaving out :meth:`close` leaves a tar without end: an exception on its way must never finish the file.

    Attributes:
        members: What was added so far: name, offset and size of each content, as in :class:`.offsets.Member`.
        size: Bytes of the archive so far.
    """

    def __init__(self, file: HashingFile) -> None:
        self.file = file
        self.members: list[tuple[str, int, int]] = []
        self.size = 0
        self._buffer = memoryview(bytearray(_BUFFER))
        self._blocks = np.frombuffer(self._buffer, np.uint8).reshape(-1, BLOCK)

    def add(self, names: Sequence[str], contents: Sequence[Buffer]) -> None:
        """Append members of these names and contents; many at a time, as their headers are made together.

        Raises:
            ValueError: A name is not plain ASCII of 1 to 100 characters, or a content exceeds 8 GiB.
        """
        sizes = np.fromiter(map(len, contents), np.int64, len(names))
        for name, size in zip(names, sizes.tolist(), strict=True):
            if not 0 < len(name) <= MAX_NAME or not name.isascii() or size > MAX_SIZE:
                raise ValueError(f"a tar member cannot be named {name!r} with {size} bytes")
        ends = np.cumsum(BLOCK + sizes + -sizes % BLOCK)
        starts = ends - sizes - -sizes % BLOCK
        self.members += zip(names, (starts + self.size).tolist(), sizes.tolist(), strict=True)
        first = done = 0
        while first < len(names):
            last = max(first + 1, int(np.searchsorted(ends, done + _BUFFER, "right")))
            rows = slice(first, last)
            self._write(headers(names[rows], sizes[rows]), contents[rows], starts[rows] - done, ends[rows] - done)
            first, done = last, int(ends[last - 1])

    def close(self) -> None:
        """Write the end of the archive: two zero blocks and the padding to a whole record."""
        self.size += self.file.write(bytes(end(self.size)))

    def _write(
        self,
        blocks: npt.NDArray[np.uint8],
        contents: Sequence[Buffer],
        starts: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
    ) -> None:
        """Write members whose contents begin at ``starts`` and that end at ``ends``: in one buffer, or one alone."""
        length = int(ends[-1])
        if length > _BUFFER:
            (content,) = contents
            for part in (blocks.tobytes(), content, bytes(length - BLOCK - len(content))):
                self.size += self.file.write(part)
            return
        self._blocks[ends // BLOCK - 1] = 0  # what contents leave of their last blocks
        self._blocks[starts // BLOCK - 1] = blocks
        buffer = self._buffer
        for start, content in zip(starts.tolist(), contents, strict=True):
            buffer[start : start + len(content)] = content
        self.size += self.file.write(buffer[:length])
