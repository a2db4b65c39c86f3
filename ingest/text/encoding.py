"""Text as tools leave it, to UTF-8 in lines that end with a newline: byte order marks, UTF-16, UTF-32, CRLF and CR."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

from postmill.shards.runtime.errors import PostmillError

_SNIFFED = 262  # bytes of the beginning by which a file is told
_MARKS = (  # the longer ones first: that of UTF-32-LE begins with that of UTF-16-LE
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_INNER_MARK = re.compile(rb"^(?:\xef\xbb\xbf)+", re.MULTILINE)
_UNMARKED = (  # two letters of ASCII
    (re.compile(rb"[^\0]\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0[^\0]\0[^\0]"), "utf-16-be"),
)
_UNPACK = "unpack it, and name what was in it"
_FETCH = "fetch the file again"
_FOREIGN = (  # what begins so is none of the dataset's text files
    (
        re.compile(rb"PK\x03\x04"),
        "is a zip file, or a spreadsheet",
        "name the text in it; save a sheet as tab-delimited",
    ),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "is a spreadsheet", "save it as tab-delimited text"),
    (re.compile(rb"\x1f\x8b|\x28\xb5\x2f\xfd"), "is compressed twice", "unpack it once, and name what comes out"),
    (re.compile(rb".{257}ustar", re.DOTALL), "is a tar archive", _UNPACK),
    (re.compile(rb"\xfd7zXZ\0"), "is compressed by xz", _UNPACK),
    (re.compile(rb"BZh[1-9]1AY"), "is compressed by bzip2", _UNPACK),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "is a 7z archive", _UNPACK),
    (re.compile(rb"\x04\x22\x4d\x18"), "is compressed by lz4", _UNPACK),
    (re.compile(rb"Rar!\x1a\x07"), "is a RAR archive", _UNPACK),
    (re.compile(rb"PAR1"), "is a Parquet file", "write it as tab-separated text"),
    (re.compile(rb"\{\\rtf"), "is a document (RTF)", "save it as plain text"),
    (re.compile(rb"%PDF-"), "is a document (PDF)", _FETCH),
    (re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE), "is a web page", _FETCH),
    (re.compile(rb"version https://git-lfs"), "is a pointer of Git LFS", "fetch what it stands for: git lfs pull"),
)


def utf8_lines(pieces: Iterable[bytes], path: str) -> Iterator[bytes]:
    r"""Yield the text of ``pieces``, cut anywhere, in UTF-8 without a byte order mark, each line end being a ``\n``.

    What is no text in the encoding that the first bytes tell becomes bytes that are not UTF-8, where it stands.

    Raises:
        PostmillError: The file ``path`` begins as no text does: it is compressed in another way, or a web page.
    """
    pieces = iter(pieces)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _SNIFFED:
            break
    for begin, what, hint in _FOREIGN:
        if begin.match(head):
            raise PostmillError(f"{what}, and no text", place=path, hint=hint)
    mark, encoding = encoding_of(head)
    text = _chained(head[len(mark) :], pieces)
    yield from _line_ends(text if encoding == "utf-8" else _decoded(text, encoding))


def without_marks(lines: bytes) -> bytes:
    """Return whole ``lines`` without the byte order marks that files put together have at beginnings of lines."""
    return lines if lines.isascii() or codecs.BOM_UTF8 not in lines else _INNER_MARK.sub(b"", lines)


def encoding_of(head: bytes) -> tuple[bytes, str]:
    """Return the byte order mark with which ``head`` begins, empty where there is none, and the encoding of a text."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return mark, encoding
    return b"", next((encoding for begin, encoding in _UNMARKED if begin.match(head)), "utf-8")


def _chained(head: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from pieces


def _decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield ``pieces`` in UTF-8; half of a surrogate pair, or of a character, becomes bytes that are not."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield b"\xff"


def _line_ends(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""  # a carriage return, of which the next piece tells whether it is one half of a line end
    for piece in pieces:
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""
        if b"\r" in piece:
            piece = piece.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        yield piece
    if held:
        yield b"\n"
