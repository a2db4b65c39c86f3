"""One entry: check its local header against the directory, and find its data.

The entry's bytes stand in a buffer that may hold a whole window of the archive::

    start, end = locate(buffer, position, limit, entry)
    data = inflate(entry.method, memoryview(buffer)[start:end], entry.size, entry.crc32)

``locate`` runs once for each of tens of millions of entries, so it takes what the directory says as the caller has it
(any :class:`Declared`) and makes no object but its answer. Format: APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.9
(data descriptor) and 4.5.3 (ZIP64 extra).
"""

from __future__ import annotations

from typing import Protocol

from postmill.ingest.zipformat.entry_names import same_name
from postmill.ingest.zipformat.extra_fields import zip64_sizes
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.signatures import (
    DESCRIPTOR,
    DESCRIPTOR_SIGNATURE,
    FLAG_DESCRIPTOR,
    FLAG_ENCRYPTED,
    LOCAL_HEADER,
    LOCAL_LENGTHS,
    LOCAL_SIGNATURE,
    MOST_DESCRIPTOR,
    SENTINEL32,
    ZIP64_DESCRIPTOR,
)
from postmill.shards.formats.reasons import Reason

_HEADER_SIZE = LOCAL_HEADER.size
_unpack = LOCAL_HEADER.unpack_from
_SHOWN = 200  # bytes of a name in a message

Buffer = bytes | bytearray | memoryview


class Declared(Protocol):
    """What the directory says of an entry, which its local header must say too."""

    @property
    def raw_name(self) -> bytes:
        """The name's bytes."""

    @property
    def method(self) -> int:
        """Compression method."""

    @property
    def flags(self) -> int:
        """General purpose bits."""

    @property
    def crc32(self) -> int:
        """Of the data when decompressed."""

    @property
    def compressed_size(self) -> int:
        """Bytes."""

    @property
    def size(self) -> int:
        """Bytes when decompressed."""


def header_size(header: Buffer) -> int:
    """Return the bytes of the local header that ``header`` begins with, its name and extra field included."""
    names, extras = LOCAL_LENGTHS.unpack_from(header)
    return int(_HEADER_SIZE + names + extras)


def locate(buffer: Buffer, position: int, limit: int, entry: Declared) -> tuple[int, int]:
    """Return where in ``buffer`` the entry's compressed data begin and end.

    Args:
        buffer: Bytes of the archive.
        position: Index in ``buffer`` of the entry's local header.
        limit: Index at which the next record begins at the latest; at most ``len(buffer)``. Header,
            data and descriptor must lie before it.
        entry: What the directory says of it.

    Raises:
        EntryFault: The header is not there, contradicts the directory, or the data pass ``limit``.
    """
    if position < 0 or position + _HEADER_SIZE > limit:
        raise EntryFault(
            Reason.OVERLAP, f"{limit - position} bytes to the next record, and a local header has {_HEADER_SIZE}"
        )
    signature, _, flags, method, _, crc32, compressed_size, size, names, extras = _unpack(buffer, position)
    if signature != LOCAL_SIGNATURE:
        number = int.from_bytes(signature, "little")
        raise EntryFault(Reason.HEADER_CORRUPT, f"no local header: found {number:#010x}")
    named = position + _HEADER_SIZE
    start = named + names + extras
    end = start + entry.compressed_size
    if buffer[named : named + names] != entry.raw_name:
        name = bytes(buffer[named : min(named + names, limit)])
        if not same_name(name, entry.raw_name):
            raise EntryFault(Reason.NAME_MISMATCH, f"directory {_shown(entry.raw_name)}, local header {_shown(name)}")
    if end > limit:
        raise EntryFault(Reason.OVERLAP, f"the data run {end - limit} bytes into the next record")
    if method != entry.method:
        raise EntryFault(Reason.METHOD_MISMATCH, f"directory {entry.method}, local header {method}")
    if (flags | entry.flags) & FLAG_ENCRYPTED:
        if (flags ^ entry.flags) & FLAG_ENCRYPTED:
            raise EntryFault(Reason.FLAGS_MISMATCH, f"directory {entry.flags:#06x}, local header {flags:#06x}")
        raise EntryFault(Reason.ENCRYPTED, f"flags {entry.flags:#06x}")
    if flags & FLAG_DESCRIPTOR:
        if descriptor_size(buffer, end, limit, entry.crc32, entry.compressed_size, entry.size) == 0:
            raise descriptor_fault(entry, bytes(buffer[end : min(end + MOST_DESCRIPTOR, limit)]))
        return start, end
    if crc32 != entry.crc32:
        raise EntryFault(Reason.CRC_MISMATCH, f"directory {entry.crc32:#010x}, local header {crc32:#010x}")
    if size != entry.size or compressed_size != entry.compressed_size:
        size, compressed_size = zip64_sizes(bytes(buffer[named + names : start]), size, compressed_size)
        if size != entry.size or compressed_size != entry.compressed_size:
            raise EntryFault(
                Reason.SIZE_MISMATCH,
                f"directory {entry.compressed_size} for {entry.size}, local header {compressed_size} for {size}",
            )
    return start, end


def descriptor_size(buffer: Buffer, start: int, limit: int, crc32: int, compressed_size: int, size: int) -> int:
    """Return the bytes of the data descriptor at ``start`` that states these values, or 0 if none does.

    All four layouts are known: with and without signature, sizes of 4 and of 8 bytes. The values decide,
    because writers disagree on when sizes have 8.
    """
    lengths = descriptor_sizes(buffer[start : min(start + MOST_DESCRIPTOR, limit)], crc32, compressed_size, size)
    return lengths[0] if lengths else 0


def descriptor_sizes(buffer: Buffer, crc32: int, compressed_size: int, size: int) -> list[int]:
    """Return the bytes of each layout in which ``buffer`` begins with a descriptor of these values."""
    begins = bytes(buffer[:MOST_DESCRIPTOR])
    lengths: list[int] = []
    for signature in (DESCRIPTOR_SIGNATURE, b""):
        if compressed_size <= SENTINEL32 and size <= SENTINEL32:
            narrow = signature + DESCRIPTOR.pack(crc32, compressed_size, size)
            if begins.startswith(narrow):
                lengths.append(len(narrow))
        wide = signature + ZIP64_DESCRIPTOR.pack(crc32, compressed_size, size)
        if begins.startswith(wide):
            lengths.append(len(wide))
    return lengths


def descriptor_fault(entry: Declared, after: bytes) -> EntryFault:
    """Return the fault of an entry behind whose data stands ``after``, which is not its descriptor."""
    return EntryFault(
        Reason.DESCRIPTOR_MISMATCH,
        f"directory crc {entry.crc32:#010x}, sizes {entry.compressed_size} and {entry.size}; "
        f"after the data {after.hex()}",
    )


def _shown(name: bytes) -> str:
    return repr(name[:_SHOWN])[1:] + (f" ({len(name)} bytes)" if len(name) > _SHOWN else "")
