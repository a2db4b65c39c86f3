"""Read a split zip in place.

::

    from ingest.archive import Archive, EntryFault

    with Archive.open("Post_images/posts_image.z07") as archive:   # any part, the folder, a glob, a URL
        print(archive.kind, len(archive.parts))                     # "disks" 95
        for entry in archive.entries():                             # in the directory's order
            if entry.name.endswith(".jpg") and entry.fault is None:
                picture = archive.read(entry)                       # one entry, anywhere
                break
        for entry, data in archive.stream():                        # all, in order of place, read once
            if isinstance(data, EntryFault):
                print(entry.name, data)

An archive is hostile until shown otherwise. What is wrong with one entry is a fault of that entry and leaves the
others alone; what concerns the whole archive is an error or a warning in ``archive.directory.warnings``. With
``strict`` all of it is an error; with ``salvage`` parts may be missing and the directory may be lost
(:mod:`ingest.levels`). The archive is never held whole: memory is one block and one entry,
and, once entries have been asked for, 8 bytes for each of them. Entries that are too large for that come in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, pairwise
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.conflicts import Conflicts, find_conflicts
from ingest.directory import Directory, Kind
from ingest.entry import LOCAL_HEADER, MOST_DESCRIPTOR, MOST_HEADER, locate
from ingest.forward import Forward
from ingest.inflate import MAX_ENTRY, inflate
from ingest.levels import Listing, open_directory, open_space
from ingest.options import Level
from ingest.parts import Source
from ingest.pieces import find_data, plain_pieces
from ingest.reasons import EntryFault, Reason
from ingest.records import SCHEMA
from ingest.space import BLOCK, AddressSpace, Part
from ingest.witness import check_parts
from shards.errors import PostmillError, UsageError

__all__ = ["Archive", "Entry", "EntryFault", "Reason"]

_AT_ONCE = 1_000_000  # entries to sort by place at a time, where the directory is in another order
_EXTRA = 1024  # bytes: longer local extra fields cost a second read


class Entry(NamedTuple):
    """One file of an archive, as the directory has it. Offsets and sizes in bytes.

    A tuple, because a frozen dataclass takes ten times as long to make, and there are millions.
    """

    number: int  # position in the directory, from 0
    name: str  # escaped and shortened, for showing only, if the fault is about the name
    raw_name: bytes
    offset: int  # of the local header in the address space
    limit: int  # where the next record begins
    compressed_size: int
    size: int
    crc32: int
    method: int
    flags: int
    is_dir: bool
    fault: Reason | None
    detail: str | None


class Archive:
    """All parts of one zip. Open it with :meth:`open`; it is a context manager."""

    def __init__(self, space: AddressSpace, listing: Listing, *, strict: bool, max_entry: int) -> None:
        self.space = space
        self.listing = listing
        self.strict = strict
        self.max_entry = max_entry

    @classmethod
    def open(
        cls,
        source: Source | Sequence[Source],
        *,
        strict: bool = False,
        salvage: bool = False,
        max_entry: int = MAX_ENTRY,
    ) -> Self:
        """Find the parts and the central directory. Reads only the archive's last 64 KiB or so.

        Args:
            source: Any part, a glob, a folder with one archive in it, a URL, or a list of parts.
            strict: Raise for every contradiction, also those that only one entry has.
            salvage: Go on without parts that are missing, and rebuild a directory that is not whole by reading all
                that is there; ``directory.warnings`` says what was done.
            max_entry: Largest entry to hold in memory, bytes; larger ones come from :meth:`pieces`.

        Raises:
            UsageError: Both ``strict`` and ``salvage``.
            PostmillError: A part is missing, doubled, empty or of another archive, or there is no directory.
        """
        if strict and salvage:
            raise UsageError("strict and salvage exclude each other", hint="choose one")
        level: Level = "strict" if strict else "salvage" if salvage else "default"
        space = open_space(source, level)
        try:
            listing = open_directory(space, level)
        except PostmillError:
            space.close()
            raise
        return cls(space, listing, strict=strict, max_entry=max_entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self.space.close()

    @property
    def directory(self) -> Directory:
        """Where the central directory lies, and what is wrong with the archive as a whole."""
        return self.listing.directory

    @property
    def kind(self) -> Kind:
        """``single``; ``disks``, a PKWARE split; or ``bytes``, one file cut into slices."""
        return self.directory.kind

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts in order."""
        return self.space.parts

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the directory as record batches of :data:`ingest.records.SCHEMA`, overlaps and duplicates marked.

        Raises:
            PostmillError: The directory is damaged, or with ``strict`` any fault.
        """
        return map(self._conflicts.mark, self.listing.batches())

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in the directory's order.

        Raises:
            PostmillError: As :meth:`batches`.
        """
        return chain.from_iterable(map(self._entries, self.batches()))

    def read(self, entry: Entry) -> bytes:
        """Return the decompressed data of ``entry``.

        Raises:
            EntryFault: The entry has a fault, or its header, length or checksum is wrong.
            PartError: A part cannot be read.
        """
        return bytes(inflate(entry.method, self.raw(entry), entry.size, entry.crc32, self.max_entry))

    def raw(self, entry: Entry) -> bytes:
        """Return the compressed data of ``entry`` as they lie in the archive.

        Raises:
            EntryFault: The entry has a fault, or its local header contradicts the directory.
            PartError: A part cannot be read.
        """
        self._refuse(entry)
        most = entry.limit - entry.offset
        least = LOCAL_HEADER + len(entry.raw_name) + entry.compressed_size + MOST_DESCRIPTOR
        data = self.space.read(entry.offset, min(most, least + _EXTRA))
        if len(data) >= LOCAL_HEADER:
            names, extras = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
            whole = LOCAL_HEADER + names + extras + entry.compressed_size + MOST_DESCRIPTOR
            if len(data) < min(most, whole):
                data = self.space.read(entry.offset, min(most, whole))
        start, end = _locate(data, entry)
        return data[start:end]

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """Yield the decompressed data of ``entry``, however large, in pieces of at most 32 MiB.

        They are known to be right only when the last one is out.

        Raises:
            EntryFault: The entry has a fault; its header, or after the last piece its length or checksum, is wrong.
            PartError: A part cannot be read.
        """
        if entry.fault is not None:
            raise EntryFault(entry.fault, entry.detail or "")
        start, end = find_data(self.space, entry.offset, entry.limit, entry.raw_name, *_declared(entry))
        return plain_pieces(self.space, start, end, entry.method, entry.size, entry.crc32)

    def stream(
        self, start: int = 0, end: int | None = None, *, most: int | None = None
    ) -> Iterator[tuple[Entry, bytes | EntryFault]]:
        """Yield the entries whose local headers lie from ``start`` to ``end``, with their data, in order of place.

        Every byte is read once and in order. Entries whose fault is that they have no place are not met here.

        Args:
            start: Offset in the address space.
            end: Offset; by default that of the directory.
            most: Pass larger entries (bytes, either size) over: they come with the fault ``too_large``, which is
                no error with ``strict`` here, and can be had from :meth:`pieces`.

        Raises:
            PostmillError: A part cannot be read; with ``strict`` any fault.
        """
        end = self.directory.start if end is None else min(end, self.directory.start)
        forward = Forward(self.space, end)
        for entry in self._placed(start, end):
            if most is not None and entry.fault is None and max(entry.size, entry.compressed_size) > most:
                yield entry, EntryFault(Reason.TOO_LARGE, f"more than {most} bytes; read it in pieces")
                continue
            try:
                self._refuse(entry)
                farthest = entry.offset + MOST_HEADER + entry.compressed_size + MOST_DESCRIPTOR
                view = forward.view(entry.offset, min(entry.limit, farthest))
                begin, stop = _locate(view, entry)
                data = inflate(entry.method, view[begin:stop], entry.size, entry.crc32, self.max_entry)
            except EntryFault as fault:
                if self.strict:
                    raise PostmillError(f"{entry.name}: {fault}", place=self.parts[-1].path) from fault
                yield entry, fault
            else:
                yield entry, bytes(data)

    @cached_property
    def _conflicts(self) -> Conflicts:
        looked_at = check_parts(self.space, self.directory, self.listing.batches(), strict=self.strict)
        found = find_conflicts(looked_at, self.listing.batches)
        if self.strict and (conflict := found.first()) is not None:
            raise PostmillError(conflict, place=self.parts[-1].path)
        return found

    def _entries(self, batch: pa.RecordBatch) -> Iterator[Entry]:
        limits = self._limits(batch["offset"].to_numpy()).tolist()
        columns = {name: _values(batch[name]) for name in SCHEMA.names}
        columns["number"], columns["limit"] = columns["index"], limits
        columns["fault"] = [None if each is None else Reason(each) for each in columns["fault"]]
        yield from map(Entry, *(columns[name] for name in Entry._fields))

    def _limits(self, offsets: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Return where the next record begins, or what is there ends."""
        placed = self._conflicts.offsets
        after = np.searchsorted(placed, offsets, side="right")
        limits = np.append(placed, np.uint64(self.directory.start))[after]
        if self.space.holes:
            edges = np.array([start for start, _ in self.space.holes], dtype=np.uint64)
            after = np.searchsorted(edges, offsets, side="right")
            limits = np.minimum(limits, np.append(edges, np.uint64(self.directory.start))[after])
        return limits

    def _placed(self, start: int, end: int) -> Iterator[Entry]:
        """Yield the entries from ``start`` to ``end`` in order of place, a million at a time if need be."""
        offsets = self._conflicts.offsets
        inside = offsets[np.searchsorted(offsets, start) : np.searchsorted(offsets, end)]
        step = len(inside) if self._conflicts.in_order else _AT_ONCE
        cuts = [start, *(int(inside[at]) for at in range(step, len(inside), max(step, 1))), end]
        for low, high in pairwise(cuts):
            pieces = (_between(batch, low, high) for batch in self.batches())
            if self._conflicts.in_order:
                for piece in pieces:
                    yield from self._entries(piece)
            else:
                yield from self._entries(pa.Table.from_batches(list(pieces), SCHEMA).sort_by("offset"))

    def _refuse(self, entry: Entry) -> None:
        if entry.fault is not None:
            raise EntryFault(entry.fault, entry.detail or "")
        if entry.size > self.max_entry or entry.compressed_size > self.max_entry + BLOCK:
            most = max(entry.size, entry.compressed_size)
            raise EntryFault(Reason.TOO_LARGE, f"declares {most} bytes; the limit is {self.max_entry}")


def _locate(view: bytes | memoryview, entry: Entry) -> tuple[int, int]:
    return locate(view, 0, len(view), entry.raw_name, *_declared(entry))


def _declared(entry: Entry) -> tuple[int, int, int, int, int]:
    return entry.method, entry.flags, entry.crc32, entry.compressed_size, entry.size


def _values(column: pa.Array) -> list[Any]:
    if column.null_count == len(column):
        return [None] * len(column)
    # Twice as fast for numbers as Arrow's own.
    return column.to_numpy().tolist() if pa.types.is_integer(column.type) else column.to_pylist()  # type: ignore[no-any-return]


def _between(batch: pa.RecordBatch, low: int, high: int) -> pa.RecordBatch:
    offset = batch["offset"]
    after = pc.greater_equal(offset, pa.scalar(low, pa.uint64()))
    return batch.filter(pc.and_(after, pc.less(offset, pa.scalar(high, pa.uint64()))))
