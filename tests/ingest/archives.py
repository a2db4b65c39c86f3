"""What the tests of archives share: tools, each method's packing, and the folder of sets that others wrote."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import inflate64
import pytest
import zstandard

needs_zip = pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
needs_7z = pytest.mark.skipif(shutil.which("7z") is None, reason="7-Zip is not installed")

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
    return zstandard.ZstdCompressor().compress(plain) if method == 93 else plain


def patched(content: bytes, position: int, form: str, *values: Any) -> bytes:
    """``content`` with ``values`` at ``position``, from the end if negative."""
    changed = bytearray(content)
    struct.pack_into(form, changed, position if position >= 0 else len(content) + position, *values)
    return bytes(changed)
