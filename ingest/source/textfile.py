"""Text files of any size, plain, ``.gz`` or ``.zst``, local or behind a URL, in blocks of whole lines."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

import zstandard

from postmill.ingest.remote import files
from postmill.shards.run.sources import PinnedText
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

BLOCK_BYTES = 8 << 20
MAX_LINE = 1 << 20  # bytes
_COMPRESSED_BLOCK = 1 << 17  # one block of a frame can become 128 KiB for every 4 bytes
_UNREADABLE: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, zlib.error, zstandard.ZstdError)
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""


class TextHash:
    """The length and the SHA-256 of a text file, of the bytes as they lie, taken while they are read anyway."""

    def __init__(self) -> None:
        self._bytes = 0
        self._sha256 = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Take the bytes that come next."""
        self._bytes += len(data)
        self._sha256.update(data)

    def pinned(self) -> PinnedText:
        """Return what pins the file, when it has been read to its end."""
        return PinnedText(self._bytes, self._sha256.hexdigest())


class _Hashed:
    """A file of which every byte that is read is hashed."""

    def __init__(self, file: _Readable, text_hash: TextHash) -> None:
        self._file = file
        self._hash = text_hash

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        return data


def blocks(path: str, block: int = BLOCK_BYTES, text_hash: TextHash | None = None) -> Iterator[bytes]:
    """Yield the content of ``path`` in pieces of about ``block`` bytes, each ending with a newline.

    Compression is told by the first bytes, not by the name. Memory is bounded whatever the size of the file.

    Args:
        path: A local path or an address.
        block: Bytes of a piece, about.
        text_hash: Takes the file's bytes, all of them when the last piece has been yielded.

    Raises:
        PostmillError: The file cannot be opened or read, is cut short inside its compression, or has a line of
            over 1 MiB (it is then not one of the dataset's text files).
    """
    with _opened(path) as file:
        hashed = _Hashed(file, TextHash() if text_hash is None else text_hash)
        rest = b""
        for piece in _decompressed(hashed, _magic(file), block):
            piece = rest + piece
            end = piece.rfind(b"\n") + 1
            rest = piece[end:]
            if len(rest) > MAX_LINE:
                holey = rest.count(0) > len(rest) // 2
                raise PostmillError(
                    "holds zeros where text must be" if holey else "has a line of over 1 MiB",
                    place=path,
                    hint="copy it again" if holey else "check that this is the file you meant",
                )
            if end:
                yield piece[:end]
        while hashed.read(BLOCK_BYTES):  # what no decompressor asked for
            pass
        if rest:
            yield rest


def pinned(path: str, progress: Progress, label: str) -> PinnedText:
    """Read ``path`` through and return what pins it.

    Raises:
        PostmillError: It cannot be opened or read.
    """
    text_hash = TextHash()
    with _opened(path) as file, progress.track(label, None, "bytes") as advance:
        while data := file.read(BLOCK_BYTES):
            text_hash.update(data)
            advance(len(data))
    return text_hash.pinned()


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """Open ``path`` for the block; what it fails with there becomes what a user can mend."""
    try:
        with cast(IO[bytes], files.open_stream(path)) if is_url(path) else Path(path).open("rb") as file:
            yield file
    except PostmillError:
        raise
    except _UNREADABLE as error:
        raise PostmillError(
            f"cannot be read: {error}", place=path, hint="check that the file is whole and that you may read it"
        ) from error


def _magic(file: IO[bytes]) -> bytes:
    magic = file.read(4)
    file.seek(0)
    return magic


def _decompressed(file: _Readable, magic: bytes, block: int) -> Iterator[bytes]:
    """Yield the decompressed content of ``file`` in pieces; raise EOFError if its compression ends too early."""
    if magic == _ZSTANDARD:
        yield from _zstandard(file)
        return
    plain = gzip.GzipFile(fileobj=cast(IO[bytes], file)) if magic[:2] == _GZIP else file
    while piece := plain.read(block):
        yield piece


def _zstandard(file: _Readable) -> Iterator[bytes]:
    """Yield the content of the frames of ``file``; the library's own stream reader is silent on a cut."""
    frames = zstandard.ZstdDecompressor()
    frame = frames.decompressobj()
    within = False  # whether a frame has begun and not ended
    while compressed := file.read(_COMPRESSED_BLOCK):
        while compressed:
            within = True
            yield frame.decompress(compressed)
            compressed = b""
            if frame.eof:
                within, compressed = False, frame.unused_data
                frame = frames.decompressobj()
    if within:
        raise EOFError("it ends in the middle of a Zstandard frame")
