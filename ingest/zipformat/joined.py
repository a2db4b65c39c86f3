"""Where the parts begin in a file into which they were put one behind another: `cat a.z01 a.z02 a.zip > whole.zip`.

The directory of such a file counts from the beginnings of the parts, which nothing marks. But entries follow each
other without a gap: where the last one of a part ends, the first one of the next begins, and the directory says how far
that is from the part's beginning. Each is proved by the local header that must be there, or the file is not taken.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from postmill.ingest.zipformat.entry_names import same_name
from postmill.ingest.zipformat.extra_fields import find_extras, zip64_values
from postmill.ingest.zipformat.faults import Faults
from postmill.ingest.zipformat.local_header import header_size
from postmill.ingest.zipformat.signatures import (
    DESCRIPTOR,
    DESCRIPTOR_SIGNATURE,
    DIRECTORY_RECORD,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    MOST_RECORD,
    ZIP64_DESCRIPTOR,
)
from postmill.ingest.zipformat.space import BLOCK, AddressSpace
from postmill.ingest.zipformat.unaligned import RECORD_DTYPE, gather_records, record_starts

# Bytes that may stand between the data of an entry and the next one: none, or one of the layouts of a descriptor.
_BETWEEN = (
    0,
    *(form.size + more for form in (DESCRIPTOR, ZIP64_DESCRIPTOR) for more in (0, len(DESCRIPTOR_SIGNATURE))),
)


class _Record(NamedTuple):
    """What the directory says of an entry: where on its part it begins, its name and its length, in bytes."""

    offset: int
    raw_name: bytes
    compressed_size: int


def joined_starts(space: AddressSpace, start: int, end: int, disks: int) -> tuple[int, ...] | None:
    """Return where each of the joined parts begins, or None where the entries do not show it.

    Reads the whole directory, and a local header or two of each part.

    Args:
        space: The file, whole or in slices.
        start: Where its directory begins.
        end: Where that ends.
        disks: How many parts the end record counts.

    Raises:
        PartError: It cannot be read.
    """
    first: dict[int, _Record] = {}
    last: dict[int, _Record] = {}
    if not _find_edges(space, start, end, first, last) or not first or max(first) >= disks:
        return None
    numbers = sorted(first)  # from 0 but for writers that count from 1
    if not _is_there(space, first[numbers[0]].offset, first[numbers[0]]):
        return None
    known = {numbers[0]: 0}
    for number, following in pairwise(numbers):
        behind = _behind(space, known[number] + last[number].offset, last[number])
        places = (behind + between for between in _BETWEEN)
        place = next((place for place in places if _is_there(space, place, first[following])), None)
        if place is None or place < first[following].offset:
            return None
        known[following] = place - first[following].offset
    known = dict.fromkeys(range(numbers[0]), 0) | known
    starts: list[int] = []
    for number in reversed(range(disks)):  # a part in which no entry begins has none to be sought from there
        starts.append(known.get(number, starts[-1] if starts else start))
    return tuple(reversed(starts))


def _find_edges(space: AddressSpace, start: int, end: int, first: dict[int, _Record], last: dict[int, _Record]) -> bool:
    """Fill in the first and the last entry that begin on each part; return whether all records could be read."""
    buffer = bytearray(BLOCK + MOST_RECORD)
    view = memoryview(buffer)
    position, rest = start, 0
    while position < end:
        take = min(BLOCK, end - position)
        space.readinto(position, view[rest : rest + take])
        position, filled = position + take, rest + take
        begins, used = record_starts(buffer, filled)
        if len(begins) == 0:
            return False
        records = gather_records(buffer, filled, RECORD_DTYPE, begins)
        extra = begins + DIRECTORY_RECORD.size + records["name_length"]
        zip64_starts, zip64_lengths, _ = find_extras(buffer, filled, extra, extra + records["extra_length"])
        faults = Faults(len(begins))
        _, compressed, offset, disk = zip64_values(buffer, filled, records, zip64_starts, zip64_lengths, faults)
        order = np.lexsort((offset, disk))
        turns = np.flatnonzero(np.diff(disk[order])) + 1
        for rows in np.split(order, turns):
            for row, kept, sign in ((int(rows[0]), first, 1), (int(rows[-1]), last, -1)):
                number, place = int(disk[row]), int(offset[row])
                if number not in kept or sign * place < sign * kept[number].offset:
                    named = int(begins[row]) + DIRECTORY_RECORD.size
                    name = bytes(buffer[named : named + int(records["name_length"][row])])
                    kept[number] = _Record(place, name, int(compressed[row]))
        rest = filled - used
        view[:rest] = bytes(view[used:filled])
    return rest == 0


def _is_there(space: AddressSpace, place: int, record: _Record) -> bool:
    """Tell whether the local header of ``record`` is at ``place``."""
    length = LOCAL_HEADER.size + len(record.raw_name)
    if place < 0 or place + length > space.size:
        return False
    content = space.read(place, length)
    return content.startswith(LOCAL_SIGNATURE) and same_name(content[LOCAL_HEADER.size :], record.raw_name)


def _behind(space: AddressSpace, place: int, record: _Record) -> int:
    """Return where the data of ``record`` end, whose local header is at ``place``; -1 where it is not."""
    if not _is_there(space, place, record):
        return -1 - max(_BETWEEN)
    return place + header_size(space.read(place, LOCAL_HEADER.size)) + record.compressed_size
