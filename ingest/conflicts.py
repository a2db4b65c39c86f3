"""What no record shows alone: entries that share bytes, and names that occur twice.

Takes one pass over the directory, and a second only where names may be equal. Memory is about 80 bytes an entry
while it runs, and 8 for each entry and 20 for each conflict afterwards, whatever the end record claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.entry import LOCAL_HEADER
from ingest.fields import NOWHERE, with_faults
from ingest.reasons import Reason

Array = npt.NDArray[Any]

# Reason and wording by kind; where one entry has several, the first of these counts.
_KINDS = (
    (Reason.OVERLAP, "an earlier entry reaches to {}"),
    (Reason.OVERLAP, "the next entry begins at {}, within this one"),
    (Reason.DUPLICATE_NAME, "entry {} of the directory has this name"),
)


@dataclass(frozen=True)
class Conflicts:
    """Places of all entries, and the m entries that are in conflict with others.

    Attributes:
        offsets: Of all local headers in bytes, ascending; of entries with a fault of their own none.
        in_order: Whether the directory lists all entries that have a place so.
        index: Shape (m,). Positions in the directory, ascending.
        kind: Shape (m,). What is wrong, and
        other: shape (m,), with what: an offset or an index.
    """

    offsets: Array
    in_order: bool
    index: Array
    kind: Array
    other: Array

    def first(self) -> str | None:
        """Say what the first conflict is."""
        return f"entry {self.index[0]}: {self._reason(0)}: {self._detail(0)}" if len(self.index) else None

    def mark(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Put the conflicts into ``batch`` (of :data:`ingest.records.SCHEMA`), in rows that have no fault yet."""
        first = int(batch["index"][0].as_py())
        low, high = np.searchsorted(self.index, [first, first + batch.num_rows]).tolist()
        rows = range(low, high)
        return with_faults(batch, {int(self.index[at]) - first: (self._reason(at), self._detail(at)) for at in rows})

    def _reason(self, at: int) -> Reason:
        return _KINDS[int(self.kind[at])][0]

    def _detail(self, at: int) -> str:
        return _KINDS[int(self.kind[at])][1].format(int(self.other[at]))


def find_conflicts(batches: Iterable[pa.RecordBatch], again: Callable[[], Iterable[pa.RecordBatch]]) -> Conflicts:
    """Look for overlapping entries and duplicate names.

    Both sides of an overlap are at fault. Of equal names the first in the directory keeps it, whatever else is
    wrong with it; names that differ in case or Unicode form are different names.

    Args:
        batches: The directory (of :data:`ingest.records.SCHEMA`).
        again: Starts another pass over it.
    """
    places: list[Array] = [np.empty((3, 0), np.uint64)]
    hashes: list[Array] = [np.empty(0, np.int64)]
    in_order, farthest = True, np.uint64(0)
    for batch in batches:
        offset = batch["offset"].to_numpy()
        reach = batch["name_length"].to_numpy().astype(np.uint64) + batch["compressed_size"].to_numpy()
        fine = batch["fault"].is_null().to_numpy(zero_copy_only=False)
        rows = np.stack([offset, offset + reach + np.uint64(LOCAL_HEADER), batch["index"].to_numpy()])
        places.append(rows[:, fine])
        placed = np.append(farthest, offset[offset != NOWHERE])
        in_order = in_order and bool((placed[1:] >= placed[:-1]).all())
        farthest = placed.max()
        hashes.append(np.fromiter(map(hash, batch["name"].to_pylist()), np.int64, batch.num_rows))
    start, end, index = np.concatenate(places, axis=1)
    places.clear()
    if not in_order:
        order = np.argsort(start, kind="stable")
        start, end, index = start[order], end[order], index[order]
    found = [*_overlaps(start, end, index), _duplicates(again, np.concatenate(hashes))]
    kinds = np.repeat(np.arange(len(found), dtype=np.int8), [len(rows) for rows, _ in found])
    rows, first = np.unique(np.concatenate([rows for rows, _ in found]), return_index=True)
    return Conflicts(start, in_order, rows, kinds[first], np.concatenate([other for _, other in found])[first])


def _overlaps(start: Array, end: Array, index: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Compare each entry, in order of place, with the farthest end before it and with the next beginning."""
    reached = np.maximum.accumulate(end)[:-1]
    inside = reached > start[1:]
    over = end[:-1] > start[1:]
    return (index[1:][inside], reached[inside]), (index[:-1][over], start[1:][over])


def _duplicates(again: Callable[[], Iterable[pa.RecordBatch]], hashes: Array) -> tuple[Array, Array]:
    """Find equal hashes, then compare the names themselves."""
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    later: list[int] = []
    owners: list[int] = []
    first: dict[str, int] = {}
    for batch in again() if len(repeated) else ():
        index = int(batch["index"][0].as_py())
        suspects = np.isin(hashes[index : index + batch.num_rows], repeated)
        for row in np.flatnonzero(suspects).tolist():
            owner = first.setdefault(batch["name"][row].as_py(), index + row)
            if owner != index + row:
                later.append(index + row)
                owners.append(owner)
    return np.array(later, np.uint64), np.array(owners, np.uint64)
