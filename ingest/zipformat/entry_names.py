"""Names of entries: decode them, and find the hostile ones.

A name is UTF-8 if bit 11 of the flags says so, else cp437, unless a Unicode Path extra (0x7075) whose
checksum fits carries a better one (APPNOTE 6.3.10, 4.4.4, 4.6.9 and appendix D). One exception is of practice, not
of APPNOTE: on Unix, Info-ZIP and others store the name's bytes as the file system has them, UTF-8 nowadays, and in
some locales set no bit. So what a Unix or macOS host wrote (4.4.2) and is valid UTF-8 is taken as that; text in
cp437 that happens to be valid UTF-8 is rare, and comes from other hosts.

Windows PowerShell 5, .NET before 4.6.1 and Go programs on Windows separate folders by backslashes, which 4.4.17.1
forbids, whatever host they state; bsdtar and others begin names with ``./``. Both are mended, and what comes of it is
judged: a hostile name never becomes a path, it is only ever shown, escaped.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from postmill.ingest.zipformat.extra_fields import extra_fields
from postmill.ingest.zipformat.signatures import EXTRA_UNICODE_PATH, EXTRAS_UNIX, FLAG_UTF8
from postmill.shards.formats.reasons import Reason

MOST_NAME = 4096  # bytes, of a path on Linux
_MOST_COMPONENT = 255  # bytes, of a file name on every file system in use
ENDS_OPEN = "ends with a backslash, and is no empty folder"  # or has it as the second byte of an unknown encoding
_SHOWN = 200  # characters of a hostile name
_DRIVE = re.compile(r"[A-Za-z]:")


class EntryName(NamedTuple):
    """A decoded name, and what is wrong with it; with a fault it is escaped and shortened, fit for showing only."""

    name: str
    reason: Reason | None = None
    detail: str | None = None


def decode(raw: bytes, flags: int, extra: bytes, unix: bool = False) -> EntryName:
    """Decode an entry's name and judge it.

    Args:
        raw: The name's bytes.
        flags: General purpose bits.
        extra: The record's extra field.
        unix: Whether one of :data:`.signatures.UNIX_HOSTS` wrote it.
    """
    encoding = "utf-8" if flags & FLAG_UTF8 or (unix and _is_utf8(raw)) else "cp437"
    source = raw
    unicode_path = _unicode_path(raw, extra)
    if unicode_path is not None:
        source, encoding = unicode_path, "utf-8"
    try:
        name = source.decode(encoding)
    except UnicodeDecodeError as error:
        shown = escaped(source.decode("latin-1"))
        return EntryName(shown, Reason.NAME_UNDECODABLE, f"not {encoding} at byte {error.start}")
    mended = _mended(name)
    if (why := hostile(mended)) is not None:
        return EntryName(escaped(name), Reason.NAME_HOSTILE, why)
    return EntryName(mended)


def hostile(name: str) -> str | None:
    """Return why ``name``, whose separators are slashes, must not be used as a path, or None if it may."""
    if not name:
        return "empty"
    length = len(name.encode("utf-8", "surrogatepass"))
    if length > MOST_NAME:
        return f"{length} bytes long"
    if _DRIVE.match(name):
        return "a drive letter"
    for character in name:
        if not " " <= character <= "~" and unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
            return f"the control character U+{ord(character):04X}"
    if name.startswith("/"):
        return "an absolute path"
    if name == "./":  # of an archive of all that is in a folder, the folder itself
        return None
    for component in name.removesuffix("/").split("/"):
        if component in ("", ".", ".."):
            return f"the path component {component!r}"
        if len(component.encode("utf-8")) > _MOST_COMPONENT:
            return f"a path component of {len(component.encode('utf-8'))} bytes"
    return None


def escaped(name: str) -> str:
    """Return ``name`` in printable ASCII, shortened."""
    text = name[: _SHOWN + 1].encode("unicode_escape").decode("ascii")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(name)} characters)"


def suspicious(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """Return the rows whose names need :func:`decode`; the others are plain ASCII and harmless as they are.

    Args:
        data: All names one after the other.
        offsets: Where each begins, and the end: one more than there are names.
    """
    lengths = np.diff(offsets)
    rows = (lengths == 0) | (lengths > _MOST_COMPONENT)
    if len(data):
        # Outside 0x20..0x7E in one comparison: the subtraction wraps around.
        bad = (data - np.uint8(0x20)) > np.uint8(0x5E)
        bad |= data == ord("\\")
        bad |= data == ord(":")
        after_slash = np.flatnonzero(data[:-1] == ord("/")) + 1
        begins = np.concatenate([offsets[:-1][lengths > 0], after_slash])
        first = data[begins]
        hits = np.concatenate([np.flatnonzero(bad), begins[(first == ord("/")) | (first == ord("."))]])
        rows[np.searchsorted(offsets, hits, side="right") - 1] = True
    return np.flatnonzero(rows)


def same_name(first: bytes, second: bytes) -> bool:
    """Tell whether the raw names in the two headers of an entry are one, whatever separates its folders in each."""
    return first == second or first.replace(b"\\", b"/") == second.replace(b"\\", b"/")


def mend_all(names: pa.BinaryArray) -> pa.BinaryArray:
    """Do to raw names what :func:`decode` does to decoded ones; right for those that are not suspicious afterwards."""
    return pc.replace_substring_regex(pc.replace_substring(names, b"\\", b"/"), rb"^(\./)+", b"")


def written_on_unix(extra: bytes) -> bool:
    """Tell a local header, which does not name its host, that was written on Unix by the fields it carries."""
    return any(kind in EXTRAS_UNIX for kind, _ in extra_fields(extra))


def _mended(name: str) -> str:
    """Return ``name`` with slashes for backslashes, and without a beginning that leads nowhere."""
    name = name.replace("\\", "/")
    while name.startswith("./") and name != "./":
        name = name[2:]
    return name


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unicode_path(raw: bytes, extra: bytes) -> bytes | None:
    """Return the name in a Unicode Path extra that was made for ``raw``."""
    for kind, body in extra_fields(extra):
        if kind == EXTRA_UNICODE_PATH and body[:1] == b"\x01" and body[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            return body[5:]
    return None
