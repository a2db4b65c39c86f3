"""What an archive is, and what each of its entries holds: of any zip, not only the dataset's."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postmill.ingest.archive.entries import Entry
from postmill.ingest.archive.reader import Archive
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.signatures import METHOD_NAMES
from postmill.shards.formats.reasons import Reason
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress, Silent

KINDS = {"single": "one whole zip", "disks": "PKWARE disks", "bytes": "one zip cut into slices"}

_LARGE = 16 << 20  # bytes; larger entries are hashed in pieces, so that memory is bounded whatever their size


@dataclass(frozen=True)
class Description:
    """An archive in numbers.

    Attributes:
        kind: ``single``, ``disks`` or ``bytes``.
        zip64: Whether it has ZIP64 end records.
        parts: Name and size in bytes of each part, in order.
        files: Entries that are not folders.
        folders: Entries that are.
        compressed_size: Bytes of all files as they lie.
        size: Bytes of all files when decompressed, as declared.
        methods: Files by compression method.
        faults: Entries by reason, of those whose directory record shows that they cannot be taken.
        warnings: What is wrong with the archive as a whole.
    """

    kind: str
    zip64: bool
    parts: tuple[tuple[str, int], ...]
    files: int
    folders: int
    compressed_size: int
    size: int
    methods: Mapping[str, int]
    faults: Mapping[str, int]
    warnings: tuple[str, ...]


def describe(archive: Archive, progress: Progress | None = None) -> Description:
    """Return what the central directory of ``archive`` says; no entry is read.

    Raises:
        PostmillError: The directory is damaged.
    """
    methods: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    files = folders = compressed = size = 0
    with (progress or Silent()).track("directory", archive.directory.entries, "entries") as advance:
        for batch in archive.batches():
            for is_dir, method, packed, plain, fault in zip(
                *(batch[name].to_pylist() for name in ("is_dir", "method", "compressed_size", "size", "fault")),
                strict=True,
            ):
                if fault is not None:
                    faults[fault] += 1
                if is_dir:
                    folders += 1
                    continue
                files += 1
                methods[METHOD_NAMES.get(method, f"method {method}")] += 1
                if fault is None:
                    compressed, size = compressed + packed, size + plain
            advance(batch.num_rows)
    return Description(
        kind=archive.kind,
        zip64=archive.directory.zip64,
        parts=tuple((part.name, part.size) for part in archive.parts),
        files=files,
        folders=folders,
        compressed_size=compressed,
        size=size,
        methods=dict(methods.most_common()),
        faults=dict(faults.most_common()),
        warnings=tuple(archive.directory.warnings),
    )


def digests(archive: Archive, progress: Progress | None = None) -> Iterator[dict[str, Any]]:
    """Read every file of ``archive`` once, in order of place, and yield what it holds.

    Yields:
        ``name``, and ``size``, ``crc32`` (8 hexadecimal digits) and ``sha256``; or ``name``, ``fault`` and ``detail``.
        Entries that lie in no part come last, in the directory's order.

    Raises:
        PostmillError: A part cannot be read, or the directory is damaged.
    """
    with (progress or Silent()).track("digest", archive.directory.entries, "entries") as advance:
        streamed = set()
        for entry, data in archive.stream(most=_LARGE):
            advance(1)
            streamed.add(entry.number)
            try:
                digest = _digest(archive, entry, data)
            except EntryFault as fault:
                if archive.strict:
                    raise PostmillError(f"{entry.name}: {fault}", place=archive.parts[-1].path) from fault
                yield {"name": entry.name, "fault": str(fault.reason), "detail": fault.detail}
            else:
                if not entry.is_dir:
                    yield {"name": entry.name, "size": entry.size, "crc32": f"{entry.crc32:08x}", "sha256": digest}
        for entry in archive.entries():
            if entry.fault is not None and entry.number not in streamed:
                advance(1)
                yield {"name": entry.name, "fault": str(entry.fault), "detail": entry.detail or ""}


def _digest(archive: Archive, entry: Entry, data: bytes | EntryFault) -> str:
    """Return the SHA-256 of an entry that :meth:`Archive.stream` gave, or raise its fault."""
    if not isinstance(data, EntryFault):
        return hashlib.sha256(data).hexdigest()
    if entry.fault is not None or data.reason is not Reason.TOO_LARGE:
        raise data
    digest = hashlib.sha256()
    for piece in archive.pieces(entry):
        digest.update(piece)
    return digest.hexdigest()
