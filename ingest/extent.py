"""Local headers without a directory: read one, and find where its entry ends.

A header's sizes are believed if they lead to another record, which also keeps the entries of a zip that lies stored
within an entry from being taken for the archive's own. Otherwise the data have to prove them. Where there are none
(bit 3 of the flags), compressed data tell their own end, and stored data are searched for a descriptor that states
their checksum and length. Format: APPNOTE 6.3.10, sections 4.3.7, 4.3.9 and 4.5.3.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import deflate
import numpy as np

from ingest.decoder import Decoder, make
from ingest.directory import RECORD_SIGNATURE
from ingest.entry import (
    DESCRIPTOR,
    DESCRIPTOR_SIGNATURE,
    ENCRYPTED,
    LOCAL_HEADER,
    MOST_DESCRIPTOR,
    descriptor_sizes,
    zip64_sizes,
)
from ingest.gather import at_every_byte
from ingest.inflate import MAX_ENTRY, METHODS, STORED
from ingest.names import decode
from ingest.reasons import EntryFault, Reason
from ingest.space import AddressSpace
from ingest.window import Window

LOCAL_SIGNATURE = b"PK\x03\x04"
_FOLLOWS = (LOCAL_SIGNATURE, RECORD_SIGNATURE, b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x08")  # what a record may be
_LOCAL = struct.Struct("<4sHHHIIIIHH")
_METHODS = frozenset([*range(21), *range(92, 100)])  # 4.4.5, all that were ever given out
_MOST_VERSION = 63  # 4.4.3.2, low byte
_MOST_HOST = 20  # 4.4.2, high byte
_RESERVED = 0xC780  # bits of the flags that mean nothing
_MOST_NAME = 4096  # bytes; only where a header is searched for
_MOST_EXTRA = 2048  # bytes of an extra field to look at: longer ones are padding
_FIRST = 4 << 10  # bytes to look at first; most entries are small
_CHUNK = 64 << 10
_RATIO = 64  # beyond MAX_ENTRY, data of unknown size may not become more than so many times their length
_ONES = 0xFFFFFFFF


class Local(NamedTuple):
    """A local header. Offsets and sizes in bytes; the sizes and the checksum may be unknown or wrong."""

    offset: int
    raw_name: bytes
    extra: bytes
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    data: int  # where the data begin; may lie behind the end of what is there


class Extent(NamedTuple):
    """Where an entry ends, and what its data are."""

    end: int  # go on here
    sure: bool  # the next record begins at `end`; otherwise it has to be searched for
    crc32: int
    compressed_size: int
    size: int
    fault: EntryFault | None


def read_local(window: Window, offset: int, end: int, *, searching: bool = False) -> Local | None:
    """Return the local header at ``offset``, or None where none can be; ``searching`` asks for more.

    The name must lie before ``end``; the extra field may be cut off there.
    """
    fixed = window.peek(offset, LOCAL_HEADER, end)
    if not _is_local(fixed):
        return None
    _, _, flags, method, _, crc32, compressed, size, names, extras = _LOCAL.unpack(fixed)
    rest = window.peek(offset + LOCAL_HEADER, names + extras, end)
    if len(rest) < names:
        return None
    name, extra = rest[:names], rest[names : names + _MOST_EXTRA]
    if searching:
        if flags & _RESERVED or not 0 < names <= _MOST_NAME:
            return None
        _, reason, _ = decode(name, flags, extra)
        if reason is Reason.NAME_UNDECODABLE or any(byte < 0x20 for byte in name):
            return None
    size, compressed = zip64_sizes(extra, size, compressed)
    return Local(offset, name, extra, flags, method, crc32, compressed, size, offset + LOCAL_HEADER + names + extras)


def _is_local(fixed: bytes) -> bool:
    version, method = int.from_bytes(fixed[4:6], "little"), int.from_bytes(fixed[8:10], "little")
    return len(fixed) == LOCAL_HEADER and fixed.startswith(LOCAL_SIGNATURE) and plausible(version, version, method)


def plausible(made_by: int, needed: int, method: int) -> bool:
    """Tell whether the versions and the method of a record are any that were ever given out."""
    low, high = max(made_by & 0xFF, needed & 0xFF), max(made_by >> 8, needed >> 8)
    return low <= _MOST_VERSION and high <= _MOST_HOST and method in _METHODS


class Extents:
    """Finds where entries end. Work that proves nothing is bounded by a few times the archive's size.

    Without that bound, a file made of headers that each claim the rest of it would take forever.
    """

    def __init__(self, space: AddressSpace, window: Window) -> None:
        self._window = window
        self._left = 8 * space.size + MAX_ENTRY  # bytes to read or to make in vain

    def find(self, local: Local, end: int, cut: EntryFault) -> Extent:
        """Return the extent of ``local``.

        Args:
            local: From :func:`read_local`.
            end: Where what is there ends.
            cut: What is wrong with an entry that reaches beyond ``end``.

        Raises:
            PartError: A part cannot be read.
        """
        if local.flags & DESCRIPTOR and (found := self._described(local, end)) is not None:
            return found
        if local.flags & DESCRIPTOR:
            return self._open_ended(local, end, cut)
        stop = local.data + local.compressed_size
        if stop > end:
            return self._cut(local, end, cut)
        if self.leads(stop, end):
            return _extent(local, stop, sure=True)
        try:
            taken = self._prove(local, stop)
        except EntryFault as fault:
            return _extent(local, _restart(local), fault=fault)
        if taken < local.compressed_size:
            return _wrong_size(local, taken)
        return _extent(local, stop)

    def leads(self, offset: int, end: int) -> bool:
        """Tell whether a record begins at ``offset``, or nothing is there any more."""
        if offset >= end:
            return offset == end
        begins = self._window.glance(offset, LOCAL_HEADER, end)
        if len(begins) == LOCAL_HEADER and begins.startswith(LOCAL_SIGNATURE):
            return _is_local(begins)
        return any(each.startswith(begins[:4]) for each in _FOLLOWS)

    def _described(self, local: Local, end: int) -> Extent | None:
        """Believe sizes that stand in the header although bit 3 is set, if the descriptor states them too."""
        stop = local.data + local.compressed_size
        if not local.compressed_size or not local.crc32 or stop > end:
            return None
        return self._with_descriptor(local, [stop], local.crc32, local.size, end, certain=False)

    def _cut(self, local: Local, end: int, cut: EntryFault) -> Extent:
        """Tell an entry that is cut off from one whose size is wrong."""
        doubtful = _extent(local, _restart(local), fault=cut)
        if local.data > end or local.flags & ENCRYPTED or local.method not in METHODS:
            return doubtful
        if local.method == STORED:
            # Two equal sizes are hardly wrong both, so what follows belongs to this entry.
            return _extent(local, end, fault=cut) if local.size == local.compressed_size else doubtful
        try:
            decoder, _, _ = self._decode(local.method, local.data, end)
        except EntryFault:
            return doubtful
        if not decoder.done:
            return _extent(local, end, fault=cut)
        return _wrong_size(local, decoder.taken - decoder.slack)

    def _prove(self, local: Local, stop: int) -> int:
        """Check the data up to ``stop`` against the header; return how many bytes of them were needed at least."""
        if local.flags & ENCRYPTED:
            raise EntryFault(Reason.ENCRYPTED, f"flags {local.flags:#06x}")
        decoder, size, crc32 = self._decode(local.method, local.data, stop, local.size)
        if size != local.size or not (decoder.done or local.method == STORED):
            raise EntryFault(Reason.SIZE_LIE, f"declares {local.size} bytes and has {size}")
        if crc32 != local.crc32:
            raise EntryFault(Reason.CRC_WRONG, f"declares {local.crc32:#010x} and has {crc32:#010x}")
        self._left += decoder.taken + local.size
        return decoder.taken if decoder.taken == local.compressed_size else decoder.taken - decoder.slack

    def _open_ended(self, local: Local, end: int, cut: EntryFault) -> Extent:
        """Find the end of an entry whose header does not tell it."""
        begin, again = min(local.data, end), _restart(local)
        unknown = local._replace(compressed_size=end - begin, size=0)
        if local.data > end:
            return _extent(unknown, again, fault=cut)
        if local.flags & ENCRYPTED:
            return _extent(unknown, again, fault=EntryFault(Reason.ENCRYPTED, f"flags {local.flags:#06x}"))
        try:
            if local.method == STORED:
                found = self._scan(local, end)
            else:
                decoder, size, crc32 = self._decode(local.method, begin, end)
                if not decoder.done:
                    return _extent(unknown, end, fault=cut)
                stop = begin + decoder.taken
                stops = list(range(stop, stop - decoder.slack - 1, -1))
                found = self._with_descriptor(local, stops, crc32, size, end)
                if found is not None:
                    self._left += decoder.taken + size
                elif stop + MOST_DESCRIPTOR > end:
                    return _extent(unknown, end, fault=cut)
        except EntryFault as fault:
            return _extent(unknown, again, fault=fault)
        if found is None:
            why = "no data descriptor with the checksum and the length of the data is found"
            lost = cut if local.method == STORED else EntryFault(Reason.DESCRIPTOR_MISMATCH, why)
            return _extent(unknown, again, fault=lost)
        return found

    def _decode(self, method: int, start: int, end: int, most: int | None = None) -> tuple[Decoder, int, int]:
        """Decompress until the data or the bytes end; return the decoder, the plain size and its CRC-32."""
        decoder, size, crc32, step = make(method), 0, 0, _FIRST
        while start < end and not decoder.done:
            chunk, taken = self._window.peek(start, step, end), decoder.taken
            start, step = start + len(chunk), min(2 * step, _CHUNK)
            for piece in decoder.feed(chunk):
                size, crc32 = size + len(piece), deflate.crc32(piece, crc32)
                self._spend(len(piece))
                if most is not None and size > most:
                    raise EntryFault(Reason.SIZE_LIE, f"declares {most} bytes and has more")
                if size > max(MAX_ENTRY, _RATIO * decoder.taken):
                    raise EntryFault(Reason.TOO_LARGE, f"{decoder.taken} bytes become more than {size - len(piece)}")
            self._spend(decoder.taken - taken)
        return decoder, size, crc32

    def _scan(self, local: Local, end: int) -> Extent | None:
        """Search stored data for a descriptor that states what lies before it."""
        at, crc32, checked, step = local.data, 0, local.data, _FIRST
        while at + 12 <= end:
            block = bytearray(self._window.peek(at, step + MOST_DESCRIPTOR, end))
            last = at + len(block) == end
            # Candidates state their distance from the beginning, in the 4 bytes after the checksum.
            words = at_every_byte(block, len(block), "<u4")
            distance = (np.arange(len(words), dtype=np.uint64) + np.uint64(at - local.data)).astype(np.uint32)
            plain, signed = words[4:] == distance[:-4], words[8:] == distance[:-8]
            hits = np.union1d(np.flatnonzero(plain), np.flatnonzero(signed)).tolist()
            span = len(block) if last else step
            for hit in hits:
                if hit >= span:
                    break
                crc32 = deflate.crc32(bytes(block[checked - at : hit]), crc32)
                checked = at + hit
                size = checked - local.data
                found = self._with_descriptor(local, [checked], crc32, size, end, certain=size > 0)
                # Zeros look like the descriptor of nothing; where what is there ends with them, they prove nothing.
                if found is not None and (size > 0 or found.end < end or block.startswith(DESCRIPTOR_SIGNATURE)):
                    self._left += size
                    return found
            crc32 = deflate.crc32(bytes(block[checked - at : span]), crc32)
            checked = at = at + span
            step = min(2 * step, _CHUNK)
            self._spend(span)
        return None

    def _with_descriptor(
        self, local: Local, stops: list[int], crc32: int, size: int, end: int, *, certain: bool = True
    ) -> Extent | None:
        """Return the extent if a descriptor follows one of ``stops``; unless ``certain``, a record must follow it."""
        for stop in stops:
            after = self._window.peek(stop, MOST_DESCRIPTOR, end)
            packed = stop - local.data
            known = local._replace(crc32=crc32, compressed_size=packed, size=size)
            lengths = descriptor_sizes(after, crc32, packed, size)
            for length in lengths:
                if self.leads(stop + length, end):
                    return _extent(known, stop + length, sure=True)
            if lengths and certain:
                return _extent(known, stop + lengths[0])
        return None

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise EntryFault(Reason.HEADER_CORRUPT, "not followed by a record; too much was wrong before to check more")


def _restart(local: Local) -> int:
    """Where to search on if a header cannot be trusted: not even in the lengths of its name and extra field."""
    return local.offset + LOCAL_HEADER


def _wrong_size(local: Local, taken: int) -> Extent:
    detail = f"local header {local.compressed_size}, and the data end after {taken}"
    return _extent(local, local.data + taken, fault=EntryFault(Reason.SIZE_MISMATCH, detail))


def _extent(local: Local, end: int, *, sure: bool = False, fault: EntryFault | None = None) -> Extent:
    return Extent(end, sure, local.crc32, local.compressed_size, local.size, fault)
