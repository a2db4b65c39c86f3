"""What entries take of an archive, with far gaps between them never read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.zipformat.forward import Forward
from postmill.ingest.zipformat.space import AddressSpace, PartError, lay_out
from postmill.ingest.zipformat.stretches import GAP, REMOTE_GAP, Stretches

CONTENT = bytes(range(250)) * 4


class Counting(AddressSpace):
    """An address space that counts how often each byte is read."""

    touched: np.ndarray

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self.touched[offset : offset + len(buffer)] += 1
        super().readinto(offset, buffer)


def counting(folder: Path, sizes: list[int]) -> Counting:
    files, start = [], 0
    for number, size in enumerate(sizes):
        path = folder / f"p{number}"
        path.write_bytes(CONTENT[start : start + size])
        files.append((str(path), size))
        start += size
    space = Counting(lay_out(files))
    space.touched = np.zeros(space.size, int)
    return space


@given(data=st.data(), gap=st.integers(0, 40), block=st.integers(1, 300))
def test_entries_come_whole_each_byte_is_read_once_and_no_far_gap(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, gap: int, block: int
) -> None:
    begin = np.array(sorted(data.draw(st.lists(st.integers(0, 990), min_size=1, max_size=30))), np.int64)
    lengths = [data.draw(st.integers(1, 60)) for _ in begin]
    end = np.minimum(begin + np.array(lengths), len(CONTENT))
    with counting(tmp_path_factory.mktemp("parts"), [300, 1, 699]) as space:
        stretches = Stretches(space, begin, end, gap)
        forward = Forward(stretches, stretches.size, block)
        where, until = stretches.closed_up(begin), stretches.closed_up(end)
        assert until.max() == stretches.size
        for at, stop, first, last in zip(where.tolist(), until.tolist(), begin.tolist(), end.tolist(), strict=True):
            assert bytes(forward.view(at, stop)) == CONTENT[first:last]
        wanted = np.zeros(len(CONTENT), bool)
        for first, last in zip(begin, end, strict=True):
            wanted[first:last] = True
        assert (space.touched[wanted] == 1).all()
        assert space.touched.max() == 1
        edges = np.flatnonzero(np.diff(np.concatenate([[True], wanted, [True]]).astype(int)))
        short = {at for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a <= gap for at in range(a, b)}
        assert set(np.flatnonzero(~wanted & (space.touched > 0)).tolist()) <= short


def test_a_window_without_gaps_is_one_stretch_as_it_lies(tmp_path: Path) -> None:
    begin = np.arange(100, 900, 50)
    with counting(tmp_path, [1000]) as space:
        stretches = Stretches(space, begin, begin + 50)
        assert (stretches.count, stretches.size) == (1, 800)
        assert stretches.closed_up(begin).tolist() == (begin - 100).tolist()


def test_no_entries_take_nothing(tmp_path: Path) -> None:
    with counting(tmp_path, [1000]) as space:
        stretches = Stretches(space, np.empty(0, np.int64), np.empty(0, np.int64))
        assert (stretches.count, stretches.size) == (0, 0)


def test_over_a_network_longer_gaps_are_taken_along(tmp_path: Path) -> None:
    begin = np.array([0, REMOTE_GAP, 3 * REMOTE_GAP])
    for path, count in ((str(tmp_path / "p"), 3), ("http://localhost/p", 2)):
        with AddressSpace(lay_out([(path, 4 * REMOTE_GAP)])) as space:
            assert Stretches(space, begin, begin + 10).count == count
    assert GAP < REMOTE_GAP


def test_a_read_ahead_stops_before_a_part_that_is_missing(tmp_path: Path) -> None:
    with counting(tmp_path, [200, 300, 500]) as whole:
        parts = [replace(part, missing=number == 1) for number, part in enumerate(whole.parts)]
    (tmp_path / "p1").unlink()
    begin, end = np.array([100, 450, 700]), np.array([160, 520, 800])
    with AddressSpace(parts) as space:
        for gap in (0, 1000):
            stretches = Stretches(space, begin, end, gap)
            where = stretches.closed_up(begin).tolist()
            forward = Forward(stretches, stretches.size, 1000)
            assert bytes(forward.view(where[0], where[0] + 60)) == CONTENT[100:160]
            with pytest.raises(PartError, match="missing"):
                forward.view(where[1], where[1] + 70)
            assert bytes(Forward(stretches, stretches.size).view(where[2], where[2] + 100)) == CONTENT[700:800]
