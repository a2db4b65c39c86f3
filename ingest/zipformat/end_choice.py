"""Which of the end records counts, and how the archive is to be read by it.

It is the one whose comment ends where the archive ends and whose directory ends where it begins. If there is none, one
file, or its slices, with something in front of it, or without what stood there, is taken with its offsets corrected, or
something behind it is left out, or offsets that ran over are counted on, or parts that were joined in one file are told
apart (:mod:`.joined`). These are warnings, and errors if ``strict``. Anything else is
refused, two right ones included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from postmill.ingest.zipformat.end_record import EndRecord
from postmill.ingest.zipformat.joined import joined_starts
from postmill.ingest.zipformat.part_names import LAST, parse_name
from postmill.ingest.zipformat.signatures import DIRECTORY_RECORD, LOCAL_SIGNATURE, RECORD_SIGNATURE, SPLIT_MARKER, WRAP
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.runtime.errors import DamagedSource

_MOST_TRIED = 4  # end records for whose sake the whole directory is read


class EndChoice(NamedTuple):
    """End records that could each be right, and how the archive is to be read then; see :class:`Directory`."""

    fitting: list[EndRecord]
    shift: int = 0
    starts: tuple[int, ...] = ()
    wrapped: bool = False
    warnings: Sequence[str] = ()


def choose_end(space: AddressSpace, ends: list[EndRecord]) -> EndChoice:
    """Find the end records that fit: as they are, or else with one correction, that each must prove itself."""
    reaching = [end for end in ends if end.reaches == space.size]
    if fitting := [end for end in reaching if _fits(space, end, 0)]:
        return EndChoice(fitting)
    shifts = [(end, directory_shift(end)) for end in reaching if end.disk == 0 and end.directory_size]
    if fitting := [end for end, shift in shifts if shift > 0 and _is_wrapped(space, end, shift)]:
        told = "offsets are counted modulo 4 GiB, as by macOS; they are worked out from the order of the entries"
        return EndChoice(fitting, wrapped=True, warnings=[told])
    if fitting := [end for end, shift in shifts if shift and _fits(space, end, shift)]:
        shift = directory_shift(fitting[0])
        if shift < 0:
            told = f"{-shift} bytes that stood in front of the archive are gone; offsets are corrected by as much"
            return EndChoice(fitting, shift, warnings=[told])
        if any(start < shift and space.read(start, 4) == LOCAL_SIGNATURE for start in (0, 4)):
            if len(space.parts) > 1:
                return EndChoice([])  # a slice of another archive, or the first one twice
            raise DamagedSource(
                "its end is lost: it begins with an entry of its own, and the directory that it ends with belongs to a "
                "zip within the archive",
                place=space.parts[-1].path,
                hint="fetch the file again",
            )
        front = f"{shift} bytes stand in front of the archive; offsets are corrected by as much"
        return EndChoice(fitting, shift, warnings=[front])
    if fitting := [end for end in ends if end.reaches < space.size and _fits(space, end, 0)]:
        return EndChoice(fitting, warnings=[_left_out(space, fitting[0])])
    for end in ends[:_MOST_TRIED]:
        if starts := _joined_starts(space, end):
            told = f"{len(starts)} parts were joined in one file; where each begins is worked out from its entries"
            if not any(starts):
                told = f"it is counted as the last of {len(starts)} parts, and all entries are in it"
            behind = [_left_out(space, end)] if end.reaches < space.size else []
            return EndChoice([end], starts=starts, warnings=[told, *behind])
    return EndChoice([])


def _left_out(space: AddressSpace, end: EndRecord) -> str:
    return f"{space.size - end.reaches} bytes behind the archive are left out"


def _joined_starts(space: AddressSpace, end: EndRecord) -> tuple[int, ...]:
    """Return where in one file the parts begin that were joined in it; nothing where it is not such a file."""
    start = end.limit - end.directory_size
    last = parse_name(space.parts[-1].name)
    if end.broken or end.disk == 0 or end.directory_size == 0 or start < 0 or space.holes:
        return ()
    if len(space.parts) > 1 and last is not None and last.number == LAST:
        return ()  # a set of which a part is missing or too many; slices of a joined file have numbers all
    if space.read(0, 4) not in (SPLIT_MARKER, LOCAL_SIGNATURE) or space.read(start, 4) != RECORD_SIGNATURE:
        return ()
    return joined_starts(space, start, end.limit, end.disk + 1) or ()


def directory_shift(end: EndRecord) -> int:
    """How far the directory lies behind its stated offset."""
    return end.limit - end.directory_size - end.directory_offset


def _fits(space: AddressSpace, end: EndRecord, shift: int) -> bool:
    """Tell whether the directory of ``end`` ends where it must, and begins with a record."""
    if end.broken or (end.disk > 0 and end.disk + 1 != len(space.parts)) or end.directory_disk > end.disk:
        return False
    start = space.parts[end.directory_disk].start + end.directory_offset + shift
    if start < 0 or start + end.directory_size != end.limit:
        return False
    if end.directory_size == 0:
        return end.entries == 0
    if end.directory_size < DIRECTORY_RECORD.size:
        return False
    signature, *_, offset = DIRECTORY_RECORD.unpack(space.read(start, DIRECTORY_RECORD.size))
    if signature != RECORD_SIGNATURE:
        return False
    # A corrected offset must prove itself on the first entry, or stay unused.
    return shift == 0 or _has_entry(space, offset + shift)


def _is_wrapped(space: AddressSpace, end: EndRecord, shift: int) -> bool:
    """Tell whether the directory lies multiples of 4 GiB behind its stated offset, and the first entry at its own.

    A writer without ZIP64 that does not mind cuts off what has more than 32 bits.
    """
    start = end.limit - end.directory_size
    if end.zip64 or end.broken or shift % WRAP or end.directory_size < DIRECTORY_RECORD.size:
        return False
    signature, *_, offset = DIRECTORY_RECORD.unpack(space.read(start, DIRECTORY_RECORD.size))
    return signature == RECORD_SIGNATURE and _has_entry(space, offset)


def _has_entry(space: AddressSpace, offset: int) -> bool:
    return bool(0 <= offset <= space.size - 4 and space.read(offset, 4) == LOCAL_SIGNATURE)
