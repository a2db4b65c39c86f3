"""Which groups of several divisions are shown, so that no small group's number can be computed from those that are.

Within one division a small group could be had as the total less the others: :func:`.cells.shown` hides enough beside
it. Across divisions it could be had too: where all posts of Spanish are in food, food less Spanish is the rest of food.
What can be computed at all from sums over groups are sums over sets of posts whose indicator is a weighted sum of the
groups' indicators. So the small sets that may be of interest are held against the span of the groups that are shown:
each combination of the divisions, what two groups have in common and what one has beyond another, what is hidden, and
what is left of some groups together when those of other divisions that lie within them are taken away, and what up to
four groups give. As long as one of them lies in the span, the smallest group that it takes is hidden too, and what has
to go with it. Where the combinations that are large by themselves have as many independent sums as all of them, no sum
is of small ones alone, and nothing is to be looked for: so it is of large runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, permutations

import numpy as np
import numpy.typing as npt

from postmill.train.data.arrays import Floats, Mask, Rows
from postmill.train.evaluation import cells

Codes = npt.NDArray[np.int32]
MOST_SHARE = 0.5
"""No account has more of the posts that a number is of: it would be that account's number (the dominance rule of
statistical disclosure control, with one contributor)."""

_IN_SPAN = 1e-7  # of a set's length: what rounding leaves of it outside the span of groups that make it up
_SUMS = 1 << 30  # numbers that are added up to find sets that a few groups give
_UNIONS = 1 << 22  # combinations times unions of groups that are looked at
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


def shown(
    divisions: Sequence[Division], accounts: Codes, rows: Rows, earlier: Mapping[tuple[str, str], int] | None = None
) -> Mapping[str, tuple[bool, ...]]:
    """Return which groups of each division are shown, of the posts at ``rows`` alone; the total is, if any group is.

    Args:
        divisions: Of N posts.
        accounts: Shape (N,), the number of each post's account, from 0.
        rows: The posts that have a number.
        earlier: How many posts groups had when they were shown before, by division and group: one that few posts have
            joined or left since is hidden, lest these be told from the two numbers.
    """
    patterns = _Patterns.of(divisions, accounts, rows)
    if not len(rows) or patterns.is_small(np.ones(len(patterns.posts), dtype=bool)):
        return {division.name: (False,) * len(division.groups) for division in divisions}
    forced = [_hardly_changed(division, rows, earlier or {}) for division in divisions]
    while True:
        showing = [_within(patterns, number, division, forced[number]) for number, division in enumerate(divisions)]
        found = _disclosed(patterns, showing)
        if found is None:
            return {division.name: tuple(of) for division, of in zip(divisions, showing, strict=True)}
        forced[found[0]].add(found[1])


def _hardly_changed(division: Division, rows: Rows, earlier: Mapping[tuple[str, str], int]) -> set[int]:
    """Return the groups that few posts have joined or left since they were shown."""
    counts = np.bincount(division.codes[rows] + 1, minlength=len(division.groups) + 1)[1:].tolist()
    changes = {
        number: abs(counts[number] - earlier.get((division.name, group), counts[number]))
        for number, group in enumerate(division.groups)
    }
    return {number for number, change in changes.items() if 0 < change < cells.MIN_POSTS}


def may_show(accounts: Codes) -> bool:
    """Say whether a number of posts by these accounts, shape (N,), may be shown by itself."""
    return _enough(np.unique(accounts, return_counts=True)[1])


def _enough(posts: Floats | Rows) -> bool:
    """Say whether a number may be of so many posts of each account: of enough of both, and of no account above all."""
    total = posts.sum()
    enough = total >= cells.MIN_POSTS and len(posts) >= cells.MIN_ACCOUNTS
    return bool(enough and posts.max() <= MOST_SHARE * total)


@dataclass(frozen=True)
class _Patterns:
    """The combinations of groups that P posts have: what sums over groups are made of.

    Attributes:
        codes: Shape (divisions, P), the group of each, -1 for none.
        posts: Shape (P,), how many posts have it.
        members: Of each its accounts, ascending, and how many of its posts each has.
    """

    codes: Rows
    posts: Rows
    members: tuple[tuple[Rows, Rows], ...]

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
        pairs, counts = np.unique(pattern * people + accounts[rows], return_counts=True)
        ends = np.searchsorted(pairs // people, np.arange(len(distinct) + 1))
        members = tuple((pairs[start:end] % people, counts[start:end]) for start, end in pairwise(ends))
        return cls(codes, np.bincount(pattern, minlength=len(distinct)), members)

    def is_small(self, kept: Mask) -> bool:
        """Say whether these combinations have posts, and are such that no number may be of them."""
        posts = int(self.posts[kept].sum())
        if posts < cells.MIN_POSTS:
            return posts > 0
        parts = [self.members[n] for n in np.flatnonzero(kept)]
        account = np.unique(np.concatenate([of for of, _ in parts]), return_inverse=True)[1]
        return not _enough(np.bincount(account, np.concatenate([counts for _, counts in parts])))


def _within(patterns: _Patterns, number: int, division: Division, forced: set[int]) -> list[bool]:
    """Return which groups of one division are shown by itself, none of those that are forced to be hidden.

    What is hidden could be had together as the total less the others, so the smallest of these go with it until it is
    no small set any more.
    """
    codes = patterns.codes[number]
    posts = np.array([patterns.posts[codes == group].sum() for group in range(len(division.groups))])
    showing = [
        group not in forced and posts[group] > 0 and not patterns.is_small(codes == group)
        for group in range(len(division.groups))
    ]
    while any(showing) and patterns.is_small(~np.isin(codes, np.flatnonzero(showing))):
        showing[min(np.flatnonzero(showing).tolist(), key=lambda group: (posts[group], -group))] = False
    return showing


def _disclosed(patterns: _Patterns, showing: Sequence[Sequence[bool]]) -> tuple[int, int] | None:
    """Return the division and the group that is to be hidden, lest a small set be computed; None where none can be."""
    columns = [(d, g) for d, of in enumerate(showing) for g, shows in enumerate(of) if shows]
    if not columns:
        return None
    shown_groups = [(patterns.codes[d] == g).astype(np.float64) for d, g in columns]
    groups = np.column_stack([np.ones(len(patterns.posts)), *shown_groups])
    basis = _orthonormal(groups)
    large = np.array([_enough(counts) for _, counts in patterns.members])
    if np.linalg.matrix_rank(groups[large]) == basis.shape[1]:
        return None
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
    yield from filter(patterns.is_small, parts.values())
    for (d, _), one in parts.items():
        for (other, _), two in parts.items():
            if other > d:
                yield from filter(patterns.is_small, (one & two, one & ~two, two & ~one))
    yield from filter(patterns.is_small, _rests(patterns, showing))
    shown_groups = [patterns.codes[d] == g for d, of in enumerate(showing) for g in np.flatnonzero(of)]
    yield from filter(patterns.is_small, _sums(np.array(shown_groups, dtype=np.int8)))


def _sums(groups: npt.NDArray[np.int8]) -> Iterator[Mask]:
    """Yield the sets that adding and taking away a few of ``groups``, shape (G, P), the total among them, gives.

    They are four at most, or as many fewer as there are too many groups.
    """
    rows = np.concatenate([np.ones((1, groups.shape[1]), np.int8), groups])
    signed = np.concatenate([rows, -rows])
    one, two = np.triu_indices(len(signed), 1)
    keep = np.abs(one - two) != len(rows)  # a group less itself is nothing
    pairs = np.concatenate([np.zeros((1, rows.shape[1]), np.int8), signed, signed[one[keep]] + signed[two[keep]]])
    width = next((size for size in (len(pairs), 1 + len(signed), 1) if size * pairs.size <= _SUMS), 0)
    for number in range(width):
        sums = pairs + pairs[number]
        for row in np.flatnonzero((sums.min(axis=1) == 0) & (sums.max(axis=1) == 1)):
            yield sums[row] == 1


def _rests(patterns: _Patterns, showing: Sequence[Sequence[bool]]) -> Iterator[Mask]:
    """Yield what is left of groups of one division, together, without the groups of others that lie within them.

    Within a division groups have nothing in common, so of two divisions no smaller set is a sum or a difference.
    """
    groups = {d: [patterns.codes[d] == g for g in np.flatnonzero(of)] for d, of in enumerate(showing)}
    for d, own in groups.items():
        others = [n for n in groups if n != d]
        for union in _unions(own, len(patterns.posts)):
            for order in permutations(others):
                rest = union
                for n in order:
                    for group in groups[n]:
                        if not (group & ~rest).any():
                            rest = rest & ~group
                    yield rest


def _unions(groups: Sequence[Mask], patterns: int) -> Iterator[Mask]:
    """Yield the unions of ``groups``, all that there are and what they leave out; of too many, those of few or most."""
    everything = np.ones(patterns, dtype=bool)
    sizes = range(len(groups) + 1) if patterns << len(groups) <= _UNIONS else range(min(len(groups), 2) + 1)
    for size in sizes:
        for chosen in combinations(groups, size):
            union = np.logical_or.reduce([*chosen, ~everything])
            yield union
            yield ~union
