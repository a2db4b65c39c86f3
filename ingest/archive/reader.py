"""Read a split zip in place.

::

    from postmill import Archive, EntryFault

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
(:mod:`.levels`). The archive is never held whole: memory is one block and one entry,
and, once entries have been asked for, 8 bytes for each of them. Entries that are too large for that come in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, pairwise
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from postmill.ingest.archive.conflicts import Conflicts, find_conflicts
from postmill.ingest.archive.entries import Entry, between, limits_of, to_entries
from postmill.ingest.archive.large_entries import find_data, plain_pieces
from postmill.ingest.archive.levels import DirectoryReader, open_directory, open_space
from postmill.ingest.archive.part_check import check_parts
from postmill.ingest.zipformat.directory import Directory, Kind
from postmill.ingest.zipformat.directory_records import SCHEMA
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.forward import Forward
from postmill.ingest.zipformat.local_header import header_size, locate
from postmill.ingest.zipformat.methods.inflate import LARGEST_READ, inflate
from postmill.ingest.zipformat.parts import PathOrUrl
from postmill.ingest.zipformat.signatures import LOCAL_HEADER, MOST_DESCRIPTOR, MOST_LOCAL_HEADER
from postmill.ingest.zipformat.space import BLOCK, AddressSpace, Part
from postmill.shards.formats.reasons import Reason
from postmill.shards.run.options import Level
from postmill.shards.runtime.errors import PostmillError, UsageError

_SORTED_AT_ONCE = 1_000_000  # entries to sort by place at a time, where the directory is in another order
_EXTRA_READ = 1024  # bytes: longer local extra fields cost a second read


class Archive:
    """All parts of one zip. Open it with :meth:`open`; it is a context manager."""

    def __init__(self, space: AddressSpace, reader: DirectoryReader, *, strict: bool, max_entry: int) -> None:
        self.space = space
        self.strict = strict
        self.max_entry = max_entry
        self._reader = reader

    @classmethod
    def open(
        cls,
        source: PathOrUrl | Sequence[PathOrUrl],
        *,
        strict: bool = False,
        salvage: bool = False,
        max_entry: int = LARGEST_READ,
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
        level = Level.STRICT if strict else Level.SALVAGE if salvage else Level.DEFAULT
        space = open_space(source, level)
        try:
            reader = open_directory(space, level)
        except PostmillError:
            space.close()
            raise
        return cls(space, reader, strict=strict, max_entry=max_entry)

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
        return self._reader.directory

    @property
    def kind(self) -> Kind:
        """``single``; ``disks``, a PKWARE split; or ``bytes``, one file cut into slices."""
        return self.directory.kind

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts in order."""
        return self.space.parts

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the directory as record batches of :data:`.directory_records.SCHEMA`, overlaps and duplicates marked.

        Raises:
            PostmillError: The directory is damaged, or with ``strict`` any fault.
        """
        return map(self._conflicts.mark, self._reader.batches())

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
        least = LOCAL_HEADER.size + len(entry.raw_name) + entry.compressed_size + MOST_DESCRIPTOR
        data = self.space.read(entry.offset, min(most, least + _EXTRA_READ))
        if len(data) >= LOCAL_HEADER.size:
            length = min(most, header_size(data) + entry.compressed_size + MOST_DESCRIPTOR)
            if len(data) < length:
                data = self.space.read(entry.offset, length)
        start, end = locate(data, 0, len(data), entry)
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
        start, end = find_data(self.space, entry.offset, entry.limit, entry)
        return plain_pieces(self.space, start, end, entry.method, entry.size, entry.crc32)

    def stream(
        self, start: int = 0, end: int | None = None, *, most: int | None = None
    ) -> Iterator[tuple[Entry, bytes | EntryFault]]:
        """Yield the entries whose local headers lie from ``start`` to ``end``, with their data, in order of place.

        Every byte is read once and in order. Entries whose fault is that they lie in no part are left out.

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
                farthest = entry.offset + MOST_LOCAL_HEADER + entry.compressed_size + MOST_DESCRIPTOR
                view = forward.view(entry.offset, min(entry.limit, farthest))
                begin, stop = locate(view, 0, len(view), entry)
                data = inflate(entry.method, view[begin:stop], entry.size, entry.crc32, self.max_entry)
            except EntryFault as fault:
                if self.strict:
                    raise PostmillError(f"{entry.name}: {fault}", place=self.parts[-1].path) from fault
                yield entry, fault
            else:
                yield entry, bytes(data)

    @cached_property
    def _conflicts(self) -> Conflicts:
        checked = check_parts(self.space, self.directory, self._reader.batches(), refuse=self.strict)
        conflicts = find_conflicts(checked, self._reader.batches)
        if self.strict and (conflict := conflicts.first()) is not None:
            raise PostmillError(conflict, place=self.parts[-1].path)
        return conflicts

    def _entries(self, batch: pa.RecordBatch) -> Iterator[Entry]:
        limits = limits_of(batch["offset"].to_numpy(), self._conflicts.offsets, self.space.holes, self.directory.start)
        return to_entries(batch, limits)

    def _placed(self, start: int, end: int) -> Iterator[Entry]:
        """Yield the entries from ``start`` to ``end`` in order of place, a million at a time if need be."""
        offsets = self._conflicts.offsets
        inside = offsets[np.searchsorted(offsets, start) : np.searchsorted(offsets, end)]
        step = len(inside) if self._conflicts.in_order else _SORTED_AT_ONCE
        cuts = [start, *(int(inside[index]) for index in range(step, len(inside), max(step, 1))), end]
        for low, high in pairwise(cuts):
            pieces = (between(batch, low, high) for batch in self.batches())
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
