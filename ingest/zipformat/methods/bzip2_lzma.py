"""Decoders of bzip2, LZMA and xz: what Info-ZIP, 7-Zip and WinZip write where they are asked to.

Each is a :class:`.decoder.Decoder`. The output comes at most 1 MiB at a time, whatever the input becomes; the memory of
bzip2 is 4 MB, that of LZMA and xz what their dictionaries need, up to :data:`MOST_DICTIONARY`.

LZMA in a zip (APPNOTE 6.3.10, 5.8.8) begins with the version of the encoder (2 bytes), the length of the properties
(2), and the properties: one byte of parameters and the size of the dictionary (4). Bit 1 of the entry's flags says
whether an end marker follows the data; it is not needed here, for the marker itself tells. Without one the data end
with their declared size, and a decoder that is not told it may make some more of the last bits.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterator
from typing import Protocol

from postmill.ingest.zipformat.faults import EntryFault
from postmill.shards.formats.reasons import Reason

MOST_DICTIONARY = 256 << 20  # bytes; 7-Zip's strongest level takes as much
_LEAST_DICTIONARY = 4096  # bytes
_OUTPUT = 1 << 20  # bytes at a time
_LZMA_HEAD = 9  # bytes before the data
_PROPERTIES = 5  # bytes of them that are the properties
_UNKNOWN_SIZE = b"\xff" * 8  # in the header of a .lzma file, which is how liblzma takes the properties
_MADE_UP = 64 << 10  # bytes that the last bits may become by themselves; a few matches of 273


class _Stream(Protocol):
    """A decompressor of the standard library."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Bzip2OrXz:
    """One stream of either; what follows it is ignored, as with deflate."""

    endless = False

    def __init__(self, stream: _Stream) -> None:
        self.done = False
        self.taken = self.slack = 0
        self._stream = stream

    def feed(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        """See :class:`.decoder.Decoder`."""
        if self.done:
            return
        self.taken += len(chunk)
        yield from _pieces(self._stream, bytes(chunk))
        self.done = self._stream.eof
        self.taken -= len(self._stream.unused_data)


class Lzma:
    """LZMA with an end marker, or of a known size.

    Args:
        size: Bytes that the data are declared to become, None where that is not known.
    """

    def __init__(self, size: int | None) -> None:
        self.done = self.endless = False
        self.taken = self.slack = 0
        self._size = size
        self._made = 0  # bytes, those held back among them
        self._held = b""  # what came beyond `size`: made up by the decoder if no end marker follows
        self._head = b""
        self._stream: _Stream | None = None

    def feed(self, chunk: bytes | memoryview) -> Iterator[bytes]:
        """See :class:`.decoder.Decoder`."""
        if self.done:
            return
        self.taken += len(chunk)
        data = bytes(chunk)
        if self._stream is None:
            self._head += data
            if len(self._head) < _LZMA_HEAD:
                return
            self._stream, data = lzma.LZMADecompressor(lzma.FORMAT_ALONE), self._header() + self._head[_LZMA_HEAD:]
        for piece in _pieces(self._stream, data):
            yield from self._declared(piece)
        self.done = self._stream.eof
        self.taken -= len(self._stream.unused_data)
        if self.done and self._held:  # more than declared, and none of it is made up
            yield self._held

    def _header(self) -> bytes:
        """Return the header of a .lzma file with the properties of this entry."""
        if self._head[2:4] != _PROPERTIES.to_bytes(2, "little"):
            raise EntryFault(Reason.DATA_CORRUPT, f"LZMA has 5 bytes of properties, not 0x{self._head[2:4].hex()}")
        stated = int.from_bytes(self._head[5:_LZMA_HEAD], "little")
        # What lies farther back than all of the data is never asked for.
        needed = max(stated if self._size is None else min(stated, self._size), _LEAST_DICTIONARY)
        if needed > MOST_DICTIONARY:
            raise EntryFault(
                Reason.METHOD_UNSUPPORTED,
                f"LZMA with a dictionary of {needed:,} bytes; the limit is {MOST_DICTIONARY:,}",
            )
        return self._head[4:5] + needed.to_bytes(4, "little") + _UNKNOWN_SIZE

    def _declared(self, piece: bytes) -> Iterator[bytes]:
        """Yield what of ``piece`` lies within the declared size, and hold back the rest."""
        self._made += len(piece)
        beyond = 0 if self._size is None else min(max(self._made - self._size, 0), len(piece))
        self._held += piece[len(piece) - beyond :]
        self.endless = self._size is not None and self._made >= self._size
        if beyond < len(piece):
            yield piece[: len(piece) - beyond]
        if len(self._held) > _MADE_UP:
            yield self._held
            self._held, self._size = b"", None


def xz_stream() -> _Stream:
    """Return a decompressor of one xz stream, whose dictionary is bounded."""
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_DICTIONARY + _OUTPUT)


def bzip2_stream() -> _Stream:
    """Return a decompressor of one bzip2 stream."""
    return bz2.BZ2Decompressor()


def _pieces(stream: _Stream, data: bytes) -> Iterator[bytes]:
    """Yield what ``data`` becomes."""
    while True:
        try:
            piece = stream.decompress(data, _OUTPUT)
        except (OSError, lzma.LZMAError) as error:  # bz2 has no exception of its own
            # Only the words tell a dictionary beyond the limit from damage, which another copy would mend.
            beyond = str(error) == "Memory usage limit exceeded"
            reason = Reason.METHOD_UNSUPPORTED if beyond else Reason.DATA_CORRUPT
            raise EntryFault(
                reason, f"xz with a dictionary beyond {MOST_DICTIONARY:,} bytes" if beyond else str(error)
            ) from error
        data = b""
        if piece:
            yield piece
        if stream.eof or stream.needs_input:
            return
