"""Text files of any size, plain, ``.gz`` or ``.zst``, local or behind a URL, in blocks of whole lines in UTF-8."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

import zstandard

from postmill.ingest.remote import files
from postmill.ingest.text.encoding import utf8_lines, without_marks
from postmill.shards.run.sources import PinnedText
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

BLOCK_BYTES = 8 << 20
MAX_LINE = 1 << 20  # bytes of a line that is yet to end, and so has to be held
_KEPT = 1 << 12  # bytes of a longer one: enough to tell of what it is
_CUT = b"\x01"  # a control character, which no name may have: what was cut is never taken for a whole row
_LONGEST_WINDOW = 1 << 31  # bytes: what `zstd --long=31` asks for, and the format's most on any machine
_COMPRESSED_BLOCK = 1 << 17  # one block of a frame can become 128 KiB for every 4 bytes
_UNREADABLE: tuple[type[Exception], ...] = (OSError, EOFError, ValueError, zlib.error, zstandard.ZstdError)
_GZIP = b"\x1f\x8b"
_ZSTANDARD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # a frame, or one to be skipped


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
    r"""Yield the lines of ``path`` in UTF-8, in pieces of about ``block`` bytes, each ending with a newline.

    Compression and encoding are told by the first bytes, not by the name, and CRLF and CR are newlines too. Memory is
    bounded whatever the size of the file, but for a Zstandard frame's own window. Of a line that is longer than any of
    the dataset's the beginning is kept, and a ``\x01`` in place of the rest.

    Args:
        path: A local path or an address.
        block: Bytes of a piece, about.
        text_hash: Takes the file's bytes, as they lie, all of them when the last piece has been yielded.

    Raises:
        PostmillError: The file cannot be opened or read, is cut short inside its compression, is no text, or is one
            line.
    """
    with _opened(path) as file:
        hashed = _Hashed(file, TextHash() if text_hash is None else text_hash)
        rest, cut, lines = b"", False, False  # what follows the last newline, whether it was cut, whether one was seen
        for piece in utf8_lines(_decompressed(hashed, _magic(file), block, path), path):
            if cut:
                start = piece.find(b"\n")
                if start < 0:
                    continue
                piece, cut = piece[start:], False
            piece = rest + piece
            end = piece.rfind(b"\n") + 1
            rest = piece[end:]
            if end:
                lines = True
                yield without_marks(piece[:end])
            if len(rest) > MAX_LINE:
                if not lines:
                    raise _one_line(path, rest)
                rest, cut = rest[:_KEPT] + _CUT, True
        while hashed.read(BLOCK_BYTES):  # what no decompressor asked for
            pass
        if rest:
            yield without_marks(rest)


def _one_line(path: str, begin: bytes) -> PostmillError:
    if begin.count(0) > len(begin) // 2:
        return PostmillError("holds zeros where text must be", place=path, hint="copy it again")
    cause = "has no line end in its first MiB, so that it has no rows"
    return PostmillError(cause, place=path, hint="check that this is the file you meant")


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


def compression_of(head: bytes) -> str | None:
    """Return how a file that begins with ``head`` is compressed, in a word; None where it is not."""
    return "Zstandard" if _ZSTANDARD.match(head) else "gzip" if head.startswith(_GZIP) else None


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """Open ``path`` for the block; what it fails with there becomes what a user can mend."""
    try:
        with cast(IO[bytes], files.open_stream(path)) if is_url(path) else Path(path).open("rb") as file:
            yield file
    except PostmillError:
        raise
    except _UNREADABLE as error:
        if isinstance(error, FileNotFoundError) and not is_url(path):
            raise PostmillError(
                "does not exist", place=path, hint="name it as it is called, or bring it there"
            ) from error
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise PostmillError(
            f"cannot be read: {said}", place=path, hint="check that the file is whole and that you may read it"
        ) from error


def _magic(file: IO[bytes]) -> bytes:
    magic = file.read(4)
    file.seek(0)
    return magic


def _decompressed(file: _Readable, magic: bytes, block: int, path: str) -> Iterator[bytes]:
    """Yield the decompressed content of ``file`` in pieces; raise EOFError if its compression ends too early."""
    if _ZSTANDARD.match(magic):
        yield from _zstandard(file, path)
        return
    plain = gzip.GzipFile(fileobj=cast(IO[bytes], file)) if magic[:2] == _GZIP else file
    while piece := plain.read(block):
        yield piece


def _zstandard(file: _Readable, path: str) -> Iterator[bytes]:
    """Yield the content of the frames of ``file``; the library's own stream reader is silent on a cut."""
    frames = zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW)
    frame = frames.decompressobj()
    within = False  # whether a frame has begun and not ended
    while compressed := file.read(_COMPRESSED_BLOCK):
        while compressed:
            within = True
            try:
                yield frame.decompress(compressed)
            except (MemoryError, zstandard.ZstdError) as error:
                if isinstance(error, zstandard.ZstdError) and "memory" not in str(error):
                    raise
                raise PostmillError(
                    "was compressed with a window that takes more memory than there is",
                    place=path,
                    hint="decompress it where there is more, with zstd -d --long=31, and name what comes out",
                ) from error
            compressed = b""
            if frame.eof:
                within, compressed = False, frame.unused_data
                frame = frames.decompressobj()
    if within:
        raise EOFError("it ends in the middle of a Zstandard frame")
