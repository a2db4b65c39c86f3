"""Decompress one entry as its bytes come, in bounded memory and without knowing its sizes.

::

    decoder = make_decoder(method)
    for chunk in chunks:
        for piece in decoder.feed(chunk):      # at most MOST_PIECE bytes each
            ...
        if decoder.done:
            break

Where :func:`.inflate.inflate` has all of an entry and its size, this serves entries that are too large for
memory, and entries whose end only their own data tell (APPNOTE 6.3.10, 4.4.4, bit 3).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.methods.bzip2_lzma import Bzip2OrXz, Lzma, bzip2_stream, xz_stream
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

METHODS = (STORED, DEFLATE, DEFLATE64, BZIP2, LZMA, ZSTANDARD, XZ)  # that can be decompressed

MOST_PIECE = 32 << 20  # bytes that `feed` yields at a time
_DEFLATE_OUTPUT = 1 << 20  # bytes at a time
_UNLIMITED_INPUT = 1 << 10  # inflate64 and Zstandard take no limit of output: 1 KiB cannot become more than 32 MiB
_ZSTANDARD_WINDOW = 1 << 27  # its own default limit
_ZSTANDARD_FRAME = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1


class Decoder(Protocol):
    """Takes compressed bytes in order and gives plain ones.

    Attributes:
        done: The data say that they are complete. Stored data never do; of Zstandard, another frame may follow if
            the last chunk ended with one.
        taken: Compressed bytes that were needed so far.
        slack: By how many bytes ``taken`` may be too high: deflate64 does not tell where in a step it ended.
        endless: The data may end here without saying so: stored data, and LZMA without an end marker when it has become
            as long as it was declared.
    """

    done: bool
    taken: int
    slack: int
    endless: bool

    def feed(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        """Yield what ``chunk`` becomes.

        Raises:
            EntryFault: The data are corrupt.
        """


def make_decoder(method: int, size: int | None = None) -> Decoder:
    """Return a decoder for ``method``.

    Args:
        method: One of :data:`METHODS`.
        size: Bytes that the data are declared to become, where that is known. LZMA may need it to find its end.

    Raises:
        EntryFault: The method is another one.
    """
    makers: dict[int, Callable[[], Decoder]] = {
        STORED: _Stored,
        DEFLATE: _Deflate,
        DEFLATE64: _Deflate64,
        BZIP2: lambda: Bzip2OrXz(bzip2_stream()),
        LZMA: lambda: Lzma(size),
        ZSTANDARD: _Zstandard,
        XZ: lambda: Bzip2OrXz(xz_stream()),
    }
    if method not in makers:
        raise EntryFault(Reason.METHOD_UNSUPPORTED, method_name(method))
    return makers[method]()


def check_end(decoder: Decoder, method: int, length: int) -> None:
    """Check that an entry of ``length`` compressed bytes, all of which ``decoder`` was fed, ended as it must.

    Bytes behind the end of deflate are ignored, as all readers do; behind a Zstandard frame only another may come.

    Raises:
        EntryFault: The data stop before their end, or something follows it.
    """
    if not (decoder.done or decoder.endless):
        raise EntryFault(Reason.DATA_CORRUPT, "the data stop before their end")
    if method == ZSTANDARD and decoder.taken < length:
        raise EntryFault(Reason.DATA_CORRUPT, f"{length - decoder.taken} bytes that are no frame follow the last one")


class _Stored:
    endless = True

    def __init__(self) -> None:
        self.done = False
        self.taken = self.slack = 0

    def feed(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        self.taken += len(chunk)
        yield bytes(chunk)


class _Deflate:
    endless = False

    def __init__(self) -> None:
        self.done = False
        self.taken = self.slack = 0
        self._stream = zlib.decompressobj(-15)

    def feed(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        if self.done:
            return
        left: bytes | memoryview = chunk
        self.taken += len(chunk)
        while not self.done:
            try:
                piece = self._stream.decompress(left, _DEFLATE_OUTPUT)
            except zlib.error as error:
                raise EntryFault(Reason.DATA_CORRUPT, str(error)) from error
            if piece:
                yield piece
            self.done = self._stream.eof
            left = self._stream.unconsumed_tail
            if self.done:
                self.taken -= len(self._stream.unused_data)
            elif not left and len(piece) < _DEFLATE_OUTPUT:  # a full piece may have more behind it
                return


class _Deflate64:
    endless = False

    def __init__(self) -> None:
        self.done = False
        self.taken = self.slack = 0
        import inflate64  # where such an entry needs it: it asks the system for its own version when loaded

        self._stream = inflate64.Inflater()

    def feed(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        for start in range(0, len(chunk), _UNLIMITED_INPUT):
            if self.done:
                return
            step = bytes(chunk[start : start + _UNLIMITED_INPUT])
            try:
                piece = self._stream.inflate(step)
            except ValueError as error:
                raise EntryFault(Reason.DATA_CORRUPT, str(error)) from error
            self.taken += len(step)
            self.done = bool(self._stream.eof)
            self.slack = len(step) - 1 if self.done else 0
            if piece:
                yield piece


class _Zstandard:
    """One frame after the other: more than one is allowed, and the next shows its magic number."""

    endless = False

    def __init__(self) -> None:
        self.done = False
        self.taken = self.slack = 0
        self._between = b""  # bytes after a frame that may be the next one's beginning
        self._over = False  # what followed a frame was no frame
        self._stream = self._frame()

    @staticmethod
    def _frame() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=_ZSTANDARD_WINDOW).decompressobj()

    def feed(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        if self._over:
            return
        for start in range(0, len(chunk), _UNLIMITED_INPUT):
            step = self._between + bytes(chunk[start : start + _UNLIMITED_INPUT])
            self.taken += len(step) - len(self._between)
            self._between = b""
            while step:
                if self._stream.eof:
                    if not step.startswith(_ZSTANDARD_FRAME[: len(step)]):
                        self.done = self._over = True
                        self.taken -= len(step)
                        return
                    if len(step) < len(_ZSTANDARD_FRAME):
                        self._between = step
                        break
                    self._stream = self._frame()
                try:
                    piece = self._stream.decompress(step)
                except zstandard.ZstdError as error:
                    raise EntryFault(Reason.DATA_CORRUPT, str(error)) from error
                if piece:
                    yield piece
                step = self._stream.unused_data if self._stream.eof else b""
        self.done = self._stream.eof and not self._between
