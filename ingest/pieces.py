"""Entries too large for memory, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

import deflate

from ingest.decoder import check_end, make
from ingest.entry import DESCRIPTOR, LOCAL_HEADER, MOST_DESCRIPTOR, descriptor_size, locate
from ingest.reasons import EntryFault, Reason
from ingest.space import AddressSpace

CHUNK = 1 << 20  # compressed bytes to read at a time


def find_data(
    space: AddressSpace,
    offset: int,
    limit: int,
    name: bytes,
    method: int,
    flags: int,
    crc32: int,
    compressed_size: int,
    size: int,
) -> tuple[int, int]:
    """Return where in ``space`` the data of an entry begin and end; only the header and a descriptor are read.

    Args:
        space: All parts.
        offset: Of the local header.
        limit: Where the next record begins, at the latest.
        name: As :func:`ingest.entry.locate` has it, like all that follow.
        method: Compression method.
        flags: General purpose bits.
        crc32: Of the data when decompressed.
        compressed_size: Bytes.
        size: Bytes when decompressed.

    Raises:
        EntryFault: The local header contradicts the directory.
        PartError: A part cannot be read.
    """
    most = limit - offset
    header = space.read(offset, min(most, LOCAL_HEADER))
    if len(header) == LOCAL_HEADER:
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        header = space.read(offset, min(most, LOCAL_HEADER + lengths))
    sizes = crc32, compressed_size, size
    try:
        start, end = locate(header, 0, most, name, method, flags, *sizes)
    except EntryFault as fault:
        # Of a descriptor `locate` can only say that it is not among these few bytes; it is the last thing it looks at.
        if fault.reason is not Reason.DESCRIPTOR_MISMATCH:
            raise
        start, end = len(header), len(header) + compressed_size
    if header[6] & DESCRIPTOR:
        after = space.read(offset + end, min(MOST_DESCRIPTOR, most - end))
        if descriptor_size(after, 0, len(after), *sizes) == 0:
            raise EntryFault(
                Reason.DESCRIPTOR_MISMATCH,
                f"directory crc {crc32:#010x}, sizes {compressed_size} and {size}; after the data {after.hex()}",
            )
    return offset + start, offset + end


def plain_pieces(
    space: AddressSpace, start: int, end: int, method: int, size: int, crc32: int, chunk: int = CHUNK
) -> Iterator[bytes]:
    """Yield the decompressed data that lie from ``start`` to ``end``; memory is a few pieces of at most 32 MiB.

    Nothing beyond ``size`` is yielded. That the data are right is known only when the last piece is out.

    Raises:
        EntryFault: The data are corrupt, or not of the declared size or checksum.
        PartError: A part cannot be read.
    """
    decoder, got, found = make(method), 0, 0
    for block in space.stream(start, end, chunk):
        for piece in decoder.feed(block):
            got += len(piece)
            if got > size:
                raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has more")
            found = deflate.crc32(piece, found)
            yield piece
    if got != size:
        raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has {got}")
    check_end(decoder, method, end - start)
    if found != crc32:
        raise EntryFault(Reason.CRC_WRONG, f"declares {crc32:#010x} and has {found:#010x}")
