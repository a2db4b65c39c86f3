"""The index beside each tar: where every member's content begins and how long it is, for reading at random.

The format is the one that NVIDIA DALI's ``wds2idx`` writes (version 1.2), so that its WebDataset reader takes the file
as it is: a line ``v1.2 SAMPLES``, then one line for each sample, with extension, offset, size and name of each of its
members, separated by single blanks. ``tar[offset:offset + size]`` is the content of the member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from postmill.shards.run.checked import anew
from postmill.shards.runtime.errors import PostmillError

SUFFIX = ".idx"
VERSION = "v1.2"


class Member(NamedTuple):
    """One member of a tar: its name, and offset and size of its content in bytes."""

    name: str
    offset: int
    size: int

    @property
    def key(self) -> str:
        """The name up to its first dot: the sample it belongs to."""
        return self.name.partition(".")[0]


def index_bytes(members: Iterable[tuple[str, int, int]]) -> bytes:
    """Return the content of the index of a tar with ``members``, in the order of the tar."""
    words: list[str] = []
    last = None
    samples = 0
    for name, offset, size in members:
        key, _, extension = name.partition(".")
        samples += key != last
        words.append(f"{' ' if key == last else chr(10)}{extension} {offset} {size} {name}")
        last = key
    return f"{VERSION} {samples}{''.join(words)}\n".encode("ascii")


def read_index(path: Path) -> Iterator[list[Member]]:
    """Yield the members of each sample of the index ``path``, in the order of the tar.

    Raises:
        PostmillError: It is not such an index.
    """
    try:
        with path.open(encoding="ascii", newline="\n") as lines:
            yield from parse_index(lines)
    except (OSError, ValueError) as error:
        raise PostmillError(
            f"cannot be read as an index of a tar ({error})",
            place=path,
            hint=anew(path, f"postmill ingest {quote(str(path.parents[1]))}"),
        ) from error


def parse_index(lines: Iterable[str]) -> Iterator[list[Member]]:
    """Yield the members of each sample of an index, in the order of the tar.

    Raises:
        ValueError: It is not such an index.
    """
    following = iter(lines)
    version, count = next(following, "").split()
    if version != VERSION:
        raise ValueError(f"version {version}")
    samples = 0
    for line in following:
        yield list(_members(line.split()))
        samples += 1
    if samples != int(count):
        raise ValueError(f"{samples} samples, its first line says {count}")


def _members(words: Sequence[str]) -> Iterable[Member]:
    if not words or len(words) % 4:
        raise ValueError(f"{len(words)} words in a line")
    for first in range(0, len(words), 4):
        _, offset, size, name = words[first : first + 4]
        yield Member(name, int(offset), int(size))
