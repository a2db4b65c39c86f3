"""The spool: entries set aside on the first pass, those of one post shard lying together.

Layout, all numbers little-endian: the magic; the pieces, one for each post shard in ascending order, each a row of
records; the index, one row for each piece, with its checksum; the trailer, with that of the index. A record is a
header and the entry's bytes as they lie in the archive (still compressed), or, for an entry that could not be taken,
the reason and detail as JSON.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import deflate

from postmill.shards.run import checked, regular, sealed
from postmill.shards.run.temporary import HashingFile

MAGIC = b"PMSPOOL2"
PLAIN_FILE = 0xFFFE  # the method of an entry that is a file of a folder: its bytes as they are, and no checksum
FAULT_METHOD = 0xFFFF
_RECORD = struct.Struct("<IhHIQQ")  # row, image, method, crc32, size, bytes that follow
_INDEX = struct.Struct("<IIIQQ")  # post shard, records, CRC-32, offset, length
_TRAILER = struct.Struct("<QQI8s")  # offset of the index, number of its rows, their CRC-32, magic
_FLUSH_BYTES = 1 << 20


class Seen(NamedTuple):
    """Bytes that did not fit: their place in the archive (:mod:`.places`), and the first half of their BLAKE3."""

    place: int
    bytes: int
    hash: str


class SpoolFault(NamedTuple):
    """What is wrong with an entry: reason and detail, and the bytes where other ones may mend it."""

    reason: str
    detail: str
    seen: Seen | None


class SpoolEntry(NamedTuple):
    """One entry on its way to a post shard.

    Attributes:
        shard: The post shard.
        row: Row in it.
        image: Place in the mapping's list of pictures, or :data:`.plan.METADATA_IMAGE`.
        method: Zip compression method of ``data``, or FAULT_METHOD.
        crc32: Of the plain bytes, as the central directory states it.
        size: Of the plain bytes, likewise.
        data: The compressed bytes; of a fault, its JSON.
    """

    shard: int
    row: int
    image: int
    method: int
    crc32: int
    size: int
    data: bytes | memoryview

    def fault(self) -> SpoolFault:
        """Return what is wrong with an entry that could not be taken."""
        value = json.loads(bytes(self.data))
        seen = value.get("seen")
        return SpoolFault(value["reason"], value["detail"], None if seen is None else Seen(*seen))


class IndexRow(NamedTuple):
    """Where the piece of one post shard lies: its records, their CRC-32, offset and length in bytes."""

    shard: int
    records: int
    checksum: int
    offset: int
    length: int


_SHARD = itemgetter(SpoolEntry._fields.index("shard"))
# As `SpoolEntry._make`, in a third of its time.
as_entry: Callable[[Iterable[Any]], SpoolEntry] = partial(tuple.__new__, SpoolEntry)


def faulty(shard: int, row: int, image: int, reason: str, detail: str, seen: Seen | None = None) -> SpoolEntry:
    """Return the entry that stands for one that could not be taken."""
    value = {"reason": reason, "detail": detail} | ({} if seen is None else {"seen": list(seen)})
    content = json.dumps(value).encode()
    return SpoolEntry(shard, row, image, FAULT_METHOD, 0, 0, content)


def lasting(entries: Iterable[SpoolEntry]) -> list[SpoolEntry]:
    """Return ``entries`` with copies of their data, which may be views of what will be read over."""
    return [as_entry((*entry[:6], bytes(entry.data))) for entry in entries]


def write(file: HashingFile, entries: Iterable[SpoolEntry]) -> int:
    """Write ``entries``, ascending by post shard, to ``file``; return how many there were.

    Raises:
        ValueError: The post shards do not ascend.
    """
    position = file.write(MAGIC)
    index: list[tuple[int, int, int, int, int]] = []
    for shard, piece in groupby(entries, _SHARD):
        if index and index[-1][0] > shard:
            raise ValueError(f"post shard {shard} after {index[-1][0]}")
        start, records, checksum = position, 0, 0
        buffers: list[bytes | bytearray | memoryview] = []
        pending = 0
        for _, row, image, method, crc32, size, data in piece:
            length = len(data)
            buffers += (_RECORD.pack(row, image, method, crc32, size, length), data)
            pending += _RECORD.size + length
            records += 1
            if pending >= _FLUSH_BYTES:
                checksum = _append(file, buffers, checksum)
                position, pending = position + pending, 0
        checksum = _append(file, buffers, checksum)
        position += pending
        index.append((shard, records, checksum, start, position - start))
    rows = b"".join(_INDEX.pack(*row) for row in index)
    file.write(rows + _TRAILER.pack(position, len(index), deflate.crc32(rows), MAGIC))
    return sum(row[1] for row in index)


class Piece(NamedTuple):
    """What a spool holds for one post shard: its bytes, which are those that the spool's index states.

    Attributes:
        shard: The post shard.
        checksum: CRC-32 of ``data``.
        data: The records.
    """

    shard: int
    checksum: int
    data: memoryview

    @property
    def length(self) -> int:
        """Bytes of its records; 0 where the spool holds nothing for the post shard."""
        return len(self.data)

    def entries(self) -> Iterator[SpoolEntry]:
        """Yield the entries; their data are views of the piece."""
        position = 0
        while position < len(self.data):
            row, image, method, crc32, size, length = _RECORD.unpack_from(self.data, position)
            position += _RECORD.size
            yield as_entry((self.shard, row, image, method, crc32, size, self.data[position : position + length]))
            position += length


def read_piece(path: Path, shard: int, command: str) -> Piece:
    """Return what the spool ``path`` holds for post shard ``shard``: one contiguous read, and checked.

    Args:
        path: The spool.
        shard: The post shard.
        command: What makes the spool anew, for the message.

    Raises:
        PostmillError: The file is missing, damaged or cannot be read.
    """
    try:
        with regular.opened(path) as file:
            rows, end = _index(file.fileno())
            for number, _, checksum, offset, length in rows:
                if number != shard:
                    continue
                if offset + length > end:
                    raise ValueError("its index points behind its pieces")
                data = _read(file.fileno(), offset, length)
                if deflate.crc32(data) != checksum:
                    raise ValueError(f"the piece of post shard {shard} has another checksum than its index says")
                return Piece(shard, checksum, memoryview(data))
    except (struct.error, ValueError) as error:
        raise checked.damaged(path, str(error), command) from error
    except OSError as error:
        raise checked.unusable(path, error, command) from error
    return Piece(shard, 0, memoryview(b""))


def read_index(path: Path) -> list[IndexRow]:
    """Return the index of the spool ``path``: a row for each piece.

    Raises:
        ValueError: It is damaged.
        OSError: It cannot be read.
    """
    with regular.opened(path) as file:
        return list(_index(file.fileno())[0])


def pieces_hash(pieces: Iterable[tuple[str, Piece | IndexRow]]) -> str:
    """Return the hash of what spools hold for one post shard, which it states among its inputs.

    Args:
        pieces: The name of each spool and its piece, or the row of its index, in the order in which they are read;
            empty ones do not count.
    """
    return sealed.canonical_hash([[name, piece.length, piece.checksum] for name, piece in pieces if piece.length])


def read_destinations(path: Path) -> Iterator[SpoolEntry]:
    """Yield all entries that the spool ``path`` holds, without their data, which are not read.

    Raises:
        ValueError: Pieces, index and trailer do not fit together to the byte.
    """
    with regular.opened(path) as file:
        fd = file.fileno()
        rows, end = _index(fd)
        position = len(MAGIC)
        if _read(fd, 0, position) != MAGIC:
            raise ValueError("it does not begin as a spool")
        for shard, records, _, offset, stated in rows:
            if offset != position:
                raise ValueError(f"the piece of post shard {shard} is not where the one before ends")
            for _ in range(records):
                row, image, method, crc32, size, length = _RECORD.unpack(_read(fd, position, _RECORD.size))
                yield SpoolEntry(shard, row, image, method, crc32, size, b"")
                position += _RECORD.size + length
            if position != offset + stated:
                raise ValueError(f"the piece of post shard {shard} is longer or shorter than its index says")
        if position != end:
            raise ValueError("there are bytes between the pieces and the index")


def _append(file: HashingFile, buffers: list[bytes | bytearray | memoryview], checksum: int) -> int:
    """Write ``buffers``, empty them, and return the CRC-32 of the piece so far."""
    joined = b"".join(buffers)
    buffers.clear()
    file.write(joined)
    return deflate.crc32(joined, checksum)


def _index(fd: int) -> tuple[Iterator[IndexRow], int]:
    """Return the rows of the index, and its own offset."""
    size = os.fstat(fd).st_size
    position, rows, checksum, magic = _TRAILER.unpack(_read(fd, max(size - _TRAILER.size, 0), _TRAILER.size))
    if magic != MAGIC or position + rows * _INDEX.size + _TRAILER.size != size:
        raise ValueError("its trailer does not fit its size")
    content = _read(fd, position, rows * _INDEX.size)
    if deflate.crc32(content) != checksum:
        raise ValueError("its index has another checksum than its trailer says")
    return map(IndexRow._make, _INDEX.iter_unpack(content)), position


def _read(fd: int, offset: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.pread(fd, length, offset)
        if not part:
            raise ValueError("it ends too early")
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
