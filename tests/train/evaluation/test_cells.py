"""The rule of cells: none of a few people is shown, and none that is hidden can be computed from what is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmill.train.evaluation import cells, slices
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS, Cell
from postmill.train.evaluation.slices import TOO_SMALL, Division, Slices
from tests.train.evaluation.drawn import judged


def cell(posts: int, accounts: int, first: int = 0) -> Cell:
    return Cell(posts, frozenset(range(first, first + accounts)))


@pytest.mark.parametrize(
    ("posts", "accounts", "shown"),
    [(MIN_POSTS, MIN_ACCOUNTS, True), (MIN_POSTS - 1, MIN_ACCOUNTS, False), (MIN_POSTS, MIN_ACCOUNTS - 1, False)],
)
def test_a_cell_is_shown_from_twenty_accounts_and_a_hundred_posts_on(posts: int, accounts: int, shown: bool) -> None:
    assert (MIN_ACCOUNTS, MIN_POSTS) == (20, 100)
    assert cells.shown([cell(posts, accounts)]) == (shown,)


def test_what_the_total_would_tell_is_hidden_with_the_next_smallest() -> None:
    table = [cell(500, 50), cell(150, 30), cell(7, 2), cell(300, 40)]
    assert cells.shown(table) == (True, False, False, True)
    assert cells.shown([*table, cell(0, 0)]) == (True, False, False, True, False)  # an empty one hides nothing


def test_two_hidden_ones_that_are_too_few_together_take_a_third() -> None:
    apart = [cell(60, 9, 0), cell(60, 9, 10), cell(200, 30, 20), cell(400, 60, 20)]
    assert cells.shown(apart) == (False, False, False, True)  # 18 accounts
    enough = [replace(apart[0], accounts=frozenset(range(100, 111))), *apart[1:]]
    assert cells.shown(enough) == (False, False, True, True)
    of_the_same = [cell(60, 15), cell(60, 15), cell(200, 30, 20), cell(400, 60, 20)]
    assert cells.shown(of_the_same) == (False, False, False, True)  # 15 accounts, each counted once


def test_where_all_are_large_enough_all_are_shown() -> None:
    assert cells.shown([cell(100, 20), cell(100, 20)]) == (True, True)
    assert cells.shown([]) == ()


SIZES = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60), st.integers(0, 80)), min_size=1, max_size=7)


def drawn(sizes: Sequence[tuple[int, int, int]]) -> list[Cell]:
    return [cell(posts, min(posts, accounts), first) for posts, accounts, first in sizes]


def published(table: Sequence[Cell]) -> tuple[tuple[int | None, ...], int]:
    """What stands in a table and its last row: the posts of what is shown, and of all else together."""
    showing = cells.shown(table)
    rest = sum(one.posts for one, shows in zip(table, showing, strict=True) if not shows)
    return tuple(one.posts if shows else None for one, shows in zip(table, showing, strict=True)), rest


def others(table: Sequence[Cell], hidden: int) -> Iterator[list[Cell]]:
    """Tables in which the cell ``hidden`` has other posts, and another cell has those that it lacks."""
    for partner in range(len(table)):
        for moved in (-1, 1, -2, 2, -5, 5, -20, 20):
            changed = list(table)
            for number, by in ((hidden, moved), (partner, -moved)):
                changed[number] = replace(changed[number], posts=changed[number].posts + by)
            if partner != hidden and all(one.posts >= len(one.accounts) for one in changed):
                yield changed


@given(SIZES)
def test_no_hidden_cell_follows_from_the_total_and_what_is_shown(sizes: Sequence[tuple[int, int, int]]) -> None:
    """Whoever knows the total, the table and the rule finds another table in which the cell is another."""
    table = drawn(sizes)
    seen, rest = published(table)
    hidden = [number for number, posts in enumerate(seen) if posts is None and table[number].posts > 0]
    together = cells.joined([table[number] for number in hidden])
    everything = len(hidden) == sum(one.posts > 0 for one in table)
    assert not hidden or everything or (len(hidden) > 1 and together.large_enough and rest == together.posts)
    if everything:
        return  # nothing is shown but the total
    for number in hidden:
        if table[number].posts > len(table[number].accounts) or len(hidden) > 2:
            assert any(published(other) == (seen, rest) for other in others(table, number)), number


@given(st.integers(0, 10_000))
def test_no_hidden_slice_follows_from_other_divisions_of_the_same_posts(seed: int) -> None:
    """All that is published, as linear equations in the posts of each pair of slices of two divisions."""
    random = np.random.default_rng(seed)
    posts, accounts = int(random.integers(150, 900)), int(random.integers(25, 120))
    account = random.integers(accounts, size=posts)
    widths = random.integers(2, 6, size=2)
    codes = [random.choice(width, posts, p=random.dirichlet(np.full(width, 0.6))).astype(np.int32) for width in widths]
    part = judged(random.normal(size=posts), random.normal(size=posts), account)
    names = [tuple(f"{letter}{n}" for n in range(width)) for letter, width in zip("ab", widths, strict=True)]
    divided = Slices({name[0][0]: Division(name, code) for name, code in zip(names, codes, strict=True)})
    rows = slices.errors(part, divided)
    joint = np.indices(tuple(widths))

    def equation(division: int, slices_of: set[int]) -> np.ndarray:
        told: np.ndarray = np.isin(joint[division], list(slices_of)).ravel().astype(float)
        return told

    equations, hidden = [np.ones(joint[0].size)], []
    for division, (name, of_division) in enumerate(zip(names, rows.values(), strict=True)):
        shown = {name.index(row.name) for row in of_division if row.name != TOO_SMALL}
        equations += [equation(division, {code}) for code in shown]
        unseen = set(codes[division].tolist()) - shown
        empty = set(range(len(name))) - set(codes[division].tolist())
        equations += [equation(division, {code}) for code in empty]  # it is known that they have none
        if shown:
            hidden += [equation(division, {code}) for code in unseen]
            assert not unseen or len(unseen) > 1
    rank = np.linalg.matrix_rank(np.array(equations))
    for target in hidden:
        assert np.linalg.matrix_rank(np.array([*equations, target])) == rank + 1


@pytest.mark.parametrize(
    ("posts", "accounts", "parts"), [(2_000, 400, 10), (420, 60, 4), (99, 50, 0), (500, 19, 0), (100, 20, 1)]
)
def test_parts_of_an_order_are_as_many_as_may_be_shown(posts: int, accounts: int, parts: int) -> None:
    account = np.arange(posts, dtype=np.uint64) % accounts
    order = np.random.default_rng(0).permutation(posts)
    found = cells.tenths(account, order, 10)
    assert len(found) == parts
    assert not found or np.concatenate(found).tolist() == order.tolist()


@given(st.integers(0, 10_000), st.integers(1, 900), st.integers(1, 90))
def test_every_bin_of_a_histogram_may_be_shown(seed: int, posts: int, accounts: int) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_t(2, size=posts) * random.choice([0.01, 1, 4]) + 6
    account = random.integers(accounts, size=posts).astype(np.uint64)
    shown = cells.histogram(values, account, 24)
    if posts < MIN_POSTS or len(np.unique(account)) < MIN_ACCOUNTS:
        assert shown == cells.Histogram()
        return
    assert sum(shown.counts) == posts and len(shown.edges) == len(shown.counts) + 1
    assert shown.edges[0] == np.floor(values.min()) and shown.edges[-1] in (np.ceil(values.max()), shown.edges[0] + 1)
    for (low, high), count in zip(pairwise(shown.edges), shown.counts, strict=True):
        inside = (values >= low) & ((values < high) | (high == shown.edges[-1]))
        assert inside.sum() == count >= MIN_POSTS and len(np.unique(account[inside])) >= MIN_ACCOUNTS


def test_enough_posts_have_bins_of_one_width() -> None:
    values = np.random.default_rng(1).uniform(3, 15, size=24_000)
    shown = cells.histogram(values, np.arange(24_000, dtype=np.uint64) % 500, 24)
    assert len(shown.counts) == 24 and np.ptp(np.diff(shown.edges)) < 1e-9
    assert cells.histogram(np.empty(0), np.empty(0, np.uint64), 24) == cells.Histogram()
