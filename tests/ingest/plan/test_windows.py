"""Ends, overlaps and windows against the plainest computation of them, whichever parts are there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.plan.windows import Placed, assign
from postmill.ingest.zipformat.space import AWAITED_SIZE
from postmill.shards.formats.places import offset_of, part_of, place

SLACK = 9  # bytes of each entry that the directory does not tell of, as an extra field is
Sizes = list[tuple[int, int]]


class Layout:
    """Entries of (name length, compressed size) one after another, in parts of the given sizes, the last unbounded."""

    def __init__(self, sizes: Sizes, part_sizes: list[int]) -> None:
        self.starts, self.stops, end = [], [], 4
        for name, data in sizes:
            self.starts.append(end)
            end += 30 + name + SLACK + data
            self.stops.append(end)
        self.sizes, self.directory, self.parts, start = sizes, end, [], 0
        for size in part_sizes:
            if start + size < end:
                self.parts.append((start, size))
                start += size
        self.parts.append((start, end + 100 - start))

    def part(self, byte: int) -> int:
        return max(number for number, (start, _) in enumerate(self.parts) if start <= byte)

    def place(self, byte: int) -> int:
        part = self.part(byte)
        return place(part, byte - self.parts[part][0])

    def assigned(self, awaited: int, window_bytes: int, seed: int = 0) -> Placed:
        """What is made of them, in any order, where the sizes of the first ``awaited`` parts are not known."""
        order = np.random.default_rng(seed).permutation(len(self.sizes))
        sizes = [AWAITED_SIZE if number < awaited else size for number, (_, size) in enumerate(self.parts)]
        begins = [sum(sizes[:number]) for number in range(len(sizes))]

        def moved(byte: int) -> int:
            part = self.part(byte)
            return begins[part] + byte - self.parts[part][0]

        names, datas = (np.array([size[n] for size in self.sizes], dtype=np.int64)[order] for n in (0, 1))
        offsets = np.array(list(map(moved, self.starts)), dtype=np.int64)[order]
        parts = list(zip(begins, sizes, strict=True))
        made = assign(offsets, names, datas, moved(self.directory), parts, window_bytes)
        back = np.argsort(order)
        return Placed(made.start[back], made.end[back], made.window[back], made.overlaps[back], made.needs, made.last)


layouts = st.builds(
    Layout,
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 500)), min_size=1, max_size=40),
    st.lists(st.integers(50, 900), max_size=8),
)


@given(layout=layouts, window_bytes=st.integers(40, 1000), seed=st.integers(0, 2**32 - 1))
def test_entries_belong_to_the_part_and_window_in_which_they_end(layout: Layout, window_bytes: int, seed: int) -> None:
    made = layout.assigned(0, window_bytes, seed)
    assert not made.overlaps.any()
    assert list(made.start) == list(map(layout.place, layout.starts))
    following = list(map(layout.place, [*layout.starts[1:], layout.directory]))
    windows: dict[int, tuple[int, int]] = {}
    for n, (end, after, stop) in enumerate(zip(made.end.tolist(), following, layout.stops, strict=True)):
        part, last = layout.part(stop - 1), layout.place(stop - 1)
        if offset_of(after) == 0:  # how long the part is decides where the entry ends, and need not be known
            last -= SLACK if offset_of(last) >= SLACK and layout.part(layout.starts[n]) == part else offset_of(last)
        else:
            assert end == after
        assert part_of(end - 1) == part
        windows.setdefault(int(made.window[n]), (part, offset_of(last) // window_bytes))
        assert windows[int(made.window[n])] == (part, offset_of(last) // window_bytes)
    assert list(windows) == sorted(windows) == list(range(len(windows)))
    assert len(set(windows.values())) == len(windows)


@given(layout=layouts, window_bytes=st.integers(40, 1000), data=st.data())
def test_nothing_depends_on_the_length_of_a_part(layout: Layout, window_bytes: int, data: st.DataObject) -> None:
    awaited = data.draw(st.integers(1, max(len(layout.parts) - 1, 1)))
    known, unknown = (
        layout.assigned(0, window_bytes),
        layout.assigned(min(awaited, len(layout.parts) - 1), window_bytes),
    )
    for name in ("start", "end", "window", "overlaps", "needs", "last"):
        assert np.array_equal(getattr(known, name), getattr(unknown, name)), name


@given(layout=layouts)
def test_a_part_has_the_bytes_that_its_entries_need_and_the_last_of_them_begins_where_is_said(layout: Layout) -> None:
    made = layout.assigned(0, 1000)
    for number, (start, size) in enumerate(layout.parts):
        mine = [byte - start for byte in layout.starts if layout.part(byte) == number]
        assert made.last[number] == max(mine, default=-1)
        assert max(mine, default=-1) < max(made.needs[number], 0) <= size if mine else made.needs[number] == 0
    for part, byte in ((layout.part(stop - 1), stop - SLACK) for stop in layout.stops):
        start, _ = layout.parts[part]
        inside = any(start <= begin < byte for begin in layout.starts)
        assert not inside or made.needs[part] > 0


def test_windows_are_cut_alike_in_every_part() -> None:
    offsets = np.arange(0, 2500, 50)
    made = assign(offsets, np.full(50, 5), np.full(50, 15), 2500, [(0, 1050), (1050, 1450)], 400)
    edges = [(part_of(int(a)), offset_of(int(b))) for a, b in pairwise(made.start) if a >= 0]
    assert len(edges) == 49
    cuts = {
        int(window): {int(offset) // 400 for offset in offset_of(made.start[made.window == window])}
        for window in set(made.window)
    }
    assert all(len(cut) == 1 for cut in cuts.values())
    assert len(cuts) == 3 + 4


def test_overlapping_entries_are_both_found() -> None:
    offset = np.array([0, 100, 150, 400, 410, 900])
    placed = assign(offset, np.full(6, 5), np.array([10, 60, 10, 300, 20, 10]), 1000, [(0, 1000)], 1000)
    assert list(placed.overlaps) == [False, True, True, True, True, False]


def test_an_entry_that_reaches_into_the_directory_overlaps() -> None:
    placed = assign(np.array([0]), np.array([5]), np.array([100]), 120, [(0, 200)], 1000)
    assert list(placed.overlaps) == [True]


def test_a_gap_does_not_make_an_entry_large() -> None:
    placed = assign(np.array([0, 10**12]), np.array([5, 5]), np.array([10, 10]), 2 * 10**12, [(0, 3 * 10**12)], 10**13)
    assert placed.end[0] < 100_000


@pytest.mark.parametrize("hole", [(100, 200), (150, 300)])
def test_no_entry_is_said_to_reach_into_what_is_missing_for_good(hole: tuple[int, int]) -> None:
    starts = [0, hole[0], hole[1]]
    parts = list(zip(starts, [*(b - a for a, b in pairwise(starts)), 500], strict=True))
    placed = assign(
        np.array([0, hole[1] + 40]), np.array([5, 5]), np.array([20, 10]), hole[1] + 200, parts, 1000, [hole]
    )
    assert placed.end[0] == place(0, hole[0])
    assert list(placed.window) == [0, 1]


def test_no_entries() -> None:
    none = np.empty(0, dtype=np.int64)
    assert len(assign(none, none, none, 10, [(0, 32)], 100).end) == 0
