"""Where entries end, which overlap, and in which window each lies: arithmetic on whole arrays, no names needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
"""Offsets or lengths in bytes, one for each entry."""

_LOCAL_HEADER = 30
# The largest local extra field and data descriptor that may follow the header and the data.
_MOST_EXTRA = 65_535 + 24
_CHUNK_ENTRIES = 1 << 20  # entries looked at together, so that temporary arrays stay small


@dataclass(frozen=True)
class Placed:
    """Where the n entries of one archive lie, in the order they were given.

    Attributes:
        end: Shape (n,). Offset at which the next record begins, or as far as the entry can reach.
        window: Shape (n,), int32. Number of the entry's window, ascending with its offset.
        overlaps: Shape (n,). True where header, name and data reach into another entry or the directory.
    """

    end: Int64s
    window: npt.NDArray[np.int32]
    overlaps: npt.NDArray[np.bool_]


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

    An entry belongs to the part, and the window, in which its last byte lies. A part is cut into equal windows of at
    most ``window_bytes``, so that no window depends on what lies in another.

    Args:
        offset: Shape (n,). Of each local header in the address space, bytes.
        name_length: Shape (n,), of any integer type. Of the raw names, bytes.
        compressed_size: Shape (n,). As the directory states, bytes.
        directory: Offset of the central directory.
        parts: Start and size in bytes of each part, ascending.
        window_bytes: How long a window may be.
        holes: Start and end of what is missing, ascending; no entry is said to reach into it.
    """
    order = np.argsort(offset, kind="stable")
    count = len(order)
    end, window, overlaps = np.empty(count, np.int64), np.empty(count, np.int32), np.empty(count, np.bool_)
    hole_starts, hole_ends = np.array(holes, dtype=np.int64).reshape(-1, 2).T
    hole_starts = np.append(hole_starts, np.iinfo(np.int64).max)
    part_starts = np.array([start for start, _ in parts], dtype=np.int64)
    part_sizes = np.array([size for _, size in parts], dtype=np.int64)
    cuts = np.maximum(-(-part_sizes // window_bytes), 1)  # windows of each part
    first_window = np.cumsum(np.append(0, cuts[:-1]))
    reached = 0  # by the entries of the chunks before
    for first in range(0, count, _CHUNK_ENTRIES):
        rows = order[first : first + _CHUNK_ENTRIES]
        start = offset[rows]
        least_end = start + _LOCAL_HEADER + name_length[rows] + compressed_size[rows]
        following = np.append(
            start[1:], offset[order[first + _CHUNK_ENTRIES]] if first + _CHUNK_ENTRIES < count else directory
        )
        before = np.maximum.accumulate(np.append(reached, least_end[:-1]))
        reached = max(before[-1], least_end[-1])
        stop = np.minimum(following, least_end + _MOST_EXTRA)
        stop = np.minimum(stop, np.maximum(hole_starts[np.searchsorted(hole_ends, start, side="right")], start))
        last = np.maximum(stop - 1, start)
        part = np.searchsorted(part_starts, last, side="right") - 1
        cut = (last - part_starts[part]) * cuts[part] // np.maximum(part_sizes[part], 1)
        end[rows], window[rows] = stop, first_window[part] + np.minimum(cut, cuts[part] - 1)
        overlaps[rows] = (before > start) | (least_end > following)
    return Placed(end, window, overlaps)
