"""Which cells of a table are shown: none of a few people, and none that can be computed from the others and the total.

A cell is shown from 20 accounts and 100 posts on. One that is not could be had by subtraction if all others of its
table were, so the smallest of these go with it until what is hidden holds two cells at least and is, taken together, as
large as a cell has to be (complementary suppression: Cox, *Suppression Methodology and Statistical Disclosure Control*,
1980).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from postmill.train.data.arrays import Floats, Ids, Rows

MIN_ACCOUNTS, MIN_POSTS = 20, 100
"""A cell with fewer is not shown: no number is that of a few people."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: how many posts it is made of, and of which accounts."""

    posts: int
    accounts: Set[Hashable]

    @property
    def large_enough(self) -> bool:
        """Whether it may be shown by itself."""
        return self.posts >= MIN_POSTS and len(self.accounts) >= MIN_ACCOUNTS


def shown(cells: Sequence[Cell]) -> tuple[bool, ...]:
    """Return which of the cells that a table divides its posts into are shown; one without posts is not.

    Of cells of one size the later goes first.
    """
    showing = [cell.large_enough for cell in cells]
    hidden = joined([cell for cell, shows in zip(cells, showing, strict=True) if not shows])
    number = sum(cell.posts > 0 and not shows for cell, shows in zip(cells, showing, strict=True))
    by_size = sorted((n for n, shows in enumerate(showing) if shows), key=lambda n: (cells[n].posts, -n))
    for smallest in by_size:
        if number == 0 or hidden.large_enough:
            break
        showing[smallest] = False
        hidden = joined([hidden, cells[smallest]])
        number += 1
    return tuple(showing)


def joined(cells: Sequence[Cell]) -> Cell:
    """Return the cell of the posts of all ``cells``."""
    return Cell(sum(cell.posts for cell in cells), frozenset().union(*(cell.accounts for cell in cells)))


def of_rows(accounts: Ids, parts: Sequence[Rows]) -> list[Cell]:
    """Return the cell of the posts at each of ``parts``, by the account of each post, shape (N,)."""
    return [Cell(len(rows), frozenset(np.unique(accounts[rows]).tolist())) for rows in parts]


def tenths(accounts: Ids, order: Rows, most: int) -> list[Rows]:
    """Divide posts into at most ``most`` equal parts that may all be shown; none where all together may not.

    Args:
        accounts: Shape (N,), of each post.
        order: Shape (N,), the posts in the order in which they are divided.
        most: The number of parts where there are enough posts.
    """
    for number in range(min(most, len(order) // MIN_POSTS), 0, -1):
        parts = np.array_split(order, number)
        if all(cell.large_enough for cell in of_rows(accounts, parts)):
            return parts
    return []


@dataclass(frozen=True)
class Histogram:
    """How values are spread: ``counts`` of posts between ``edges``, one more of these; empty where nothing is shown."""

    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


def histogram(values: Floats, accounts: Ids, most: int) -> Histogram:
    """Return a histogram of which each bin may be shown, between whole numbers, of at most ``most`` bins.

    Bins of one width that are too small are joined with the next one, and the last with the one before it.

    Args:
        values: Shape (N,), of posts.
        accounts: Shape (N,), ids of their accounts.
        most: The number of bins before any are joined.
    """
    if not len(values):
        return Histogram()
    low = float(np.floor(values.min()))
    edges = np.linspace(low, max(float(np.ceil(values.max())), low + 1), most + 1)
    order = np.argsort(values, kind="stable")
    ends = [0, *np.searchsorted(values[order], edges[1:-1]).tolist(), len(values)]
    cells = of_rows(accounts, [order[start:end] for start, end in pairwise(ends)])
    kept, bins = [float(edges[0])], list[Cell]()
    growing: list[Cell] = []
    for cell, edge in zip(cells, edges[1:].tolist(), strict=True):
        growing.append(cell)
        bin_ = joined(growing)
        if bin_.large_enough:
            bins.append(bin_)
            kept.append(edge)
            growing = []
    if not bins:
        return Histogram()
    bins[-1], kept[-1] = joined([bins[-1], *growing]), float(edges[-1])
    return Histogram(tuple(kept), tuple(bin_.posts for bin_ in bins))
