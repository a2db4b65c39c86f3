"""Entries without a directory: find where the entry of a local header ends.

A header's sizes are believed if they lead to another record, which also keeps the entries of a zip that lies stored
within an entry from being taken for the archive's own. Otherwise the data have to prove them. Where there are none
(bit 3 of the flags), compressed data tell their own end, and stored data are searched for a descriptor that states
their checksum and length. Format: APPNOTE 6.3.10, sections 4.3.7, 4.3.9 and 4.5.3.
"""

from __future__ import annotations

from typing import NamedTuple

import deflate
import numpy as np

from postmill.ingest.archive.salvage_header import LocalHeader, is_local_header
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.local_header import descriptor_sizes
from postmill.ingest.zipformat.lookahead import Lookahead
from postmill.ingest.zipformat.methods.decoder import METHODS, Decoder, make_decoder
from postmill.ingest.zipformat.methods.inflate import LARGEST_READ
from postmill.ingest.zipformat.signatures import (
    ARCHIVE_EXTRA_SIGNATURE,
    DESCRIPTOR,
    DESCRIPTOR_SIGNATURE,
    END_SIGNATURE,
    FLAG_DESCRIPTOR,
    FLAG_ENCRYPTED,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    MOST_DESCRIPTOR,
    RECORD_SIGNATURE,
    STORED,
    ZIP64_END_SIGNATURE,
)
from postmill.ingest.zipformat.space import AddressSpace
from postmill.ingest.zipformat.unaligned import at_every_byte
from postmill.shards.formats.reasons import Reason

# What may follow an entry.
_FOLLOWS = (LOCAL_SIGNATURE, RECORD_SIGNATURE, END_SIGNATURE, ZIP64_END_SIGNATURE, ARCHIVE_EXTRA_SIGNATURE)
_FIRST_STEP = 4 << 10  # bytes to look at first; most entries are small
_LAST_STEP = 64 << 10  # steps double up to this
_MOST_RATIO = 64  # beyond LARGEST_READ, data of unknown size may become so many times their length at most


class Extent(NamedTuple):
    """Where an entry ends, and what its data are."""

    end: int  # go on here
    sure: bool  # the next record begins at `end`; otherwise it has to be searched for
    crc32: int
    compressed_size: int
    size: int
    fault: EntryFault | None


