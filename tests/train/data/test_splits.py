"""Splits: exact partitions, accounts disjoint, near-duplicates together, the same in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.train.data import splits
from postmill.train.data.arrays import Ids
from postmill.train.data.groups import components, group_ids
from postmill.train.data.hashing import hash64
from postmill.train.options import Split

GROUPED = st.lists(st.integers(0, 40), min_size=2, max_size=200).filter(lambda ids: len(set(ids)) > 1)
ROOT = Path(__file__).resolve().parents[3]


def as_groups(ids: list[int]) -> Ids:
    return np.array(ids, dtype=np.uint64)


@given(GROUPED, st.integers(0, 20))
def test_a_group_is_never_on_both_sides(ids: list[int], seed: int) -> None:
    groups = as_groups(ids)
    test = splits.tested(groups, seed)
    assert test.any() and not test.all()
    assert not set(groups[test]) & set(groups[~test])


@given(GROUPED, st.integers(0, 3))
def test_as_many_seeds_as_folds_test_every_post_once(ids: list[int], repetition: int) -> None:
    groups = as_groups(ids)
    folds = min(splits.FOLDS, len(np.unique(groups)))
    times = sum(splits.tested(groups, seed).astype(int) for seed in range(repetition * folds, (repetition + 1) * folds))
    assert (times == 1).all()


@given(GROUPED)
def test_folds_have_equally_many_groups(ids: list[int]) -> None:
    groups = as_groups(ids)
    fold = splits.folds(groups, 3, "test", 5)
    sizes = [len(np.unique(groups[fold == n])) for n in range(5)]
    assert max(sizes) - min(sizes) <= 1


@given(GROUPED, st.integers(0, 99))
def test_the_order_groups_does_not_matter(ids: list[int], seed: int) -> None:
    groups = as_groups(ids)
    order = np.random.default_rng(seed).permutation(len(ids))
    np.testing.assert_array_equal(splits.tested(groups, 1)[order], splits.tested(groups[order], 1))


def test_seeds_from_the_number_of_folds_on_deal_anew() -> None:
    groups = np.arange(50, dtype=np.uint64)
    assert (splits.tested(groups, 0) != splits.tested(groups, 5)).any()
    assert (splits.folds(groups, 0, "test", 5) != splits.folds(groups, 0, "validation", 5)).any()


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="1 group"):
        splits.tested(np.zeros(9, dtype=np.uint64), 0)


def test_another_process_makes_the_same_split() -> None:
    program = (
        "import numpy as np; import pyarrow as pa; from postmill.train.data import groups, splits;"
        "ids = groups.group_ids(np.arange(100), pa.array([f'account{n}' for n in range(100)]));"
        "print(np.flatnonzero(splits.tested(ids, 2)).tolist())"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    ids = group_ids(np.arange(100), pa.array([f"account{n}" for n in range(100)]))
    assert output.strip() == str(np.flatnonzero(splits.tested(ids, 2)).tolist())
    # Frozen: another hash would change every number that was ever reported.
    assert np.flatnonzero(splits.tested(ids, 2))[:8].tolist() == [2, 4, 12, 20, 23, 25, 33, 35]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=120))
@settings(max_examples=60)
def test_components_are_those_of_a_plain_search(links: list[tuple[int, int]]) -> None:
    size = 31
    rows = np.array([row for row, _ in links], dtype=np.int64)
    tokens = np.array([token for _, token in links], dtype=np.uint64)
    label = list(range(size))
    for _ in range(size):  # the slow and obvious way: spread the smallest label until nothing changes
        for a, token_a in links:
            for b, token_b in links:
                if token_a == token_b:
                    label[a] = label[b] = min(label[a], label[b])
    assert components(size, rows, tokens).tolist() == label


def test_long_chains_are_one_component() -> None:
    size = 5_000
    rows = np.repeat(np.arange(size), 2)[1:-1]
    tokens = np.repeat(np.arange(size - 1), 2).astype(np.uint64)
    assert (components(size, rows, tokens) == 0).all()


def test_a_group_id_depends_on_what_is_in_it_not_on_where() -> None:
    one = group_ids(np.array([0, 0, 2]), pa.array(["b", "a", "c"]))
    other = group_ids(np.array([0, 1, 1]), pa.array(["c", "a", "b"]))
    assert one[0] == one[1] == other[1] == other[2]
    assert one[2] == other[0] != one[0]


def test_hashes_keep_their_parts_apart() -> None:
    assert hash64("ab", "c") != hash64("a", "bc")


def drawn(seed: int, posts: int, accounts: int) -> splits.Posts:
    """Posts of which some share a group, some have no time, and several have the same."""
    random = np.random.default_rng(seed)
    account = random.integers(accounts, size=posts).astype(np.uint64)
    group = account * 1_000 + random.integers(max(1, posts // 3), size=posts).astype(np.uint64)
    taken_at = random.integers(posts, size=posts).astype(np.float64)
    taken_at[random.random(posts) < 0.1] = np.nan
    return splits.Posts(account, group, taken_at)


@given(st.integers(0, 999), st.integers(2, 150), st.integers(1, 20), st.sampled_from(tuple(Split)), st.integers(0, 9))
def test_what_a_split_promises_holds(seed: int, posts: int, accounts: int, split: str, number: int) -> None:
    of = drawn(seed, posts, accounts)
    if splits.impossible(of, split):
        with pytest.raises(ValueError):
            splits.divide(of, split, number)
        return
    train, test = splits.divide(of, split, number)
    assert train.any() and test.any() and not (train & test).any()
    assert not set(of.near_duplicates[train]) & set(of.near_duplicates[test])
    if split in splits.BY_ACCOUNT:
        assert not set(of.accounts[train]) & set(of.accounts[test])
    if split in (Split.TIME, Split.TIME_INFLUENCER):
        assert np.nanmax(of.taken_at[train]) < np.nanmin(of.taken_at[test])
        assert not np.isnan(of.taken_at[train | test]).any()
    else:
        assert (train | test).all()


def test_the_splits_by_time_test_the_same_posts_once() -> None:
    of = drawn(3, 600, 40)
    times = {
        split: sum(splits.divide(of, split, seed)[1].astype(int) for seed in range(splits.FOLDS))
        for split in (Split.TIME, Split.TIME_INFLUENCER)
    }
    after = of.taken_at >= splits.cut(of.taken_at)
    np.testing.assert_array_equal(times[Split.TIME], after.astype(int))
    np.testing.assert_array_equal(times[Split.TIME_INFLUENCER], after.astype(int))
    assert 0.15 < after.mean() < 0.25


@pytest.mark.parametrize("split", splits.BY_ACCOUNT)
def test_reposts_of_what_is_tested_are_not_trained_on(split: Split) -> None:
    """Every post that the split would train on, and no other, is left out if a test post shares its group."""
    of = drawn(5, 600, 40)
    reposts = np.arange(600).astype(np.uint64)
    random = np.random.default_rng(6)
    for _ in range(60):
        reposts[random.integers(600, size=3)] = random.integers(600)
    across = splits.Posts(of.accounts, of.near_duplicates, of.taken_at, reposts)
    left_out = 0
    for seed in range(splits.FOLDS):
        train, test = splits.divide(of, split, seed)
        less, same = splits.divide(across, split, seed)
        np.testing.assert_array_equal(same, test)
        tested = set(reposts[test].tolist())
        expected = [bool(train[row]) and reposts[row] not in tested for row in range(600)]
        assert less.tolist() == expected
        left_out += int((train & ~less).sum())
    assert left_out > 20
    for other in (Split.RANDOM, Split.TIME):
        for one, more in zip(splits.divide(of, other, 0), splits.divide(across, other, 0), strict=True):
            np.testing.assert_array_equal(one, more)


def test_accounts_that_all_post_the_same_cannot_be_kept_apart() -> None:
    accounts, times = as_groups([1, 1, 2, 2, 3, 3]), np.arange(6.0)
    of = splits.Posts(accounts, as_groups([1, 2, 3, 4, 5, 6]), times, as_groups([7, 8, 7, 8, 7, 8]))
    assert "near-duplicate" in splits.impossible(of, Split.INFLUENCER)
    assert splits.impossible(of, Split.TIME_INFLUENCER) and not splits.impossible(of, Split.RANDOM)


@pytest.mark.parametrize(
    ("taken_at", "why"),
    [([np.nan] * 6, "no two times"), ([5.0] * 6, "no two times"), ([1, 2, 3, 4, 5, 6], "")],
)
def test_without_a_before_and_an_after_there_is_no_split_by_time(taken_at: list[float], why: str) -> None:
    of = splits.Posts(as_groups([1, 1, 2, 2, 3, 3]), as_groups([1, 2, 3, 4, 5, 6]), np.array(taken_at, dtype=float))
    assert (why in splits.impossible(of, Split.TIME)) and bool(splits.impossible(of, Split.TIME)) == bool(why)
    assert not splits.impossible(of, Split.RANDOM)
