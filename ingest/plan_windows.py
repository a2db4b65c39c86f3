"""The table of windows, gathered from the planned entries as they pass on their way to disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.space import AddressSpace
from shards import plan
from shards.plan import IMAGES


@dataclass
class _Seen:
    """What has been seen of one window."""

    start: int
    end: int
    last: int  # offset of its last entry
    entries: int
    spools: bool


class Windows:
    """The windows that the batches given to :meth:`add` tell of.

    Args:
        shards: The post shard of each picture window that has one.
    """

    def __init__(self, shards: Mapping[int, int]) -> None:
        self._shards = shards
        self._seen: dict[tuple[int, int], _Seen] = {}

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
            own = self._shards.get(key[1], -1) if key[0] == IMAGES else -1
            distinct = 1 + int(np.count_nonzero(np.diff(offset[rows])))  # an entry that two posts list is read once
            spools = bool((shard[rows] != own).any())
            last, most = int(offset[rows][-1]), int(end[rows].max())
            seen = self._seen.get(key)
            if seen is None:
                self._seen[key] = _Seen(int(offset[rows.start]), most, last, distinct, spools)
                continue
            seen.entries += distinct - (int(offset[rows.start]) == seen.last)
            seen.end, seen.last, seen.spools = max(seen.end, most), last, seen.spools or spools

    def table(self, spaces: Sequence[AddressSpace]) -> pa.Table:
        """Return the windows (schema :data:`shards.plan.WINDOWS`) with the first and last part that each needs."""
        rows = [
            {
                "archive": archive,
                "window": window,
                "start": seen.start,
                "end": seen.end,
                "first_part": spaces[archive].part_at(seen.start),
                "last_part": spaces[archive].part_at(seen.end - 1),
                "entries": seen.entries,
                "shard": self._shards.get(window) if archive == IMAGES else None,
                "spools": seen.spools,
            }
            for (archive, window), seen in self._seen.items()
        ]
        return pa.Table.from_pylist(rows, schema=plan.WINDOWS)
