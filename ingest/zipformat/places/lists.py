"""A list of parts: a text file that says of each part of an archive where it lies, one a line.

::

    # an address or a path that ends with the name of the part; or that name, and where it lies
    https://bucket.example/Post_images/posts_image.z01?X-Signature=4f1c
    posts_image.z02 https://drive.example/uc?id=1aB2c&export=download
    /mnt/disk2/posts_image.zip

What is one is told by what it holds, whatever it is called: text that begins with such lines, as no part does. UTF-8,
UTF-16 and UTF-32, with a byte order mark or without, LF, CRLF and CR. A line may hold what gives the right to read: no
message shows one.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path

from postmill.ingest.text.encoding import encoding_of
from postmill.ingest.zipformat.part_names import MOST_PARTS, file_name, parse_name
from postmill.ingest.zipformat.stand_ins import what_stands_in
from postmill.shards.runtime.addresses import is_url, plain
from postmill.shards.runtime.errors import PostmillError, UsageError

_LOOKED_AT = 4096  # bytes of the beginning, which tell of nearly every part that it is no text
_LARGEST = 16 << 20  # bytes: 250 for each of as many parts as there may be
_LONGEST = 1 << 16  # characters of a line
_LONGEST_NAME = 255  # bytes, of a file system
_SLASHES = 3  # of an address that is not one of a host alone
_LINE_END = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # but tabs and line ends
_IS_PATH = re.compile(r"\.{0,2}/")  # of what follows a blank: else it is a letter of a name
_FORM = "a line has an address or a path that ends with the name of the part, or NAME ADDRESS"


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A line of a list: the name of a part, and its path or address."""

    name: str
    path: str
    line: int  # 1 is the first


def read_list(path: str) -> tuple[ListedPart, ...] | None:
    """Return the parts that the file ``path`` lists, in its order; None where it is no list, or no file.

    Paths in it are taken from the folder in which it lies, as it was named: no link is resolved.

    Raises:
        UsageError: It is a list, and a line is wrong, a part or an address is there twice, or it is too large.
        PostmillError: It cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):  # an address; a path with a zero byte in it
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    with FileIO(fd) as file:
        content = _read(file, _LOOKED_AT, path)
        if not content or what_stands_in(content) is not None:
            return None
        head = _decoded(content)
        binary, of_parts = _CONTROL.search(head) is not None, parse_name(path) is not None
        lines = [_names_a_part(line, path) for _, line in _lines(head)]
        # What is called as parts are may be a slice of a text that was packed; any other may have wrong lines.
        begins = bool(lines) and lines[0] and not (binary and of_parts)
        if not begins and (binary or of_parts or not lines or 2 * sum(lines) < len(lines)):
            return None
        while len(content) <= _LARGEST and (more := _read(file, _LARGEST + 1 - len(content), path)):
            content += more
    text = _decoded(content)
    if not begins and _CONTROL.search(text):
        return None  # a program that is text at its beginning, with a zip behind it
    parts = tuple(islice(_parts(text, path), MOST_PARTS + 1))
    if len(parts) > MOST_PARTS:
        raise _wrong(path, f"lists more than {MOST_PARTS:,} parts")
    if len(content) > _LARGEST:
        raise _wrong(path, f"begins as a list of parts, and has more than {_LARGEST >> 20} MiB")
    if not parts:
        raise _wrong(path, "lists no part")
    _refuse_doubles(parts, path)
    return parts


def _read(file: FileIO, size: int, path: str) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}", place=path, hint="check the disk, then run the same command again"
        ) from error


def _decoded(content: bytes) -> str:
    mark, encoding = encoding_of(content)
    errors = "surrogateescape" if encoding == "utf-8" else "replace"  # as the file system has its names
    return content[len(mark) :].decode(encoding, errors)


def _names_a_part(line: str, path: str) -> bool:
    """Say whether ``line`` can be nothing but a place of a part: an address, or a path that is there or looks it."""
    _, place = _split(line)
    if _CONTROL.search(line):
        return False
    if is_url(place):
        return True
    if "/" in place and parse_name(place) is not None:
        return True
    with suppress(OSError):  # longer than a path may be
        return Path(_absolute(place, path)).is_file()
    return False


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, with their numbers."""
    for number, line in enumerate(_LINE_END.split(text), 1):
        bare = line.strip().strip("\ufeff")
        if bare and not bare.startswith("#"):
            yield number, bare


def _parts(text: str, path: str) -> Iterator[ListedPart]:
    for number, line in _lines(text):
        if len(line) > _LONGEST:
            raise _wrong(path, f"line {number} has more than {_LONGEST:,} characters")
        if _CONTROL.search(line):
            raise _wrong(path, f"line {number} holds a control character")
        name, place = _split(line)
        if is_url(place):
            if any(letter.isspace() for letter in place):
                raise _wrong(path, f"line {number} holds a blank in its address")
        else:
            place = _absolute(place, path)
        name = _name_of(place) if name is None else name
        if wrong := _wrong_name(name):
            raise _wrong(path, f"line {number} names a part by what {wrong}")
        yield ListedPart(name, place, number)


def _split(line: str) -> tuple[str | None, str]:
    """Return the name that a line gives, if it does, and where the part lies."""
    name, tab, place = line.partition("\t")
    if tab:
        return name.strip(), place.strip()
    words = line.split(None, 1)
    if len(words) == 2 and not is_url(line) and (is_url(words[1]) or _IS_PATH.match(words[1])):
        return words[0], words[1]
    return None, line


def _name_of(place: str) -> str:
    """Return how a path or an address ends; empty for that of a host."""
    return "" if is_url(place) and plain(place).rstrip("/").count("/") < _SLASHES else file_name(place)


def _wrong_name(name: str) -> str:
    """Say what is wrong with the name of a part; empty where nothing is."""
    if not name or name in (".", ".."):
        return "is no name of a file"
    if "/" in name or "\\" in name:
        return "holds a slash"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    return f"is longer than {_LONGEST_NAME} bytes" if length > _LONGEST_NAME else ""


def _absolute(place: str, path: str) -> str:
    return str(Path(path).absolute().parent / place)


def _refuse_doubles(parts: tuple[ListedPart, ...], path: str) -> None:
    names: dict[str, int] = {}
    places: dict[str, int] = {}
    for part in parts:
        if part.name in names:
            raise _wrong(
                path,
                f"lines {names[part.name]} and {part.line} both name {part.name}",
                "remove one of them; where addresses do not end with the name of the part, write NAME ADDRESS",
            )
        if part.path in places:
            raise _wrong(path, f"lines {places[part.path]} and {part.line} name one place for two parts")
        names[part.name] = places[part.path] = part.line
    if (own := file_name(path)) in names:
        raise _wrong(path, f"is called as the part of its line {names[own]} is", "give the list another name")


def _wrong(path: str, cause: str, hint: str = _FORM) -> UsageError:
    return UsageError(cause, place=path, hint=hint)
