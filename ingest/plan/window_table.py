"""The table of windows, gathered from the planned entries as they pass on their way to disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from postmill.shards.formats import plan
from postmill.shards.formats.places import part_of
from postmill.shards.formats.plan import IMAGES


@dataclass
class _Extent:
    """What the entries so far tell of one window."""

    start: int
    end: int
    last_offset: int  # of its last entry
    entries: int
    spools: bool


class WindowTable:
    """The windows of the batches given to :meth:`add`.

    Args:
        shards: The post shard of each picture window that has one.
    """

    def __init__(self, shards: Mapping[int, int]) -> None:
        self._shards = shards
        self._extents: dict[tuple[int, int], _Extent] = {}  # by archive and window

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Take in planned entries in order of archive, window and offset; a window may go on in the next batch."""
        archive, window, offset, end, shard = (
            batch[name].to_numpy() for name in ("archive", "window", "offset", "end", "shard")
        )
        changes = np.flatnonzero((np.diff(archive) != 0) | (np.diff(window) != 0)) + 1
        for rows in map(slice, np.append(0, changes), np.append(changes, len(window))):
            if rows.start == rows.stop:
                continue
            key = int(archive[rows.start]), int(window[rows.start])
            packed = self._shards.get(key[1], -1) if key[0] == IMAGES else -1  # the shard that needs no spool
            distinct = 1 + int(np.count_nonzero(np.diff(offset[rows])))  # an entry that two posts list is read once
            spools = bool((shard[rows] != packed).any())
            first, last, stop = int(offset[rows.start]), int(offset[rows][-1]), int(end[rows].max())
            extent = self._extents.get(key)
            if extent is None:
                self._extents[key] = _Extent(first, stop, last, distinct, spools)
                continue
            extent.entries += distinct - (first == extent.last_offset)
            extent.end, extent.last_offset, extent.spools = max(extent.end, stop), last, extent.spools or spools

    def table(self) -> pa.Table:
        """Return the windows (schema :data:`.plan.WINDOWS`) with the first and last part that each needs."""
        rows = [
            {
                "archive": archive,
                "window": window,
                "start": extent.start,
                "end": extent.end,
                "first_part": part_of(extent.start),
                "last_part": part_of(extent.end - 1),
                "entries": extent.entries,
                "shard": self._shards.get(window) if archive == IMAGES else None,
                "spools": extent.spools,
            }
            for (archive, window), extent in self._extents.items()
        ]
        return pa.Table.from_pylist(rows, schema=plan.WINDOWS)
