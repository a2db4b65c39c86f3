"""What is found of many entries at once is what is found of each."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.local_header import locate
from postmill.ingest.zipformat.local_headers import Expected, ExpectedEntry, locate_all, locate_one
from postmill.shards.formats import plan

BEFORE = 1_000  # bytes of the archive before the first entry


def window(entries: list[tuple[bytes, bytes, bytes]]) -> tuple[bytearray, pa.Table]:
    """Local headers and data of (name, extra, data), and their rows of the plan, in chunks as row groups are."""
    buffer, rows = bytearray(), []
    for name, extra, data in entries:
        start = BEFORE + len(buffer)
        sizes = zlib.crc32(data), len(data), len(data)
        buffer += struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, *sizes, len(name), len(extra))
        buffer += name + extra + data
        row = dict(offset=start, end=BEFORE + len(buffer), name=name, method=0, flags=0)
        rows.append(row | dict(zip(("crc32", "compressed_size", "size"), sizes, strict=True)))
    table = pa.Table.from_pylist(rows, pa.schema([plan.ENTRIES.field(name) for name in rows[0]]))
    return buffer, pa.concat_tables([table.slice(0, 1), table.slice(1)])


def one_by_one(buffer: memoryview, planned: pa.Table) -> list[tuple[int, int] | str]:
    """Where each entry's data lie by :func:`.local_header.locate`, or the reason why not."""
    outcomes: list[tuple[int, int] | str] = []
    for row in planned.to_pylist():
        position, limit = row.pop("offset") - BEFORE, row.pop("end") - BEFORE
        try:
            outcomes.append(locate(buffer, position, limit, ExpectedEntry(raw_name=row.pop("name"), **row)))
        except EntryFault as fault:
            outcomes.append(str(fault.reason))
    return outcomes


ENTRIES = st.lists(
    st.tuples(st.binary(max_size=20), st.sampled_from([b"", b"UT\x05\x00\x03abcd"]), st.binary(max_size=40)),
    min_size=1,
    max_size=8,
)


@given(entries=ENTRIES)
def test_whole_headers_are_sure(entries: list[tuple[bytes, bytes, bytes]]) -> None:
    buffer, planned = window(entries)
    starts, ends, sure = locate_all(memoryview(buffer), BEFORE, Expected.of(planned), slice(0, len(entries)))
    assert sure.all()
    data = [bytes(buffer[start:end]) for start, end in zip(starts, ends, strict=True)]
    assert data == [outcome[2] for outcome in entries]


@given(
    entries=ENTRIES,
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 60),
)
def test_what_is_sure_is_right_and_the_rest_is_told(
    entries: list[tuple[bytes, bytes, bytes]], changes: list[tuple[int, int]], cut: int
) -> None:
    buffer, planned = window(entries)
    for at, byte in changes:
        buffer[at % len(buffer)] = byte
    end = np.minimum(planned["end"].to_numpy(), BEFORE + len(buffer) - cut)
    planned = planned.set_column(1, "end", pa.chunked_array([end]))
    view, stated = memoryview(buffer)[: max(len(buffer) - cut, 0)], Expected.of(planned)
    alone = one_by_one(view, planned)
    starts, ends, sure = locate_all(view, BEFORE, stated, slice(0, len(entries)))
    for row, outcome in enumerate(alone):
        if sure[row]:
            assert outcome == (starts[row], ends[row])
        elif isinstance(outcome, str):
            with pytest.raises(EntryFault) as caught:
                locate_one(view, BEFORE, stated, row)
            assert caught.value.reason == outcome
        else:
            assert locate_one(view, BEFORE, stated, row) == outcome


def test_a_descriptor_is_left_to_the_other_way() -> None:
    data = b"some picture"
    sizes = zlib.crc32(data), len(data), len(data)
    buffer = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 8, 0, 0, 0, 0, 0, 0, 1, 0) + b"a" + data
    buffer += struct.pack("<4s3I", b"PK\x07\x08", *sizes)
    row = dict(offset=BEFORE, end=BEFORE + len(buffer), name=b"a", method=0, flags=8)
    row |= dict(zip(("crc32", "compressed_size", "size"), sizes, strict=True))
    stated = Expected.of(pa.Table.from_pylist([row], pa.schema([plan.ENTRIES.field(name) for name in row])))
    assert not locate_all(memoryview(buffer), BEFORE, stated, slice(0, 1))[2].any()
    assert locate_one(memoryview(buffer), BEFORE, stated, 0) == (31, 31 + len(data))


@given(
    sizes=st.lists(st.integers(1, 50), max_size=20),
    overlap=st.lists(st.integers(0, 30), min_size=20, max_size=20),
    block=st.integers(1, 120),
)
@example(sizes=[1, 1, 1, 1], overlap=[0, 3, 0, 0], block=2)
def test_batches_span_a_block_at_most(sizes: list[int], overlap: list[int], block: int) -> None:
    offset = np.cumsum([0, *sizes])[:-1]
    end = offset + np.array(sizes, np.int64) + np.array(overlap[: len(sizes)], np.int64)
    nothing = np.zeros(len(sizes), np.int64)
    stated = Expected(offset, end, *[nothing] * 6, np.zeros(len(sizes) + 1, np.int64))
    batches = list(stated.cut(block))
    assert [row for rows in batches for row in range(rows.start, rows.stop)] == list(range(len(sizes)))
    for rows in batches:
        assert rows.stop == rows.start + 1 or end[rows].max() <= offset[rows.start] + block
        if rows.stop < len(sizes):
            assert end[rows.start : rows.stop + 1].max() > offset[rows.start] + block
