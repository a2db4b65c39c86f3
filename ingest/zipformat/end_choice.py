"""Which of the end records counts, and how the archive is to be read by it.

It is the one whose comment ends where the archive ends and whose directory ends where it begins. If there is none, one
file, or its slices, with something in front of it, or without what stood there, is taken with its offsets corrected, or
something behind it is left out, or offsets that ran over are counted on, or parts that were joined in one file are told
apart (:mod:`.joined`). These are warnings, and errors if ``strict``. Anything else is
refused, two right ones included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from postmill.ingest.zipformat.end_record import EndRecord, end_records
from postmill.ingest.zipformat.joined import joined_starts
from postmill.ingest.zipformat.part_names import LAST, parse_name
from postmill.ingest.zipformat.signatures import DIRECTORY_RECORD, LOCAL_SIGNATURE, RECORD_SIGNATURE, SPLIT_MARKER, WRAP
from postmill.ingest.zipformat.space import AddressSpace, Part, lay_out
from postmill.shards.runtime.errors import DamagedSource

_MOST_TAIL = 4  # slices over which the records of an end may lie
_MOST_TRIED = 4  # end records for whose sake the whole directory is read


class EndChoice(NamedTuple):
    """End records that could each be right, and how the archive is to be read then; see :class:`Directory`."""

    fitting: list[EndRecord]
    shift: int = 0
    starts: tuple[int, ...] = ()
    wrapped: bool = False
    warnings: Sequence[str] = ()


class Slices(NamedTuple):
    """Slices of one zip that may not all be here, and the number of the first one that the directory needs."""

    parts: tuple[Part, ...]
    directory_part: int


def lay_out_slices(paths: Sequence[str], sizes: Mapping[str, int], names: Sequence[str]) -> Slices | None:
    """Return the slices ``paths`` of a zip; those that are not here, or not whole, are missing parts of the right size.

    Offsets count from the beginning of the file that was cut. How many bytes of it lie before its end, the end record
    says, and of slices all but the last have one length.

    Args:
        paths: All of them, in order.
        sizes: Of those that are here, bytes.
        names: Of all of them, in order.

    Returns:
        None where the last slices do not show it: the end is not here, or lengths differ.

    Raises:
        PartError: A part cannot be read.
    """
    for first in reversed(range(max(len(paths) - _MOST_TAIL, 1), len(paths))):
        if paths[first] not in sizes:
            return None
        with AddressSpace(lay_out([(path, sizes[path]) for path in paths[first:]], names=names[first:])) as tail:
            ends = [end for end in end_records(tail) if end.reaches == tail.size and end.disk == 0 and not end.broken]
            if len(ends) != 1 or directory_shift(ends[0]) >= 0:
                continue  # in so short a last slice not all of its records are
            before, start = -directory_shift(ends[0]), ends[0].directory_offset
        length, rest = divmod(before, first)
        tails = [sizes[path] for path in paths[first:]]
        longer = tails[-1] > length or any(sizes.get(path, 0) > length for path in paths[:first])
        if rest or longer or any(size != length for size in tails[:-1]):
            return None
        files = [(path, length) for path in paths[:first]] + list(zip(paths[first:], tails, strict=True))
        parts = lay_out(files, {path for path, size in files if sizes.get(path) != size}, names)
        return Slices(parts, min(start // length, len(paths) - 1))
    return None


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
