"""The spool: entries set aside on the first pass, those of one post shard lying together.

Layout, all numbers little-endian: the magic; the pieces, one for each post shard in ascending order, each a row of
records; the index, one row for each piece; the trailer. A record is a header and the entry's bytes as they lie in the
archive (still compressed), or, for an entry that could not be taken, the reason and detail as JSON.
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

from shards.errors import PostmillError
from shards.temporary import HashingFile

MAGIC = b"PMSPOOL1"
FAULT_METHOD = 0xFFFF
_RECORD = struct.Struct("<IhHIQQ")  # row, image, method, crc32, size, bytes that follow
_INDEX = struct.Struct("<IIQQ")  # post shard, records, offset, length
_TRAILER = struct.Struct("<QQ8s")  # offset of the index, number of its rows, magic
_FLUSH_BYTES = 1 << 20


class SpoolEntry(NamedTuple):
    """One entry on its way to a post shard.

    Attributes:
        shard: The post shard.
        row: Row in it.
        image: Place in the mapping's list of pictures, or :data:`shards.plan.METADATA_IMAGE`.
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

    def fault(self) -> tuple[str, str]:
        """Return the reason and the detail of a fault."""
        value = json.loads(bytes(self.data))
        return value["reason"], value["detail"]


_SHARD = itemgetter(SpoolEntry._fields.index("shard"))
# As `SpoolEntry._make`, in a third of its time.
as_entry: Callable[[Iterable[Any]], SpoolEntry] = partial(tuple.__new__, SpoolEntry)


def faulty(shard: int, row: int, image: int, reason: str, detail: str) -> SpoolEntry:
    """Return the entry that stands for one that could not be taken."""
    told = json.dumps({"reason": reason, "detail": detail}).encode()
    return SpoolEntry(shard, row, image, FAULT_METHOD, 0, 0, told)


def lasting(entries: Iterable[SpoolEntry]) -> list[SpoolEntry]:
    """Return ``entries`` with copies of their data, which may be views of what will be read over."""
    return [as_entry((*entry[:6], bytes(entry.data))) for entry in entries]


def write(file: HashingFile, entries: Iterable[SpoolEntry]) -> int:
    """Write ``entries``, ascending by post shard, to ``file``; return how many there were.

    Raises:
        ValueError: The post shards do not ascend.
    """
    file.write(MAGIC)
    index: list[tuple[int, int, int, int]] = []
    buffers: list[bytes | bytearray | memoryview] = []
    at = written = len(MAGIC)
    for shard, piece in groupby(entries, _SHARD):
        if index and index[-1][0] > shard:
            raise ValueError(f"post shard {shard} after {index[-1][0]}")
        start, records = at, 0
        for _, row, image, method, crc32, size, data in piece:
            length = len(data)
            buffers += (_RECORD.pack(row, image, method, crc32, size, length), data)
            at += _RECORD.size + length
            records += 1
            if at - written >= _FLUSH_BYTES:
                written += file.write(b"".join(buffers))
                buffers.clear()
        index.append((shard, records, start, at - start))
    buffers += [_INDEX.pack(*row) for row in index]
    buffers.append(_TRAILER.pack(at, len(index), MAGIC))
    file.write(b"".join(buffers))
    return sum(row[1] for row in index)


def read_piece(path: Path, shard: int) -> Iterator[SpoolEntry]:
    """Yield the entries that the spool ``path`` holds for post shard ``shard``: one contiguous read.

    Raises:
        PostmillError: The file is damaged or cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
        try:
            piece = _piece(fd, shard)
        finally:
            os.close(fd)
    except (struct.error, ValueError) as error:
        raise PostmillError(
            f"is damaged: {error}", place=path, hint="delete it and its manifest, then ingest again"
        ) from error
    except OSError as error:  # of a read, which names no file
        raise PostmillError(
            f"cannot be read: {error.strerror or error}",
            place=path,
            hint="check the disk or the share, then run the same command again: it carries on",
        ) from error
    at = 0
    while at < len(piece):
        row, image, method, crc32, size, length = _RECORD.unpack_from(piece, at)
        at += _RECORD.size
        yield as_entry((shard, row, image, method, crc32, size, piece[at : at + length]))
        at += length


def read_places(path: Path) -> Iterator[SpoolEntry]:
    """Yield all entries that the spool ``path`` holds, without their data, which are not read.

    Raises:
        ValueError: Pieces, index and trailer do not fit together to the byte.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        pieces, end = _index(fd)
        at = len(MAGIC)
        if _read(fd, 0, at) != MAGIC:
            raise ValueError("it does not begin as a spool")
        for shard, records, offset, stated in pieces:
            if offset != at:
                raise ValueError(f"the piece of post shard {shard} is not where the one before ends")
            for _ in range(records):
                row, image, method, crc32, size, length = _RECORD.unpack(_read(fd, at, _RECORD.size))
                yield SpoolEntry(shard, row, image, method, crc32, size, b"")
                at += _RECORD.size + length
            if at != offset + stated:
                raise ValueError(f"the piece of post shard {shard} is longer or shorter than its index says")
        if at != end:
            raise ValueError("there are bytes between the pieces and the index")
    finally:
        os.close(fd)


def _piece(fd: int, shard: int) -> memoryview:
    pieces, end = _index(fd)
    for number, _, offset, length in pieces:
        if number == shard:
            if offset + length > end:
                raise ValueError("its index points behind its pieces")
            return memoryview(_read(fd, offset, length))
    return memoryview(b"")


def _index(fd: int) -> tuple[Iterator[tuple[int, int, int, int]], int]:
    """Return the rows of the index, and its own offset."""
    size = os.fstat(fd).st_size
    at, rows, magic = _TRAILER.unpack(_read(fd, max(size - _TRAILER.size, 0), _TRAILER.size))
    if magic != MAGIC or at + rows * _INDEX.size + _TRAILER.size != size:
        raise ValueError("its trailer does not fit its size")
    return _INDEX.iter_unpack(_read(fd, at, rows * _INDEX.size)), at


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
