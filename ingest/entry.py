"""One entry: check its local header against the directory, and find its data.

The entry's bytes stand in a buffer that may hold a whole window of the archive::

    start, end = locate(buffer, at, limit, name, method, flags, crc32, compressed_size, size)
    data = inflate(method, memoryview(buffer)[start:end], size, crc32)

``locate`` runs once for each of tens of millions of entries, so it takes plain columns of the
directory (:data:`ingest.records.SCHEMA`) and makes no object but its answer. Format: APPNOTE
6.3.10, sections 4.3.7 (local header), 4.3.9 (data descriptor) and 4.5.3 (ZIP64 extra).
"""

from __future__ import annotations

import struct

from ingest.inflate import inflate
from ingest.reasons import EntryFault, Reason

__all__ = ["descriptor_size", "inflate", "locate"]

LOCAL_HEADER = 30  # bytes before the name
MOST_HEADER = LOCAL_HEADER + 2 * 0xFFFF  # with the longest name and extra field
MOST_DESCRIPTOR = 24
ENCRYPTED = 1 << 0
DESCRIPTOR = 1 << 3

_LOCAL = struct.Struct("<IHHHIIIIHH").unpack_from
LOCAL_SIGNATURE = 0x04034B50
DESCRIPTOR_SIGNATURE = b"PK\x07\x08"
_SENTINEL = 0xFFFFFFFF

Buffer = bytes | bytearray | memoryview


def locate(
    buffer: Buffer,
    at: int,
    limit: int,
    name: bytes | None,
    method: int,
    flags: int,
    crc32: int,
    compressed_size: int,
    size: int,
) -> tuple[int, int]:
    """Return where in ``buffer`` the entry's compressed data begin and end.

    Args:
        buffer: Bytes of the archive.
        at: Index in ``buffer`` of the entry's local header.
        limit: Index at which the next record begins at the latest; at most ``len(buffer)``. Header,
            data and descriptor must lie before it.
        name: The name's raw bytes in the directory, or None to leave it unchecked.
        method: As the directory has it, like all that follow.
        flags: General purpose bits.
        crc32: Of the data when decompressed.
        compressed_size: Bytes.
        size: Bytes when decompressed.

    Raises:
        EntryFault: The header is not there, contradicts the directory, or the data pass ``limit``.
    """
    if at < 0 or at + LOCAL_HEADER > limit:
        raise EntryFault(
            Reason.OVERLAP, f"{limit - at} bytes to the next record, and a local header has {LOCAL_HEADER}"
        )
    signature, _, own_flags, own_method, _, own_crc32, own_compressed, own_size, names, extras = _LOCAL(buffer, at)
    if signature != LOCAL_SIGNATURE:
        raise EntryFault(Reason.HEADER_CORRUPT, f"no local header: found {signature:#010x}")
    named = at + LOCAL_HEADER
    start = named + names + extras
    end = start + compressed_size
    if name is not None and buffer[named : named + names] != name:
        own = bytes(buffer[named : min(named + names, limit)])
        raise EntryFault(Reason.NAME_MISMATCH, f"directory {_shown(name)}, local header {_shown(own)}")
    if end > limit:
        raise EntryFault(Reason.OVERLAP, f"the data run {end - limit} bytes into the next record")
    if own_method != method:
        raise EntryFault(Reason.METHOD_MISMATCH, f"directory {method}, local header {own_method}")
    if (own_flags | flags) & ENCRYPTED:
        if (own_flags ^ flags) & ENCRYPTED:
            raise EntryFault(Reason.FLAGS_MISMATCH, f"directory {flags:#06x}, local header {own_flags:#06x}")
        raise EntryFault(Reason.ENCRYPTED, f"flags {flags:#06x}")
    if own_flags & DESCRIPTOR:
        if descriptor_size(buffer, end, limit, crc32, compressed_size, size) == 0:
            raise EntryFault(
                Reason.DESCRIPTOR_MISMATCH,
                f"directory crc {crc32:#010x}, sizes {compressed_size} and {size}; "
                f"after the data {bytes(buffer[end : min(end + MOST_DESCRIPTOR, limit)]).hex()}",
            )
        return start, end
    if own_crc32 != crc32:
        raise EntryFault(Reason.CRC_MISMATCH, f"directory {crc32:#010x}, local header {own_crc32:#010x}")
    if own_size != size or own_compressed != compressed_size:
        own_size, own_compressed = zip64_sizes(bytes(buffer[named + names : start]), own_size, own_compressed)
        if own_size != size or own_compressed != compressed_size:
            raise EntryFault(
                Reason.SIZE_MISMATCH,
                f"directory {compressed_size} for {size}, local header {own_compressed} for {own_size}",
            )
    return start, end


def descriptor_size(buffer: Buffer, at: int, limit: int, crc32: int, compressed_size: int, size: int) -> int:
    """Return the bytes of the data descriptor at ``at`` that states these values, or 0 if none does.

    All four layouts are known: with and without signature, sizes of 4 and of 8 bytes. The values decide,
    because writers disagree on when sizes have 8.
    """
    found = descriptor_sizes(buffer[at : min(at + MOST_DESCRIPTOR, limit)], crc32, compressed_size, size)
    return found[0] if found else 0


def descriptor_sizes(buffer: Buffer, crc32: int, compressed_size: int, size: int) -> list[int]:
    """Return the bytes of each layout in which ``buffer`` begins with a descriptor of these values."""
    begins = bytes(buffer[:MOST_DESCRIPTOR])
    lengths: list[int] = []
    for signature in (DESCRIPTOR_SIGNATURE, b""):
        if compressed_size <= _SENTINEL and size <= _SENTINEL:
            narrow = signature + struct.pack("<III", crc32, compressed_size, size)
            if begins.startswith(narrow):
                lengths.append(len(narrow))
        wide = signature + struct.pack("<IQQ", crc32, compressed_size, size)
        if begins.startswith(wide):
            lengths.append(len(wide))
    return lengths


def zip64_sizes(extra: bytes, size: int, compressed: int) -> tuple[int, int]:
    """Return the sizes in bytes, those that are all ones replaced from the ZIP64 extra, field by field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            words = [int.from_bytes(body[i : i + 8], "little") for i in range(0, len(body) - 7, 8)]
            if size == _SENTINEL and words:
                size = words.pop(0)
            if compressed == _SENTINEL and words:
                compressed = words.pop(0)
            break
        at += 4 + length
    return size, compressed


def _shown(name: bytes) -> str:
    return repr(name[:200])[1:] + (f" ({len(name)} bytes)" if len(name) > 200 else "")
