"""Where entries end, which overlap, and in which window each lies: arithmetic on whole arrays, no names needed.

Where an entry ends, and its window, follow from places alone (:mod:`.places`) and never from the length of a part,
which may not be known yet: an entry behind which the next one begins amid a later part reaches into that part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from postmill.ingest.zipformat.signatures import LOCAL_HEADER, MOST_AFTER_NAME
from postmill.shards.formats.places import offset_of, part_of, place

Int64s = npt.NDArray[np.int64]
"""Offsets, places or lengths in bytes, one for each entry."""

_CHUNK_ENTRIES = 1 << 20  # entries looked at together, so that temporary arrays stay small


@dataclass(frozen=True)
class Placed:
    """Where the n entries of one archive lie, in the order they were given.

    Attributes:
        start: Shape (n,). Place of the local header.
        end: Shape (n,). Place at which the next record begins, or as far as the entry can reach; it may lie behind the
            end of a part where the entry is the last on it.
        window: Shape (n,), int32. Number of the entry's window, from 0, ascending with its place.
        overlaps: Shape (n,). True where header, name and data reach into another entry or the directory.
        needs: Shape (parts,). How many bytes each part has at least, for its entries to be on it.
        last: Shape (parts,). Where on each part the last entry begins, byte; -1 where none does.
    """

    start: Int64s
    end: Int64s
    window: npt.NDArray[np.int32]
    overlaps: npt.NDArray[np.bool_]
    needs: Int64s
    last: Int64s


class _Reach(NamedTuple):
    """How far entries reach: the end, the place of the last byte that is sure, and bytes needed of the first part."""

    end: Int64s
    last: Int64s
    needs: Int64s


def assign(
    offset: Int64s,
    name_length: npt.NDArray[np.integer[Any]],
    compressed_size: Int64s,
    directory: int,
    parts: Sequence[tuple[int, int]],
    window_bytes: int,
    holes: Sequence[tuple[int, int]] = (),
) -> Placed:
    """Assign the entries of an archive to windows.

    An entry belongs to the part, and the window, in which its last byte lies. A part is cut into windows of
    ``window_bytes``, the last of which may be shorter, so that no window depends on what lies in another, nor on what
    is not there yet.

    Args:
        offset: Shape (n,). Of each local header in the address space, bytes.
        name_length: Shape (n,), of any integer type. Of the raw names, bytes.
        compressed_size: Shape (n,). As the directory states, bytes.
        directory: Offset of the central directory.
        parts: Start and size in bytes of each part, ascending.
        window_bytes: How long a window may be.
        holes: Start and end of what is missing for good, ascending; no entry is said to reach into it. Around them the
            sizes of parts are believed.
    """
    order = np.argsort(offset, kind="stable")
    count = len(order)
    starts, end = np.empty(count, np.int64), np.empty(count, np.int64)
    window, overlaps = np.empty(count, np.int32), np.empty(count, np.bool_)
    needs, last = np.zeros(len(parts), np.int64), np.full(len(parts), -1, np.int64)
    part_starts = np.array([start for start, _ in parts], dtype=np.int64)
    reached = 0  # by the entries of the chunks before
    last_cut, number = np.int64(-1), -1  # of the last entry of the chunks before
    for first in range(0, count, _CHUNK_ENTRIES):
        rows = order[first : first + _CHUNK_ENTRIES]
        start = offset[rows]
        length = LOCAL_HEADER.size + name_length[rows] + compressed_size[rows]
        following = np.append(
            start[1:], offset[order[first + _CHUNK_ENTRIES]] if first + _CHUNK_ENTRIES < count else directory
        )
        least_end = start + length
        before = np.maximum.accumulate(np.append(reached, least_end[:-1]))
        reached = max(before[-1], least_end[-1])
        overlaps[rows] = (before > start) | (least_end > following)
        begin, behind = _places(part_starts, start), _places(part_starts, following)
        reach = _reach(begin, behind, length)
        if len(holes):
            reach = _before_holes(reach, begin, start, least_end, following, part_starts, holes)
        cut = place(part_of(reach.last), offset_of(reach.last) // window_bytes)
        cut = np.maximum.accumulate(np.append(last_cut, cut))
        numbers = number + np.cumsum(np.diff(cut) > 0)
        last_cut, number = cut[-1], int(numbers[-1])
        starts[rows], end[rows], window[rows] = begin, reach.end, numbers
        np.maximum.at(needs, part_of(begin), reach.needs)
        np.maximum.at(last, part_of(begin), offset_of(begin))
    return Placed(starts, end, window, overlaps, needs, last)


def _places(part_starts: Int64s, offset: Int64s) -> Int64s:
    part = np.searchsorted(part_starts, offset, side="right") - 1
    return place(part, offset - part_starts[part])


def _reach(begin: Int64s, following: Int64s, length: Int64s) -> _Reach:
    """Return how far entries reach that begin at the places ``begin``, before the records at ``following``.

    Args:
        begin: Shape (n,). Places.
        following: Shape (n,). Places of what comes next.
        length: Shape (n,). The least bytes of each entry: header, name and data.
    """
    part, next_part = part_of(begin), part_of(following)
    same, crosses = part == next_part, offset_of(following) > 0
    alone = begin + length + MOST_AFTER_NAME
    # What comes next begins a part: the entry ends with the part before that, wherever that is.
    whole = np.where(next_part - 1 == part, alone, following)
    end = np.where(same, np.minimum(following, alone), np.where(crosses, following, whole))
    sure = np.where(next_part - 1 == part, begin + length, place(next_part - 1, np.zeros_like(part)) + 1) - 1
    last = np.where(same | crosses, np.maximum(end - 1, begin), sure)
    inside = same | (~crosses & (next_part - 1 == part))
    return _Reach(end, last, offset_of(begin) + np.where(inside, length, 1))


def _before_holes(
    reach: _Reach,
    begin: Int64s,
    start: Int64s,
    least_end: Int64s,
    following: Int64s,
    part_starts: Int64s,
    holes: Sequence[tuple[int, int]],
) -> _Reach:
    """Return ``reach``, where a later part comes next as the sizes of the parts have it, and never into a hole."""
    hole_starts, hole_ends = np.array(holes, dtype=np.int64).T
    hole_starts = np.append(hole_starts, np.iinfo(np.int64).max)
    stop = np.minimum(following, least_end + MOST_AFTER_NAME)
    stop = np.minimum(stop, np.maximum(hole_starts[np.searchsorted(hole_ends, start, side="right")], start))
    last = _places(part_starts, np.maximum(stop - 1, start))
    later = part_of(begin) < part_of(_places(part_starts, following))
    return reach._replace(end=np.where(later, last + 1, reach.end), last=np.where(later, last, reach.last))
