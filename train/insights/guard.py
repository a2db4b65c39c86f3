"""Which groups of several divisions are shown, so that no small group's number can be computed from those that are.

Within one division a small group could be had as the total less the others: :func:`.cells.shown` hides enough beside
it. Across divisions it could be had too: where all posts of Spanish are in food, food less Spanish is the rest of food.
What can be computed at all from sums over groups are sums over sets of posts whose indicator is a weighted sum of the
groups' indicators. So every small set that may be of interest is held against the span of the groups that are shown:
each combination of the divisions, what two groups have in common and what one has beyond another, and what is hidden.
As long as one of them lies in the span, the smallest group that it takes is hidden too, and what has to go with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from postmill.train.data.arrays import Floats, Mask, Rows
from postmill.train.evaluation import cells
from postmill.train.evaluation.cells import Cell

Codes = npt.NDArray[np.int32]
_IN_SPAN = 1e-7  # of a set's length: what rounding leaves of it outside the span of groups that make it up
_USED = 1e-6  # the weight of a group that takes part in a set


@dataclass(frozen=True)
class Division:
    """How N posts divide into groups.

    Attributes:
        name: Of the division.
        groups: Names of its groups.
        codes: Shape (N,), the index of each post's group; -1 for a post that is in none, which is hidden.
    """

    name: str
    groups: tuple[str, ...]
    codes: Codes


def shown(divisions: Sequence[Division], accounts: Codes, rows: Rows) -> Mapping[str, tuple[bool, ...]]:
    """Return which groups of each division are shown, of the posts at ``rows`` alone; the total is, if any group is.

    Args:
        divisions: Of N posts.
        accounts: Shape (N,), the number of each post's account, from 0.
        rows: The posts that have a number.
    """
    patterns = _Patterns.of(divisions, accounts, rows)
    total = patterns.cell(np.ones(len(patterns.posts), dtype=bool))
    if not total.large_enough:
        return {division.name: (False,) * len(division.groups) for division in divisions}
    forced: list[set[int]] = [set() for _ in divisions]
    while True:
        showing = [_within(patterns, number, division, forced[number]) for number, division in enumerate(divisions)]
        found = _disclosed(patterns, showing)
        if found is None:
            return {division.name: tuple(of) for division, of in zip(divisions, showing, strict=True)}
        forced[found[0]].add(found[1])


def may_show(accounts: Codes) -> bool:
    """Say whether a number of posts by these accounts, shape (N,), may be shown by itself."""
    return len(accounts) >= cells.MIN_POSTS and len(np.unique(accounts)) >= cells.MIN_ACCOUNTS


@dataclass(frozen=True)
class _Patterns:
    """The combinations of groups that P posts have: what sums over groups are made of.

    Attributes:
        codes: Shape (divisions, P), the group of each, -1 for none.
        posts: Shape (P,), how many posts have it.
        accounts: Their accounts.
    """

    codes: Rows
    posts: Rows
    accounts: tuple[frozenset[int], ...]

    @classmethod
    def of(cls, divisions: Sequence[Division], accounts: Codes, rows: Rows) -> _Patterns:
        """Return the combinations of the posts at ``rows``."""
        number = np.zeros(len(rows), dtype=np.int64)
        for division in divisions:
            number = number * (len(division.groups) + 1) + division.codes[rows] + 1
        distinct, pattern = np.unique(number, return_inverse=True)
        codes = np.empty((len(divisions), len(distinct)), dtype=np.int64)
        rest = distinct
        for index in range(len(divisions) - 1, -1, -1):
            rest, code = np.divmod(rest, len(divisions[index].groups) + 1)
            codes[index] = code - 1
        people = int(accounts.max(initial=0)) + 1
        pairs = np.unique(pattern * people + accounts[rows])
        ends = np.searchsorted(pairs // people, np.arange(len(distinct) + 1))
        members = tuple(frozenset((pairs[start:end] % people).tolist()) for start, end in pairwise(ends))
        return cls(codes, np.bincount(pattern, minlength=len(distinct)), members)

    def cell(self, kept: Mask) -> Cell:
        """Return the cell of the posts of some of the combinations, shape (P,)."""
        members = [self.accounts[n] for n in np.flatnonzero(kept)]
        return Cell(int(self.posts[kept].sum()), frozenset().union(*members))

    def is_small(self, kept: Mask) -> bool:
        """Say whether these combinations have posts, and are of fewer posts or accounts than a number may be of."""
        posts = int(self.posts[kept].sum())
        if posts < cells.MIN_POSTS:
            return posts > 0
        members: set[int] = set()
        for number in np.flatnonzero(kept):
            members |= self.accounts[number]
            if len(members) >= cells.MIN_ACCOUNTS:
                return False
        return True


def _within(patterns: _Patterns, number: int, division: Division, forced: set[int]) -> list[bool]:
    """Return which groups of one division are shown by itself, none of those that are forced to be hidden."""
    of_groups = [patterns.cell(patterns.codes[number] == group) for group in range(len(division.groups))]
    hidden = [patterns.cell(patterns.codes[number] == -1), *(of_groups[group] for group in sorted(forced))]
    kept = [group for group in range(len(division.groups)) if group not in forced]
    # What is hidden anyway is one cell among the others: small, so that enough goes with it, or large enough already.
    known = cells.shown([*(of_groups[group] for group in kept), cells.joined(hidden)], hidden={len(kept)})
    showing = [False] * len(division.groups)
    for group, shows in zip(kept, known, strict=False):
        showing[group] = shows
    return showing


def _disclosed(patterns: _Patterns, showing: Sequence[Sequence[bool]]) -> tuple[int, int] | None:
    """Return the division and the group that is to be hidden, lest a small set be computed; None where none can be."""
    columns = [(d, g) for d, of in enumerate(showing) for g, shows in enumerate(of) if shows]
    if not columns:
        return None
    shown_groups = [(patterns.codes[d] == g).astype(np.float64) for d, g in columns]
    groups = np.column_stack([np.ones(len(patterns.posts)), *shown_groups])
    basis = _orthonormal(groups)
    for small in _small_sets(patterns, showing, basis):
        target = small.astype(np.float64)
        inside = basis.T @ target
        if target.sum() - inside @ inside < _IN_SPAN * target.sum():
            weights = np.linalg.lstsq(groups, target, rcond=None)[0][1:]
            sizes = patterns.posts @ groups[:, 1:]
            taken = np.flatnonzero(np.abs(weights) > _USED)
            return columns[min(taken.tolist(), key=lambda n: (sizes[n], -n))]
    return None


def _orthonormal(columns: Floats) -> Floats:
    """Return an orthonormal basis of the span of ``columns``, shape (P, rank)."""
    left, values, _ = np.linalg.svd(columns, full_matrices=False)
    basis: Floats = left[:, values > 1e-9 * values[0]]
    return basis


def _small_sets(patterns: _Patterns, showing: Sequence[Sequence[bool]], basis: Floats) -> Iterator[Mask]:
    """Yield the sets of combinations, shape (P,) each, that no number may be of and that might lie in the span.

    Of single combinations those alone that do lie in it: they are many, and the basis tells it of all at once.
    """
    for number in np.flatnonzero(np.square(basis).sum(axis=1) > 1 - _IN_SPAN):
        single = np.arange(len(patterns.posts)) == number
        if patterns.is_small(single):
            yield single
    parts = {(d, g): patterns.codes[d] == g for d, of in enumerate(showing) for g in range(-1, len(of))}
    for d, of in enumerate(showing):
        hidden = [-1, *(g for g, shows in enumerate(of) if not shows)]
        parts[d, len(of)] = np.isin(patterns.codes[d], hidden)
    for one in parts.values():
        if patterns.is_small(one):
            yield one
    for (d, _), one in parts.items():
        for (other, _), two in parts.items():
            if other > d:
                yield from (each for each in (one & two, one & ~two, two & ~one) if patterns.is_small(each))
