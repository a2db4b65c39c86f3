"""Entries too large for memory, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

import deflate

from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.local_header import Declared, descriptor_fault, descriptor_size, header_size, locate
from postmill.ingest.zipformat.methods.decoder import check_end, make_decoder
from postmill.ingest.zipformat.signatures import FLAG_DESCRIPTOR, LOCAL_HEADER, MOST_DESCRIPTOR
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.reasons import Reason

_COMPRESSED_CHUNK = 1 << 20  # compressed bytes to read at a time


def find_data(space: AddressSpace, offset: int, limit: int, entry: Declared) -> tuple[int, int]:
    """Return where in ``space`` the data of an entry begin and end; only the header and a descriptor are read.

    Args:
        space: All parts.
        offset: Of the local header.
        limit: Where the next record begins, at the latest.
        entry: What the directory says of it.

    Raises:
        EntryFault: The local header contradicts the directory.
        PartError: A part cannot be read.
    """
    most = limit - offset
    header = space.read(offset, min(most, LOCAL_HEADER.size))
    if len(header) == LOCAL_HEADER.size:
        header = space.read(offset, min(most, header_size(header)))
    try:
        start, end = locate(header, 0, most, entry)
    except EntryFault as fault:
        # Of a descriptor `locate` can only say that it is not among these few bytes; it is the last thing it looks at.
        if fault.reason is not Reason.DESCRIPTOR_MISMATCH:
            raise
        start, end = len(header), len(header) + entry.compressed_size
    _, _, flags, *_ = LOCAL_HEADER.unpack_from(header)
    if flags & FLAG_DESCRIPTOR:
        after = space.read(offset + end, min(MOST_DESCRIPTOR, most - end))
        if descriptor_size(after, 0, len(after), entry.crc32, entry.compressed_size, entry.size) == 0:
            raise descriptor_fault(entry, after)
    return offset + start, offset + end


def plain_pieces(
    space: AddressSpace, start: int, end: int, method: int, size: int, crc32: int, chunk: int = _COMPRESSED_CHUNK
) -> Iterator[bytes]:
    """Yield the decompressed data that lie from ``start`` to ``end``; memory is a few pieces of at most 32 MiB.

    Nothing beyond ``size`` is yielded. That the data are right is known only when the last piece is out.

    Raises:
        EntryFault: The data are corrupt, or not of the declared size or checksum.
        PartError: A part cannot be read.
    """
    decoder, length, checksum = make_decoder(method, size), 0, 0
    for block in space.stream(start, end, chunk):
        for piece in decoder.feed(block):
            length += len(piece)
            if length > size:
                raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has more")
            checksum = deflate.crc32(piece, checksum)
            yield piece
    if length != size:
        raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has {length}")
    check_end(decoder, method, end - start)
    if checksum != crc32:
        raise EntryFault(Reason.CRC_WRONG, f"declares {crc32:#010x} and has {checksum:#010x}")
