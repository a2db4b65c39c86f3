"""What no record shows alone: entries that share bytes, and names that occur twice.

Takes one pass over the directory, and a second only where names may be equal. Memory is about 80 bytes an entry
while it runs, and 8 for each entry and 20 for each conflict afterwards, whatever the end record claims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from postmill.ingest.zipformat.faults import with_faults
from postmill.ingest.zipformat.signatures import LOCAL_HEADER, NOWHERE
from postmill.ingest.zipformat.unaligned import AnyArray
from postmill.shards.formats.reasons import Reason

# Reason and wording by kind; where one entry has several, the first of these counts.
_KINDS = (
    (Reason.OVERLAP, "an earlier entry reaches to {}"),
    (Reason.OVERLAP, "the next entry begins at {}, within this one"),
    (Reason.DUPLICATE_NAME, "entry {}, later in the directory, has this name"),
)


@dataclass(frozen=True)
class Conflicts:
    """Offsets of all entries, and the m entries that are in conflict with others.

    Attributes:
        offsets: Of all local headers in bytes, ascending; without those of entries that have a fault themselves.
        in_order: Whether the directory lists all entries that lie in a part in this order.
        index: Shape (m,). Positions in the directory, ascending.
        kind: Shape (m,). What is wrong, and
        other: shape (m,), with what: an offset or an index.
    """

    offsets: AnyArray
    in_order: bool
    index: AnyArray
    kind: AnyArray
    other: AnyArray

    def first(self) -> str | None:
        """Say what the first conflict is."""
        return f"entry {self.index[0]}: {self._reason(0)}: {self._detail(0)}" if len(self.index) else None

    def mark(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Put the conflicts into ``batch`` (of :data:`.directory_records.SCHEMA`), in rows that have no fault yet."""
        first = int(batch["index"][0].as_py())
        low, high = np.searchsorted(self.index, [first, first + batch.num_rows]).tolist()
        rows = range(low, high)
        return with_faults(
            batch, {int(self.index[row]) - first: (self._reason(row), self._detail(row)) for row in rows}
        )

    def _reason(self, row: int) -> Reason:
        return _KINDS[int(self.kind[row])][0]

    def _detail(self, row: int) -> str:
        return _KINDS[int(self.kind[row])][1].format(int(self.other[row]))


def find_conflicts(batches: Iterable[pa.RecordBatch], again: Callable[[], Iterable[pa.RecordBatch]]) -> Conflicts:
    """Look for overlapping entries and duplicate names.

    Both sides of an overlap are at fault. Of equal names the last in the directory keeps it, whatever else is wrong
    with it: to add an entry again is to replace it. Names that differ in case or Unicode form are different names.

    Args:
        batches: The directory (of :data:`.directory_records.SCHEMA`).
        again: Starts another pass over it.
    """
    spans: list[AnyArray] = [np.empty((3, 0), np.uint64)]  # start, end and index of each entry without a fault
    hashes: list[AnyArray] = [np.empty(0, np.int64)]
    in_order, farthest = True, np.uint64(0)
    for batch in batches:
        offset = batch["offset"].to_numpy()
        reach = batch["name_length"].to_numpy().astype(np.uint64) + batch["compressed_size"].to_numpy()
        fine = batch["fault"].is_null().to_numpy(zero_copy_only=False)
        rows = np.stack([offset, offset + reach + np.uint64(LOCAL_HEADER.size), batch["index"].to_numpy()])
        spans.append(rows[:, fine])
        placed = np.append(farthest, offset[offset != NOWHERE])
        in_order = in_order and bool((placed[1:] >= placed[:-1]).all())
        farthest = placed.max()
        hashes.append(np.fromiter(map(hash, batch["name"].to_pylist()), np.int64, batch.num_rows))
    start, end, index = np.concatenate(spans, axis=1)
    spans.clear()
    if not in_order:
        order = np.argsort(start, kind="stable")
        start, end, index = start[order], end[order], index[order]
    conflicts = [*_overlaps(start, end, index), _duplicates(again, np.concatenate(hashes))]
    kinds = np.repeat(np.arange(len(conflicts), dtype=np.int8), [len(rows) for rows, _ in conflicts])
    rows, first = np.unique(np.concatenate([rows for rows, _ in conflicts]), return_index=True)
    return Conflicts(start, in_order, rows, kinds[first], np.concatenate([other for _, other in conflicts])[first])


def _overlaps(
    start: AnyArray, end: AnyArray, index: AnyArray
) -> tuple[tuple[AnyArray, AnyArray], tuple[AnyArray, AnyArray]]:
    """Compare each entry, in order of place, with the farthest end before it and with the next beginning."""
    reached = np.maximum.accumulate(end)[:-1]
    inside = reached > start[1:]
    over = end[:-1] > start[1:]
    return (index[1:][inside], reached[inside]), (index[:-1][over], start[1:][over])


def _duplicates(again: Callable[[], Iterable[pa.RecordBatch]], hashes: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Find equal hashes, then compare the names themselves."""
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    places: dict[str, list[int]] = {}
    for batch in again() if len(repeated) else ():
        index = int(batch["index"][0].as_py())
        suspects = np.isin(hashes[index : index + batch.num_rows], repeated)
        for row in np.flatnonzero(suspects).tolist():
            places.setdefault(batch["name"][row].as_py(), []).append(index + row)
    earlier = [index for indices in places.values() for index in indices[:-1]]
    owners = [indices[-1] for indices in places.values() for _ in indices[:-1]]
    return np.array(earlier, np.uint64), np.array(owners, np.uint64)
