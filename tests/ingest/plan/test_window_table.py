"""Windows gathered from batches are those that one look at all the rows gives."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.plan.window_table import WindowTable
from postmill.shards.formats import plan
from postmill.shards.formats.places import part_of, place
from postmill.shards.formats.plan import IMAGES, METADATA

SHARDS = {0: 0, 2: 1}  # picture windows with a post shard of their own

Rows = list[tuple[int, int, int, int]]  # archive, window, entry of the window, post shard


def planned(rows: Rows) -> pa.Table:
    archive, window, entry, shard = (np.array(column) for column in zip(*sorted(rows), strict=True))
    offset = place((window * 700 + entry * 50) // 1000, (window * 700 + entry * 50) % 1000)
    columns = {"archive": archive, "window": window, "offset": offset, "end": offset + 50, "shard": shard}
    return pa.table({name: pa.array(values, plan.ENTRIES.field(name).type) for name, values in columns.items()})


def expected(table: pa.Table) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    windows = []
    for archive, window in sorted({(row["archive"], row["window"]) for row in rows}):
        inside = [row for row in rows if (row["archive"], row["window"]) == (archive, window)]
        shard = SHARDS.get(window) if archive == IMAGES else None
        start, end = min(row["offset"] for row in inside), max(row["end"] for row in inside)
        windows.append(
            {
                "archive": archive,
                "window": window,
                "start": start,
                "end": end,
                "first_part": part_of(start),
                "last_part": part_of(end - 1),
                "entries": len({row["offset"] for row in inside}),
                "shard": shard,
                "spools": any(row["shard"] != shard for row in inside),
            }
        )
    return windows


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([METADATA, IMAGES]), st.integers(0, 3), st.integers(0, 13), st.integers(0, 3)),
        min_size=1,
        max_size=60,
    ),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_batches_cut_anywhere_give_the_same_windows(rows: Rows, cuts: list[int]) -> None:
    table = planned(rows)
    windows = WindowTable(SHARDS)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for start, stop in pairwise(edges):
        windows.add(table.slice(start, stop - start))
    assert windows.table().to_pylist() == expected(table)
