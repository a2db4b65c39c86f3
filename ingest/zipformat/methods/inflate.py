"""Decompress one entry, and believe nothing that it declares.

All of :data:`.decoder.METHODS`. Memory is bounded by what the compressed
bytes can become at all, by the declared size and by the caller's limit, whichever is least; length
and CRC-32 are always checked.
"""

from __future__ import annotations

import zlib

import deflate

from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.methods.decoder import check_end, make_decoder
from postmill.ingest.zipformat.signatures import (
    BZIP2,
    DEFLATE,
    DEFLATE64,
    LZMA,
    STORED,
    XZ,
    ZSTANDARD,
    method_name,
)
from postmill.shards.formats.reasons import Reason
from postmill.shards.formats.spool import PLAIN_FILE

LARGEST_READ = 256 << 20  # bytes of an entry held in memory; pictures and posts are far below a hundredth of it

# The most that n compressed bytes can become, bytes for a byte. Deflate: 258 bytes in two 1-bit codes.
# Deflate64: 65,538 in 18 bits. Zstandard: a block of 128 KiB in 4 bytes. Bzip2: a block of 900 kB, of which 5 bytes
# stand for 259, in some 30 bytes. LZMA and xz: 273 bytes in a dozen decisions of a fiftieth of a bit each.
_MOST = {STORED: 1, DEFLATE: 1032, DEFLATE64: 29_200, BZIP2: 1 << 21, LZMA: 16_384, ZSTANDARD: 32_768, XZ: 16_384}
_BLOCK_SIZE = 131_072  # bytes, of one block of any of them
_LARGEST_AT_ONCE = 64 << 20  # bytes; up to this size the result is allocated at once
_INPUT = 1 << 20  # bytes to decompress at a time


def inflate(
    method: int, data: bytes | bytearray | memoryview, size: int, crc32: int, max_entry: int = LARGEST_READ
) -> bytes | bytearray | memoryview:
    """Return the decompressed data of one entry; for a stored one ``data`` itself.

    Args:
        method: Compression method, one of :data:`.decoder.METHODS`, or PLAIN_FILE.
        data: All compressed bytes.
        size: Declared size of the result, bytes.
        crc32: Declared checksum of the result, if ``method`` is not PLAIN_FILE.
        max_entry: Largest size to accept, bytes.

    Raises:
        EntryFault: Another method, too large, corrupt, or not of the declared size or checksum.
    """
    if method == STORED and len(data) == size <= max_entry and deflate.crc32(data) == crc32:
        return data  # first: the checks below would take a small picture as long as its checksum does
    if method == PLAIN_FILE and len(data) == size <= max_entry:
        return data
    if size > max_entry:
        raise EntryFault(Reason.TOO_LARGE, f"declares {size} bytes; the limit is {max_entry}")
    most = _MOST.get(method)
    if most is None:
        raise EntryFault(Reason.METHOD_UNSUPPORTED, method_name(method))
    if size > len(data) * most + _BLOCK_SIZE:
        raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes, which {len(data)} compressed bytes cannot become")
    plain: bytes | bytearray | memoryview
    if method == STORED:
        plain = data
    elif method == DEFLATE and 0 < size <= _LARGEST_AT_ONCE:  # libdeflate takes any data for an empty result
        try:
            plain = deflate.deflate_decompress(data, size)
        except deflate.DeflateError as error:
            raise _deflate_fault(data, size) from error
    else:
        plain = _bounded(method, data, size)
    if len(plain) != size:
        raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has {len(plain)}")
    checksum = deflate.crc32(plain)
    if checksum != crc32:
        raise EntryFault(Reason.CRC_WRONG, f"declares {crc32:#010x} and has {checksum:#010x}")
    return plain


def _deflate_fault(data: bytes | bytearray | memoryview, size: int) -> EntryFault:
    """Tell corrupt data from an output beyond ``size``; libdeflate says only that it failed."""
    try:
        plain = zlib.decompressobj(-15).decompress(data, size + 1)
    except zlib.error as error:
        return EntryFault(Reason.DATA_CORRUPT, str(error))
    if len(plain) > size:
        return EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has more")
    return EntryFault(Reason.DATA_CORRUPT, f"the data stop after {len(plain)} of {size} bytes")


def _bounded(method: int, data: bytes | bytearray | memoryview, size: int) -> bytearray:
    """Decompress in pieces and stop as soon as there is more than ``size``."""
    decoder, plain, view = make_decoder(method, size), bytearray(), memoryview(data)
    for start in range(0, len(view), _INPUT):
        for piece in decoder.feed(view[start : start + _INPUT]):
            plain += piece
            if len(plain) > size:
                raise EntryFault(Reason.SIZE_LIE, f"declares {size} bytes and has more")
    if len(plain) == size:
        check_end(decoder, method, len(view))
    return plain