class Extents:
    """Finds where entries end. Work that proves nothing is bounded by a few times the archive's size.

    Without that bound, a file made of headers that each claim the rest of it would take forever.
    """

    def __init__(self, space: AddressSpace, lookahead: Lookahead) -> None:
        self._lookahead = lookahead
        self._left = 8 * space.size + LARGEST_READ  # bytes to read or to make in vain

    def find(self, local: LocalHeader, end: int, cut: EntryFault) -> Extent:
        """Return the extent of ``local``.

        Args:
            local: Of :func:`.salvage_header.read_local_header`.
            end: Where what is there ends.
            cut: What is wrong with an entry that reaches beyond ``end``.

        Raises:
            PartError: A part cannot be read.
        """
        if local.flags & FLAG_DESCRIPTOR and (extent := self._described(local, end)) is not None:
            return extent
        if local.flags & FLAG_DESCRIPTOR:
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
        begins = self._lookahead.glance(offset, LOCAL_HEADER.size, end)
        if len(begins) == LOCAL_HEADER.size and begins.startswith(LOCAL_SIGNATURE):
            return is_local_header(begins)
        return any(signature.startswith(begins[:4]) for signature in _FOLLOWS)

    def _described(self, local: LocalHeader, end: int) -> Extent | None:
        """Believe sizes that stand in the header although bit 3 is set, if the descriptor states them too."""
        stop = local.data + local.compressed_size
        if not local.compressed_size or not local.crc32 or stop > end:
            return None
        return self._with_descriptor(local, [stop], local.crc32, local.size, end, certain=False)

    def _cut(self, local: LocalHeader, end: int, cut: EntryFault) -> Extent:
        """Tell an entry that is cut off from one whose size is wrong."""
        doubtful = _extent(local, _restart(local), fault=cut)
        if local.data > end or local.flags & FLAG_ENCRYPTED or local.method not in METHODS:
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

    def _prove(self, local: LocalHeader, stop: int) -> int:
        """Check the data up to ``stop`` against the header; return how many bytes of them were needed at least."""
        if local.flags & FLAG_ENCRYPTED:
            raise EntryFault(Reason.ENCRYPTED, f"flags {local.flags:#06x}")
        decoder, size, crc32 = self._decode(local.method, local.data, stop, local.size)
        if size != local.size or not (decoder.done or decoder.endless):
            raise EntryFault(Reason.SIZE_LIE, f"declares {local.size} bytes and has {size}")
        if crc32 != local.crc32:
            raise EntryFault(Reason.CRC_WRONG, f"declares {local.crc32:#010x} and has {crc32:#010x}")
        self._left += decoder.taken + local.size
        return decoder.taken if decoder.taken == local.compressed_size else decoder.taken - decoder.slack

    def _open_ended(self, local: LocalHeader, end: int, cut: EntryFault) -> Extent:
        """Find the end of an entry whose header does not tell it."""
        begin, again = min(local.data, end), _restart(local)
        unknown = local._replace(compressed_size=end - begin, size=0)
        if local.data > end:
            return _extent(unknown, again, fault=cut)
        if local.flags & FLAG_ENCRYPTED:
            return _extent(unknown, again, fault=EntryFault(Reason.ENCRYPTED, f"flags {local.flags:#06x}"))
        try:
            if local.method == STORED:
                extent = self._scan(local, end)
            else:
                decoder, size, crc32 = self._decode(local.method, begin, end)
                if not decoder.done:
                    return _extent(unknown, end, fault=cut)
                stop = begin + decoder.taken
                stops = list(range(stop, stop - decoder.slack - 1, -1))
                extent = self._with_descriptor(local, stops, crc32, size, end)
                if extent is not None:
                    self._left += decoder.taken + size
                elif stop + MOST_DESCRIPTOR > end:
                    return _extent(unknown, end, fault=cut)
        except EntryFault as fault:
            return _extent(unknown, again, fault=fault)
        if extent is None:
            why = "no data descriptor with the checksum and the length of the data is found"
            lost = cut if local.method == STORED else EntryFault(Reason.DESCRIPTOR_MISMATCH, why)
            return _extent(unknown, again, fault=lost)
        return extent

    def _decode(self, method: int, start: int, end: int, most: int | None = None) -> tuple[Decoder, int, int]:
        """Decompress until the data or the bytes end; return the decoder, the plain size and its CRC-32."""
        decoder, size, crc32, step = make_decoder(method, most), 0, 0, _FIRST_STEP
        while start < end and not decoder.done:
            chunk, taken = self._lookahead.peek(start, step, end), decoder.taken
            start, step = start + len(chunk), min(2 * step, _LAST_STEP)
            for piece in decoder.feed(chunk):
                size, crc32 = size + len(piece), deflate.crc32(piece, crc32)
                self._spend(len(piece))
                if most is not None and size > most:
                    raise EntryFault(Reason.SIZE_LIE, f"declares {most} bytes and has more")
                if size > max(LARGEST_READ, _MOST_RATIO * decoder.taken):
                    raise EntryFault(Reason.TOO_LARGE, f"{decoder.taken} bytes become more than {size - len(piece)}")
            self._spend(decoder.taken - taken)
        return decoder, size, crc32

    def _scan(self, local: LocalHeader, end: int) -> Extent | None:
        """Search stored data for a descriptor that states what lies before it."""
        position, crc32, checked, step = local.data, 0, local.data, _FIRST_STEP
        while position + DESCRIPTOR.size <= end:
            block = bytearray(self._lookahead.peek(position, step + MOST_DESCRIPTOR, end))
            last = position + len(block) == end
            # Candidates state their distance from the beginning, in the 4 bytes after the checksum.
            words = at_every_byte(block, len(block), "<u4")
            distance = (np.arange(len(words), dtype=np.uint64) + np.uint64(position - local.data)).astype(np.uint32)
            plain, signed = words[4:] == distance[:-4], words[8:] == distance[:-8]
            hits = np.union1d(np.flatnonzero(plain), np.flatnonzero(signed)).tolist()
            span = len(block) if last else step
            for hit in hits:
                if hit >= span:
                    break
                crc32 = deflate.crc32(bytes(block[checked - position : hit]), crc32)
                checked = position + hit
                size = checked - local.data
                extent = self._with_descriptor(local, [checked], crc32, size, end, certain=size > 0)
                # Zeros look like the descriptor of nothing; where what is there ends with them, they prove nothing.
                if extent is not None and (size > 0 or extent.end < end or block.startswith(DESCRIPTOR_SIGNATURE)):
                    self._left += size
                    return extent
            crc32 = deflate.crc32(bytes(block[checked - position : span]), crc32)
            checked = position = position + span
            step = min(2 * step, _LAST_STEP)
            self._spend(span)
        return None

    def _with_descriptor(
        self, local: LocalHeader, stops: list[int], crc32: int, size: int, end: int, *, certain: bool = True
    ) -> Extent | None:
        """Return the extent if a descriptor follows one of ``stops``; unless ``certain``, a record must follow it."""
        for stop in stops:
            after = self._lookahead.peek(stop, MOST_DESCRIPTOR, end)
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


def _restart(local: LocalHeader) -> int:
    """Where to search on if a header cannot be trusted: not even in the lengths of its name and extra field."""
    return local.offset + LOCAL_HEADER.size


def _wrong_size(local: LocalHeader, taken: int) -> Extent:
    detail = f"local header {local.compressed_size}, and the data end after {taken}"
    return _extent(local, local.data + taken, fault=EntryFault(Reason.SIZE_MISMATCH, detail))


def _extent(local: LocalHeader, end: int, *, sure: bool = False, fault: EntryFault | None = None) -> Extent:
    return Extent(end, sure, local.crc32, local.compressed_size, local.size, fault)
