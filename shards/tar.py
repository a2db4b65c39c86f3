"""A tar writer whose bytes depend on nothing but names and contents (POSIX.1-1988 ustar)."""

from __future__ import annotations

from zlib import adler32

from shards.temporary import HashingFile

BLOCK = 512
RECORD = 20 * BLOCK  # tar pads the archive to a whole record
MAX_NAME = 100
MAX_SIZE = 8**11 - 1
_FLUSH_BYTES = 8 << 20
_SMALL = 4096
_PADDING = bytes(BLOCK)

# What follows the name: mode, owner, group; then, behind the size, the time, fixed so that the same input gives the
# same bytes; then, behind the checksum, the type (a regular file), no link, and the magic.
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_BEFORE_SUM = b"\0" + b"00000000000\0"
_BEHIND_SUM = b"\0 0" + bytes(100) + b"ustar\00000" + bytes(247)
_FIXED_SUM = sum(_BEFORE_SIZE + _BEFORE_SUM + _BEHIND_SUM) + 7 * ord(" ")  # which counts itself as blanks

Buffer = bytes | bytearray | memoryview


def header(name: str, size: int) -> bytes:
    """Return the block that stands before the content of the member ``name`` of ``size`` bytes.

    Raises:
        ValueError: The name is not plain ASCII of 1 to 100 characters, or the content exceeds 8 GiB.
    """
    raw = name.encode("ascii")
    if not 0 < len(raw) <= MAX_NAME or size > MAX_SIZE:
        raise ValueError(f"a tar member cannot be named {name!r} with {size} bytes")
    digits = b"%011o" % size
    # The low half of Adler-32 (RFC 1950) is one more than the sum of the bytes: these are too few to pass its modulus.
    checksum = b"%06o" % (_FIXED_SUM - 1 + (adler32(raw + digits) & 0xFFFF))
    return b"".join((raw, _PADDING[: MAX_NAME - len(raw)], _BEFORE_SIZE, digits, _BEFORE_SUM, checksum, _BEHIND_SUM))


def end(size: int) -> int:
    """Return how many zero bytes end an archive whose members take ``size`` bytes: two blocks, and up to a RECORD."""
    return 2 * BLOCK + -(size + 2 * BLOCK) % RECORD


class TarWriter:
    """Appends members to ``file``; :meth:`close` ends the archive, and nothing else does.

    Leaving out :meth:`close` leaves a tar without end: an exception on its way must never finish the file.

    Attributes:
        size: Bytes of the archive so far.
        members: What was added so far: name, offset and size of each content, as in :class:`shards.offsets.Member`.
    """

    def __init__(self, file: HashingFile) -> None:
        self.file = file
        self.size = 0
        self.members: list[tuple[str, int, int]] = []
        self._buffers: list[Buffer] = []
        self._small: list[Buffer] = []  # what comes behind the buffers: joined, as every buffer has its price
        self._pending = 0

    def add(self, name: str, *parts: Buffer) -> int:
        """Append the member ``name`` whose content is ``parts`` in order; return the offset of its content.

        Raises:
            ValueError: The name is not plain ASCII of 1 to 100 characters, or the content exceeds 8 GiB.
        """
        size = len(parts[0]) if len(parts) == 1 else sum(map(len, parts))
        padding = -size % BLOCK
        self._small.append(header(name, size))
        if size < _SMALL:
            self._small += parts
        else:
            self._buffers += (b"".join(self._small), *parts)
            self._small.clear()
        self._small.append(_PADDING[:padding])
        start = self.size + BLOCK
        self.members.append((name, start, size))
        self.size = start + size + padding
        self._pending += BLOCK + size + padding
        if self._pending >= _FLUSH_BYTES:
            self.flush()
        return start

    def close(self) -> None:
        """Write the end of the archive: two zero blocks and the padding to a whole record."""
        zeros = bytes(end(self.size))
        self._small.append(zeros)
        self.size += len(zeros)
        self.flush()

    def flush(self) -> None:
        """Write what was added; until then its contents must stay as they are."""
        self.file.writev([*self._buffers, b"".join(self._small)])
        self._small.clear()
        self._buffers.clear()
        self._pending = 0
