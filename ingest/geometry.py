"""Where entries end, which overlap, and in which window each lies: arithmetic on whole arrays, no names needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_LOCAL_HEADER = 30
# The largest local extra field and data descriptor that may follow the header and the data.
_SLACK = 65_535 + 24


@dataclass(frozen=True)
class Placed:
    """Geometry of the n entries of one archive, in the order they were given.

    Attributes:
        end: Shape (n,). Offset at which the next record begins, or as far as the entry can reach.
        window: Shape (n,). Number of the entry's window, ascending with its place.
        overlaps: Shape (n,). True where header, name and data reach into another entry or the directory.
    """

    end: Ints
    window: Ints
    overlaps: npt.NDArray[np.bool_]


def place(
    offset: Ints,
    name_length: Ints,
    compressed_size: Ints,
    directory: int,
    parts: Sequence[tuple[int, int]],
    window_bytes: int,
    holes: Sequence[tuple[int, int]] = (),
) -> Placed:
    """Place the entries of an archive.

    An entry belongs to the part, and the window, in which its last byte lies. A part is cut into equal windows of at
    most ``window_bytes``, so that no window depends on what lies in another.

    Args:
        offset: Shape (n,). Of each local header in the address space, bytes.
        name_length: Shape (n,). Of the raw names, bytes.
        compressed_size: Shape (n,). As the directory states, bytes.
        directory: Offset of the central directory.
        parts: Start and size in bytes of each part, ascending.
        window_bytes: How long a window may be.
        holes: Start and end of what is missing, ascending; no entry is said to reach into it.
    """
    order = np.argsort(offset, kind="stable")
    start = offset[order]
    least_end = start + (_LOCAL_HEADER + name_length[order] + compressed_size[order])
    following = np.append(start[1:], directory)
    reached = np.maximum.accumulate(np.append(0, least_end[:-1])) if len(start) else start
    end = np.minimum(following, least_end + _SLACK)
    if holes:
        begins, ends = np.array(holes, dtype=np.int64).T
        next_hole = np.append(begins, np.iinfo(np.int64).max)[np.searchsorted(ends, start, side="right")]
        end = np.minimum(end, np.maximum(next_hole, start))

    starts = np.array([part[0] for part in parts], dtype=np.int64)
    sizes = np.array([part[1] for part in parts], dtype=np.int64)
    cuts = np.maximum(-(-sizes // window_bytes), 1)
    last = np.maximum(end - 1, start)
    part = np.searchsorted(starts, last, side="right") - 1
    cut = np.minimum((last - starts[part]) * cuts[part] // np.maximum(sizes[part], 1), cuts[part] - 1)
    number = np.cumsum(np.append(0, cuts[:-1]))[part] + cut

    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Placed(end[back], number[back], ((reached > start) | (least_end > following))[back])
