"""Ends, overlaps and windows against the plainest computation of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from postmill.ingest.plan.windows import assign

Layout = tuple[np.ndarray, np.ndarray, np.ndarray, int, list[tuple[int, int]]]


def layout(sizes: list[tuple[int, int]], part_sizes: list[int]) -> Layout:
    """Entries of (name length, compressed size) one after another, in parts of the given sizes, the last unbounded."""
    offsets, end = [], 4
    for name, data in sizes:
        offsets.append(end)
        end += 30 + name + 9 + data
    parts, start = [], 0
    for size in part_sizes:
        if start + size < end:
            parts.append((start, size))
            start += size
    parts.append((start, end + 100 - start))
    names, datas = (np.array([size[n] for size in sizes], dtype=np.int64) for n in (0, 1))
    return np.array(offsets, dtype=np.int64), names, datas, end, parts


@given(
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 500)), min_size=1, max_size=40),
    part_sizes=st.lists(st.integers(50, 900), max_size=8),
    window_bytes=st.integers(40, 1000),
    seed=st.integers(0, 2**32 - 1),
)
def test_entries_belong_to_the_part_and_window_in_which_they_end(
    sizes: list[tuple[int, int]], part_sizes: list[int], window_bytes: int, seed: int
) -> None:
    offset, names, datas, directory, parts = layout(sizes, part_sizes)
    order = np.random.default_rng(seed).permutation(len(sizes))
    placed = assign(offset[order], names[order], datas[order], directory, parts, window_bytes)
    assert not placed.overlaps.any()
    by_offset = np.argsort(offset[order])
    ends = placed.end[by_offset]
    assert list(ends) == [*offset[1:], directory]
    windows = placed.window[by_offset]
    assert (np.diff(windows) >= 0).all()
    for number in np.unique(windows):
        last_bytes = ends[windows == number] - 1
        (part,) = {max(n for n, (start, _) in enumerate(parts) if start <= byte) for byte in last_bytes}
        assert last_bytes.max() - last_bytes.min() < window_bytes
        assert all(windows[n] != number or parts[part][0] <= ends[n] - 1 for n in range(len(ends)))


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


def test_no_entries() -> None:
    none = np.empty(0, dtype=np.int64)
    assert len(assign(none, none, none, 10, [(0, 32)], 100).end) == 0
