"""What the tests of archives share: tools, the names of the shared sets, and each method's packing."""

from __future__ import annotations

import shutil
import zlib

import inflate64
import pytest
import zstandard

needs_zip = pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
needs_7z = pytest.mark.skipif(shutil.which("7z") is None, reason="7-Zip is not installed")

SPLIT_SETS = [
    "pk-basic",
    "pk-straddle",
    "pk-nomarker",
    "pk-zip64",
    "pk-zip64-eocd-earlier",
    "pk-eocd-alone",
    "pk-bit3",
    "pk-bit3-nosig",
    "pk-bit3-zip64",
    "pk-z00",
    "raw-split",
    "raw-z00",
]


def pack(method: int, plain: bytes) -> bytes:
    """The data of an entry of that method."""
    if method == 8:
        stream = zlib.compressobj(6, zlib.DEFLATED, -15)
        return stream.compress(plain) + stream.flush()
    if method == 9:
        deflater = inflate64.Deflater()
        return bytes(deflater.deflate(plain) + deflater.flush())
    return zstandard.ZstdCompressor().compress(plain) if method == 93 else plain
