"""One address space over all parts of an archive.

Every record of an archive, and every entry's data, is read through this, so a part boundary is
never a special case. Local parts are read with ``preadv`` on raw descriptors and not mapped: a disk
or network file system that fails in mid-read then gives an error that names the part, where a
mapping would kill the process with SIGBUS. What lies behind URLs is read in ranges (:mod:`postmill.ingest.remote`).

::

    with AddressSpace(find_parts("posts_image.zip")) as space:
        space.read(0, 4)                       # b"PK\\x07\\x08"
        for block in space.stream(0, space.size):
            ...                                # consecutive bytes, 8 MiB each

Opening is free and lazy: parts that are never read need not exist. An AddressSpace serves one
thread at a time; threads and processes open their own.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from errno import EACCES, ENOENT
from functools import partial
from threading import Event
from types import TracebackType
from typing import Self

from postmill.ingest.remote import files, stores
from postmill.ingest.remote.read_ahead import AT_ONCE, RANGE, Range, ReadAhead
from postmill.ingest.zipformat.part_names import file_name, shown
from postmill.shards.formats.places import offset_of, part_of, place
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError

BLOCK = 8 << 20  # bytes to read at a time
_MOST_OPEN = 128  # descriptors; the usual limit is 1,024 for the whole process
_PREADV_MOST = 1 << 30  # bytes; Linux moves at most 2 GiB - 4 KiB in one call


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an archive, at ``start`` of its address space (bytes)."""

    name: str  # by which it is known: mostly the last component of the path
    path: str  # local path or URL
    start: int
    size: int
    missing: bool = False  # not there; `size` is an assumption, and nothing can be read

    @property
    def end(self) -> int:
        """The first offset after the part."""
        return self.start + self.size

    @property
    def place(self) -> str:
        """Its path, for messages, with its name where that is not the end of it."""
        return shown(self.name, self.path)


AWAITED_SIZE = 1 << 40  # bytes that a part may have of which nothing is known; all that were met are shorter


def lay_out(
    files: Iterable[tuple[str, int]], missing: Container[str] = (), names: Sequence[str] = ()
) -> tuple[Part, ...]:
    """Return the parts for ``files``, (path or URL, size in bytes) in order; those of ``missing`` are holes.

    They are called ``names``, or else as their paths end. Nothing is looked at, so this also serves where a listing is
    all one has.
    """
    parts: list[Part] = []
    start = 0
    for number, (path, size) in enumerate(files):
        name = names[number] if names else file_name(path)
        parts.append(Part(name, path, start, size, path in missing))
        start += size
    return tuple(parts)


class PartError(PostmillError, OSError):
    """A part could not be read where it should be readable."""

    def __init__(self, cause: str, *, part: str, hint: str | None = None, errno: int | None = None) -> None:
        super().__init__(cause, place=part, hint=hint)
        self.errno = errno


