"""Entries that share bytes, and names that occur twice."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.archive.conflicts import find_conflicts
from postmill.ingest.zipformat.directory_records import SCHEMA
from postmill.ingest.zipformat.signatures import NOWHERE
from postmill.shards.formats.reasons import Reason

Row = tuple[str, int, int, bool]  # name, offset, compressed size, sound


def tables(rows: list[Row], size: int) -> list[pa.RecordBatch]:
    """Directory batches of `size` rows."""
    entries = [
        dict(
            index=number,
            name=name,
            raw_name=name.encode(),
            offset=offset,
            compressed_size=packed,
            size=packed,
            crc32=0,
            method=0,
            flags=0,
            name_length=len(name.encode()),
            is_dir=False,
            fault=None if sound else str(Reason.ENCRYPTED),
            detail=None if sound else "locked",
        )
        for number, (name, offset, packed, sound) in enumerate(rows)
    ]
    dictionary = pa.array([str(reason) for reason in Reason])
    batches = []
    for start in range(0, len(entries), size):
        part = entries[start : start + size]
        columns = {name: [entry[name] for entry in part] for name in SCHEMA.names}
        codes = pa.compute.index_in(pa.array(columns["fault"], pa.string()), dictionary).cast(pa.int8())
        arrays = [
            pa.DictionaryArray.from_arrays(codes, dictionary) if field.name == "fault" else pa.array(values, field.type)
            for field, values in zip(SCHEMA, columns.values(), strict=True)
        ]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=SCHEMA))
    return batches


def faults(rows: list[Row], size: int = 4) -> list[Reason | None]:
    batches = tables(rows, size)
    conflicts = find_conflicts(batches, lambda: batches)
    marked = pa.Table.from_batches(map(conflicts.mark, batches), SCHEMA).to_pylist()
    assert all((row["fault"] is None) == (row["detail"] is None) for row in marked)
    return [row["fault"] if row["fault"] is None else Reason(row["fault"]) for row in marked]


names = st.sampled_from(["a", "b", "ab", "c" * 9, "é"])
row_lists = st.lists(st.tuples(names, st.integers(0, 400), st.integers(0, 120), st.booleans()), max_size=12)


@given(rows=row_lists, size=st.integers(1, 13))
def test_overlaps_and_duplicates_are_those_of_all_pairs(rows: list[Row], size: int) -> None:
    spans = [(offset, offset + 30 + len(name.encode()) + packed) for name, offset, packed, _ in rows]
    expected: list[Reason | None] = []
    for number, (name, _, _, sound) in enumerate(rows):
        begin, end = spans[number]
        shares = any(
            other != number and rows[other][3] and spans[other][0] < end and begin < spans[other][1]
            for other in range(len(rows))
        )
        again = any(rows[later][0] == name for later in range(number + 1, len(rows)))
        mine = Reason.OVERLAP if shares else Reason.DUPLICATE_NAME if again else None
        expected.append(mine if sound else Reason.ENCRYPTED)
    assert faults(rows, size) == expected


@given(rows=row_lists, size=st.integers(1, 13))
def test_places_are_sorted_and_order_is_told(rows: list[Row], size: int) -> None:
    batches = tables(rows, size)
    conflicts = find_conflicts(batches, lambda: batches)
    assert conflicts.offsets.tolist() == sorted(offset for _, offset, _, sound in rows if sound)
    offsets = [offset for _, offset, _, _ in rows]
    assert conflicts.in_order == (offsets == sorted(offsets))


def test_one_entry_over_many() -> None:
    rows = [("big", 0, 1000, True), ("a", 100, 5, True), ("b", 500, 5, True), ("c", 2000, 5, True)]
    assert faults(rows) == [Reason.OVERLAP] * 3 + [None]


def test_neighbours_may_touch() -> None:
    assert faults([("a", 0, 10, True), ("b", 41, 0, True), ("c", 72, 9, True)]) == [None] * 3


def test_an_entry_without_a_place_overlaps_nothing_and_is_in_no_ones_order() -> None:
    batches = tables([("a", 0, 10, True), ("b", NOWHERE, 5, False), ("c", 100, 5, True)], 2)
    conflicts = find_conflicts(batches, lambda: batches)
    assert conflicts.in_order
    assert conflicts.first() is None
    assert conflicts.offsets.tolist() == [0, 100]


def test_nothing_at_all() -> None:
    conflicts = find_conflicts([], list)
    assert (conflicts.in_order, conflicts.first(), len(conflicts.offsets)) == (True, None, 0)
