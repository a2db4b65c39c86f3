"""Decompress one entry, and believe nothing that it declares.

Stored (0), deflate (8), deflate64 (9) and Zstandard (93). Memory is bounded by what the compressed
bytes can become at all, by the declared size and by the caller's limit, whichever is least; length
and CRC-32 are always checked.
"""

from __future__ import annotations

import zlib

import deflate

from ingest.decoder import DEFLATE, DEFLATE64, METHODS, STORED, ZSTANDARD, check_end, make
from ingest.reasons import EntryFault, Reason

__all__ = ["DEFLATE", "DEFLATE64", "MAX_ENTRY", "METHODS", "STORED", "ZSTANDARD", "inflate"]

MAX_ENTRY = 256 << 20  # bytes; pictures and posts are far below a hundredth of it

# The most that n compressed bytes can become, bytes for a byte. Deflate: 258 bytes in two 1-bit codes.
# Deflate64: 65,538 in 18 bits. Zstandard: a block of 128 KiB in 4 bytes.
_MOST = {STORED: 1, DEFLATE: 1032, DEFLATE64: 29_200, ZSTANDARD: 32_768}
_SLACK = 131_072  # one block of any of them
_WHOLE = 64 << 20  # up to this size a buffer is allocated at once
_STEP = 1 << 20


def inflate(
    method: int, data: bytes | bytearray | memoryview, size: int, crc32: int, max_entry: int = MAX_ENTRY
) -> bytes | bytearray | memoryview:
    """Return the decompressed data of one entry; for a stored one ``data`` itself.

    Args:
        method: Compression method, one of :data:`METHODS`.
        data: All compressed bytes.
        size: Declared size of the result, bytes.
        crc32: Declared checksum of the result.
        max_entry: Largest size to accept, bytes.

    Raises:
        EntryFault: Another method, too large, corrupt, or not of the declared size or checksum.
    """
    if method == STORED and len(data) == size <= max_entry and deflate.crc32(data) == crc32:
        return data  # first: the checks below would take a small picture as long as its checksum does
    if size > max_entry:
        raise EntryFault(Reason.TOO_LARGE, f"declares {size} bytes; the limit is {max_entry}")
    most = _MOST.get(method)
    if most is None:
        raise EntryFault(Reason.METHOD_UNSUPPORTED, f"method {method}")
    if size > len(data) * most + _SLACK:
        raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes, which {len(data)} compressed bytes cannot become")
    plain: bytes | bytearray | memoryview
    if method == STORED:
        plain = data
    elif method == DEFLATE and 0 < size <= _WHOLE:  # libdeflate takes any data for an empty result
        try:
            plain = deflate.deflate_decompress(data, size)
        except deflate.DeflateError as error:
            raise _deflate_fault(data, size) from error
    else:
        plain = _bounded(method, data, size)
    if len(plain) != size:
        raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has {len(plain)}")
    found = deflate.crc32(plain)
    if found != crc32:
        raise EntryFault(Reason.CRC_WRONG, f"declares {crc32:#010x} and has {found:#010x}")
    return plain


def _deflate_fault(data: bytes | bytearray | memoryview, size: int) -> EntryFault:
    """Tell corrupt data from an output beyond ``size``; libdeflate says only that it failed."""
    try:
        got = zlib.decompressobj(-15).decompress(data, size + 1)
    except zlib.error as error:
        return EntryFault(Reason.DATA_CORRUPT, str(error))
    if len(got) > size:
        return EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has more")
    return EntryFault(Reason.DATA_CORRUPT, f"the data stop after {len(got)} of {size} bytes")


def _bounded(method: int, data: bytes | bytearray | memoryview, size: int) -> bytearray:
    """Decompress in pieces and stop as soon as there is more than ``size``."""
    decoder, plain, view = make(method), bytearray(), memoryview(data)
    for at in range(0, len(view), _STEP):
        for piece in decoder.feed(view[at : at + _STEP]):
            plain += piece
            if len(plain) > size:
                raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has more")
    if len(plain) == size:
        check_end(decoder, method, len(view))
    return plain
