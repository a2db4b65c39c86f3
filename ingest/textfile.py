"""Text files of any size, plain, ``.gz`` or ``.zst``, local or behind a URL, in blocks of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import zstandard

from shards.errors import PostmillError

BLOCK = 8 << 20
MAX_LINE = 1 << 20
_COMPRESSED_BLOCK = 1 << 17  # one block of a frame can become 128 KiB for every 4 bytes
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def blocks(path: str, block: int = BLOCK) -> Iterator[bytes]:
    """Yield the content of ``path`` in pieces of about ``block`` bytes, each ending with a newline.

    Compression is told by the first bytes, not by the name. Memory is bounded whatever the size of the file.

    Raises:
        PostmillError: The file cannot be opened or read, is cut short inside its compression, or has a line of
            over 1 MiB (it is then not one of the dataset's text files).
    """
    import fsspec  # here, for only a plan needs it: it is slow to load

    try:
        with fsspec.open(path, "rb") as file:
            rest = b""
            for piece in _pieces(cast(BinaryIO, file), block):
                piece = rest + piece
                end = piece.rfind(b"\n") + 1
                rest = piece[end:]
                if len(rest) > MAX_LINE:
                    raise PostmillError(
                        "has a line of over 1 MiB", place=path, hint="check that this is the file you meant"
                    )
                if end:
                    yield piece[:end]
            if rest:
                yield rest + b"\n"
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise PostmillError(
            f"cannot be read: {error}", place=path, hint="check that the file is whole and that you may read it"
        ) from error


def _pieces(file: BinaryIO, block: int) -> Iterator[bytes]:
    """Yield the decompressed content of ``file`` in pieces; raise EOFError if its compression ends too early."""
    magic = file.read(4)
    file.seek(0)
    if magic == _ZSTANDARD:
        yield from _zstandard(file)
        return
    plain = gzip.GzipFile(fileobj=file) if magic[:2] == _GZIP else file
    while piece := plain.read(block):
        yield piece


def _zstandard(file: BinaryIO) -> Iterator[bytes]:
    """Yield the content of the frames of ``file``; the library's own stream reader is silent on a cut."""
    frames = zstandard.ZstdDecompressor()
    frame = frames.decompressobj()
    held = False  # whether a frame has begun and not ended
    while compressed := file.read(_COMPRESSED_BLOCK):
        while compressed:
            held = True
            yield frame.decompress(compressed)
            compressed = b""
            if frame.eof:
                held, compressed = False, frame.unused_data
                frame = frames.decompressobj()
    if held:
        raise EOFError("it ends in the middle of a Zstandard frame")
