"""Text files of any size, plain, ``.gz`` or ``.zst``, local or behind a URL, in blocks of whole lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import fsspec
import zstandard

from shards.errors import PostmillError

BLOCK = 8 << 20
MAX_LINE = 1 << 20


def blocks(path: str, block: int = BLOCK) -> Iterator[bytes]:
    """Yield the content of ``path`` in pieces of about ``block`` bytes, each ending with a newline.

    Compression is told by the first bytes, not by the name. Memory is bounded whatever the size of the file.

    Raises:
        PostmillError: The file cannot be opened or read, is cut short inside its compression, or has a line of
            over 1 MiB (it is then not one of the dataset's text files).
    """
    try:
        with fsspec.open(path, "rb") as raw, _decompressed(cast(BinaryIO, raw)) as file:
            rest = b""
            while piece := file.read(block):
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


def _decompressed(raw: BinaryIO) -> BinaryIO:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    return raw
