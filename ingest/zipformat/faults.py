"""What is wrong with entries: the exception for one of them, and the columns for a batch of the directory.

A fault is a :class:`.reasons.Reason` with a detail; of several that one entry has, the first that was found stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.ingest.zipformat.unaligned import AnyArray
from postmill.shards.formats.reasons import Reason

_REASONS = tuple(Reason)


class EntryFault(Exception):
    """One entry cannot be taken; all others are left alone.

    Args:
        reason: One of the closed list.
        detail: Both sides of a contradiction, numbers, offsets: what a reader needs to see it.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class Faults:
    """What is wrong with each row of a batch: at most one reason, with a detail."""

    def __init__(self, count: int) -> None:
        self._codes = np.full(count, -1, dtype=np.int8)
        self._details: dict[int, str] = {}

    def put(self, row: int, reason: Reason, detail: str) -> None:
        """Give ``reason`` to ``row`` if it has none yet."""
        if self._codes[row] < 0:
            self._codes[row] = _REASONS.index(reason)
            self._details[row] = detail

    def mark(self, rows: AnyArray, reason: Reason, detail: Callable[[int], str]) -> None:
        """Give ``reason`` to ``rows`` (a mask) that have none yet; ``detail`` is asked row by row."""
        if not rows.any():
            return
        fresh = np.flatnonzero(rows & (self._codes < 0))
        self._codes[fresh] = _REASONS.index(reason)
        for row in fresh.tolist():
            self._details[row] = detail(row)

    def columns(self) -> tuple[pa.DictionaryArray, pa.Array]:
        """Return the columns ``fault`` and ``detail``."""
        indices = pa.array(self._codes, mask=self._codes < 0)
        details = pa.nulls(len(self._codes), pa.string())
        if self._details:
            details = pa.array([self._details.get(row) for row in range(len(self._codes))], pa.string())
        return pa.DictionaryArray.from_arrays(indices, pa.array([str(reason) for reason in _REASONS])), details


def with_faults(batch: pa.RecordBatch, faults: Mapping[int, tuple[Reason, str]]) -> pa.RecordBatch:
    """Return ``batch`` (of :data:`.directory_records.SCHEMA`) with ``faults`` in those rows that have none yet."""
    if not faults:
        return batch
    dictionary = batch["fault"].dictionary
    reasons, details = batch["fault"].to_pylist(), batch["detail"].to_pylist()
    for row, (reason, detail) in faults.items():
        if reasons[row] is None:
            reasons[row], details[row] = str(reason), detail
    codes = pc.index_in(pa.array(reasons, pa.string()), dictionary).cast(pa.int8())
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns["fault"] = pa.DictionaryArray.from_arrays(codes, dictionary)
    columns["detail"] = pa.array(details, pa.string())
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)
