"""What the tests of archives share: tools, each method's packing, and the folder of sets that others wrote."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inflate64
import zstandard

from tests.machine.needs import needs

needs_zip, needs_7z = needs("zip"), needs("7z")

# Archives of other writers, beside the project where somebody has put them. What they are asked, built ones are too.
GIVEN = Path(__file__).resolve().parents[2] / ".." / "shared" / "zips"


def given_only(test: Callable[..., None]) -> Callable[..., None] | None:
    """A test of what lies in :data:`GIVEN` alone; where that is absent, there is no such test."""
    return test if GIVEN.is_dir() else None


def pack(method: int, plain: bytes) -> bytes:
    """The data of an entry of that method."""
    if method == 8:
        stream = zlib.compressobj(6, zlib.DEFLATED, -15)
        return stream.compress(plain) + stream.flush()
    if method == 9:
        deflater = inflate64.Deflater()
        return bytes(deflater.deflate(plain) + deflater.flush())
    if method == 12:
        return bz2.compress(plain)
    if method == 14:
        return lzma_head() + lzma.compress(plain, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, **_SMALL}])
    if method == 95:
        return lzma.compress(plain, filters=[{"id": lzma.FILTER_LZMA2, **_SMALL}])
    return zstandard.ZstdCompressor().compress(plain) if method == 93 else plain


_SMALL = {"dict_size": 1 << 20}


def lzma_head(dictionary: int = _SMALL["dict_size"], parameters: int = 0x5D) -> bytes:
    """What stands before LZMA data in a zip; the parameters are lc 3, lp 0, pb 2."""
    return struct.pack("<BBHBI", 9, 20, 5, parameters, dictionary)


def lzma_without_end(plain: bytes) -> bytes:
    """LZMA data without an end marker, as encoders write them that know the size: a chunk of LZMA2 is that."""
    chunk = lzma.compress(plain, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, **_SMALL}])
    control, size, packed, parameters = struct.unpack_from(">BHHB", chunk)
    assert control >= 0xE0 and ((control & 0x1F) << 16) + size + 1 == len(plain)
    assert len(chunk) == 6 + packed + 1 + 1  # the only one
    return lzma_head(parameters=parameters) + chunk[6:-1]


def patched(content: bytes, position: int, form: str, *values: Any) -> bytes:
    """``content`` with ``values`` at ``position``, from the end if negative."""
    changed = bytearray(content)
    struct.pack_into(form, changed, position if position >= 0 else len(content) + position, *values)
    return bytes(changed)
