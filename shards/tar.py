"""A tar writer whose bytes depend on nothing but names and contents (POSIX.1-1988 ustar)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from shards.temporary import HashingFile

BLOCK = 512
RECORD = 20 * BLOCK  # tar pads the archive to a whole record
MAX_NAME = 100
MAX_SIZE = 8**11 - 1
_BUFFER = 2 << 20  # bytes written at a time: what is copied, hashed and written next is still in the processor's cache
_PADDING = bytes(BLOCK)

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


def headers(names: Sequence[str], sizes: Sequence[int]) -> npt.NDArray[np.uint8]:
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

    Contents are copied into one buffer, in which the headers of all of them are made at once before it is written.
    Leaving out :meth:`close` leaves a tar without end: an exception on its way must never finish the file.

    Attributes:
        members: What was added so far: name, offset and size of each content, as in :class:`shards.offsets.Member`.
    """

    def __init__(self, file: HashingFile) -> None:
        self.file = file
        self.members: list[tuple[str, int, int]] = []
        self._buffer = memoryview(bytearray(_BUFFER))
        self._blocks = np.frombuffer(self._buffer, np.uint8).reshape(-1, BLOCK)
        self._filled = 0
        self._written = 0  # bytes before the buffer
        self._headed = 0  # members before it

    @property
    def size(self) -> int:
        """Bytes of the archive so far."""
        return self._written + self._filled

    def add(self, name: str, *parts: Buffer) -> int:
        """Append the member ``name`` whose content is ``parts`` in order; return the offset of its content.

        Raises:
            ValueError: The name is not plain ASCII of 1 to 100 characters, or the content exceeds 8 GiB.
        """
        size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
        if not 0 < len(name) <= MAX_NAME or not name.isascii() or size > MAX_SIZE:
            raise ValueError(f"a tar member cannot be named {name!r} with {size} bytes")
        length = BLOCK + size + -size % BLOCK
        if self._filled + length > _BUFFER:
            self._write()
        start = self._written + self._filled + BLOCK
        self.members.append((name, start, size))
        if length > _BUFFER:
            self._filled = BLOCK
            self._write()
            for part in (*parts, _PADDING[: -size % BLOCK]):
                self._written += self.file.write(part)
            return start
        at = self._filled + BLOCK
        buffer = self._buffer
        for part in parts:
            stop = at + len(part)
            buffer[at:stop] = part
            at = stop
        self._filled += length
        buffer[at : self._filled] = _PADDING[: self._filled - at]
        return start

    def close(self) -> None:
        """Write the end of the archive: two zero blocks and the padding to a whole record."""
        self._write()
        self._written += self.file.write(bytes(end(self._written)))

    def _write(self) -> None:
        """Make the headers of the members in the buffer, and write it."""
        if not self._filled:
            return
        names, starts, sizes = zip(*self.members[self._headed :], strict=True)
        self._blocks[(np.array(starts) - self._written) // BLOCK - 1] = headers(names, sizes)
        self._headed = len(self.members)
        self._written += self.file.write(self._buffer[: self._filled])
        self._filled = 0