class AddressSpace:
    """All parts of an archive as one range of bytes, ``0`` to ``size``.

    Args:
        parts: The parts.
        elsewhere: What to do where a part may not be read (any more) or is gone from its address.
    """

    def __init__(self, parts: Sequence[Part], elsewhere: str | None = None) -> None:
        self.parts = tuple(parts)
        self._elsewhere = elsewhere
        self.size = self.parts[-1].end if self.parts else 0
        self._starts = [part.start for part in self.parts]
        self._remote = [is_url(part.path) for part in self.parts]
        self._open: dict[int, int] = {}
        self.holes = tuple((part.start, part.end) for part in self.parts if part.missing)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[AddressSpace], tuple[tuple[Part, ...], str | None]]:
        return AddressSpace, (self.parts, self._elsewhere)  # a copy, in another process too, opens its own files

    def close(self) -> None:
        """Close all descriptors. A later read opens them again."""
        while self._open:
            os.close(self._open.popitem()[1])

    def part_at(self, offset: int) -> int:
        """Return the index of the part that holds the byte at ``offset``.

        Raises:
            ValueError: ``offset`` is outside the address space.
        """
        if not 0 <= offset < self.size:
            raise ValueError(f"offset {offset} is outside 0 to {self.size}")
        return bisect_right(self._starts, offset) - 1

    def address(self, place: int) -> int:
        """Return the offset of a place of a plan (:mod:`.places`): a part and a byte in it."""
        return self._starts[part_of(place)] + offset_of(place)

    def place(self, offset: int) -> int:
        """Return the place of the byte at ``offset``."""
        part = self.part_at(offset)
        return place(part, offset - self._starts[part])

    def stretch_end(self, offset: int) -> int:
        """Return how far the bytes from ``offset`` are there: to the next missing part, or to the end."""
        index = bisect_right(self.holes, offset, key=lambda hole: hole[1])  # holes that end at or before are passed
        return max(self.holes[index][0], offset) if index < len(self.holes) else self.size

    def stretches(self) -> list[tuple[int, int]]:
        """Return the ranges of bytes that are there, in order: one, unless parts are missing."""
        edges = [0, *(edge for hole in self.holes for edge in hole), self.size]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(start, end) for start, end in pairs if start < end]

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``.

        Raises:
            ValueError: The range leaves the address space.
            PartError: A part cannot be opened or read, or is shorter than it was.
        """
        self._checked(offset, length)
        buffer = bytearray(length)
        self.readinto(offset, memoryview(buffer))
        return bytes(buffer)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` (bytes) from ``offset``.

        Raises:
            ValueError: The range leaves the address space.
            PartError: A part cannot be opened or read, or is shorter than it was.
        """
        left = self._checked(offset, len(buffer))
        done = 0
        while left:
            index = self.part_at(offset)
            part = self.parts[index]
            take = min(left, part.end - offset)
            into = buffer[done : done + take]
            if part.missing:
                raise PartError("the part is missing", part=part.place, hint="fetch it")
            if self._remote[index]:
                _fetch(part, self._elsewhere, offset - part.start, into)
            else:
                self._pread(index, offset - part.start, into)
            offset, done, left = offset + take, done + take, left - take

    def stream(self, start: int = 0, end: int | None = None, block: int = BLOCK) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``end`` in order, ``block`` at a time; no block is empty."""
        end = self.size if end is None else end
        while start < end:
            take = min(block, end - start)
            yield self.read(start, take)
            start += take

    def ahead(self, spans: Sequence[tuple[int, int]]) -> ReadAhead | None:
        """Return what reads the bytes of ``spans`` that lie behind URLs ahead of their use; None where there are none.

        Args:
            spans: From where to where, in order. What is given of them is what :meth:`readinto` gives.
        """
        pieces = [piece for start, end in spans for piece in self._behind_urls(start, end)]
        if not pieces:
            return None
        at_once = min(stores.at_once(url, AT_ONCE) for url in {part.path for part, _, _ in pieces})
        ranges = (
            Range(offset, min(offset + RANGE, end), partial(_fetch, part, self._elsewhere, offset - part.start))
            for part, start, end in pieces
            for offset in range(start, end, RANGE)
        )
        return ReadAhead(ranges, at_once)

    def _behind_urls(self, start: int, end: int) -> Iterator[tuple[Part, int, int]]:
        """Yield the parts from ``start`` to ``end`` that are behind URLs, with where in each it begins and ends."""
        for index in range(self.part_at(start), self.part_at(end - 1) + 1) if start < end else ():
            part = self.parts[index]
            if self._remote[index] and not part.missing:
                yield part, max(start, part.start), min(end, part.end)

    def _checked(self, offset: int, length: int) -> int:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"{length} bytes at {offset} leave the address space of {self.size} bytes")
        return length

    def _pread(self, index: int, position: int, into: memoryview) -> None:
        part = self.parts[index]
        try:
            descriptor = self._open[index] if index in self._open else self._open_part(index)
            while into:
                got = os.preadv(descriptor, [into[:_PREADV_MOST]], position)
                if got == 0:
                    raise _ends_early(part, position, len(into))
                into, position = into[got:], position + got
        except PartError:
            raise
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            hint = (
                "is it still being transferred, or was it removed?" if gone else "check the disk, and who may read it"
            )
            raise PartError(
                f"cannot be read at byte {position}: {error.strerror}", part=part.place, hint=hint, errno=error.errno
            ) from error

    def _open_part(self, index: int) -> int:
        if len(self._open) >= _MOST_OPEN:
            os.close(self._open.pop(next(iter(self._open))))
        descriptor = os.open(self.parts[index].path, os.O_RDONLY | os.O_CLOEXEC)
        self._open[index] = descriptor
        return descriptor


def _fetch(
    part: Part,
    elsewhere: str | None,
    position: int,
    into: memoryview,
    arrived: Callable[[int], None] | None = None,
    stop: Event | None = None,
) -> None:
    """Fill ``into`` from byte ``position`` of a URL."""
    try:
        got = files.read_into(part.path, position, into, arrived, stop, part.size)
    except files.RequestError as error:
        hint = elsewhere if elsewhere is not None and error.errno in (ENOENT, EACCES) else error.hint
        raise PartError(error.cause, part=part.place, hint=hint, errno=error.errno) from error
    if got < len(into):
        raise _ends_early(part, position + got, len(into) - got)


def _ends_early(part: Part, end: int, missing: int) -> PartError:
    return PartError(
        f"ends at byte {end}, {missing} bytes early: it had {part.size} bytes when it was found",
        part=part.place,
        hint="the file changed or was cut short; fetch it again",
    )
