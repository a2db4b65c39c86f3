"""What stands where a part should be: a page, a message or a pointer that a download or a checkout left.

A shared drive answers with a page when its quota is used up, an object store with a message when an address has
expired, and Git hands out pointers until the content is fetched. Each is saved under the name of the part.
"""

from __future__ import annotations

import re

from postmill.ingest.zipformat.space import AddressSpace, Part

LOOKED_AT = 512  # bytes at the beginning of a part
_BEGINNINGS = (
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<head", "a web page"),
    (b"<?xml", "an XML message"),
    (b"<error", "an XML message"),
    (b'{"', "a JSON message"),
    (b"{\n", "a JSON message"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer: `git lfs pull` fetches what it stands for"),
    (b"/annex/objects/", "a git-annex pointer: `git annex get` fetches what it stands for"),
)
_OTHER_FORMATS = (  # which a part of a zip may begin with by chance only: told where no end of a zip is found
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"%PDF-", "a PDF"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
)
_TAR = 257, b"ustar"
_TEXT = re.compile(r"[^\x00-\x08\x0e-\x1f\x7f\ufffd]{12,}")
_SHOWN = 40  # characters of a text


def stand_in(space: AddressSpace, part: Part) -> str | None:
    """Say in one sentence what ``part`` is if it is no part of a zip; None if its first bytes do not show that.

    Args:
        space: The archive that it is a part of.
        part: One that is not missing.

    Raises:
        PartError: It cannot be read.
    """
    what = what_stands_in(space.read(part.start, min(part.size, LOOKED_AT)))
    return None if what is None else f"{part.name}, of {part.size:,} bytes, is {what}"


def what_stands_in(head: bytes) -> str | None:
    """Say what a file is that begins with ``head`` and is no part of a zip; None if these bytes do not show that."""
    head = head[:LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((what for beginning, what in _BEGINNINGS if head.startswith(beginning)), None)


def other_format(head: bytes) -> str | None:
    """Say what a file is that begins with ``head`` and is no zip, where it has no end of one; None if nobody knows."""
    what = next((what for beginning, what in _OTHER_FORMATS if head.startswith(beginning)), None)
    offset, magic = _TAR
    if what is None and head[offset:].startswith(magic):
        return "a tar archive"
    text = head.decode("utf-8", "replace").removesuffix("\ufffd")
    if what is None and _TEXT.fullmatch(text):
        return f"a text, which begins with {text[:_SHOWN]!r}"
    return what


def stand_ins(space: AddressSpace) -> list[tuple[Part, str]]:
    """Return the parts of ``space`` that are none, each with its sentence. Reads the beginning of every part.

    Raises:
        PartError: A part cannot be read.
    """
    found = ((part, stand_in(space, part)) for part in space.parts if not part.missing)
    return [(part, sentence) for part, sentence in found if sentence is not None]
