"""Hashtags that rise and fall: their shares of the earlier and of the later half of the posts.

A hashtag is named where as many posts of as many accounts have it, in each half, as a number may be of, and as many
have not. One that is an account's name is never named.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow.compute as pc

from postmill.shards.formats import posts as records
from postmill.shards.indicators.tables import HashtagRow
from postmill.shards.run.folder import Run
from postmill.train.data.arrays import Rows
from postmill.train.evaluation import cells, intervals
from postmill.train.evaluation.measures import Measure
from postmill.train.insights.guard import MOST_SHARE
from postmill.train.insights.posts import Posts

MOST = 15
"""So many that rise and so many that fall are named."""

LONGEST = 60  # characters
_CANDIDATES = 2_000  # the commonest; no other is in a hundred posts of each half, but of huge datasets


def halves(posts: Posts) -> Rows:
    """Return the half of each post, shape (N,): 0 up to the median of all times, 1 after it, -1 without a time."""
    known = ~np.isnan(posts.taken_at)
    half = np.full(posts.number, -1, dtype=np.int64)
    if known.any():
        half[known] = posts.taken_at[known] > np.median(posts.taken_at[known])
    return half


def rows(run: Run, posts: Posts) -> list[HashtagRow]:
    """Return the hashtags whose share changed most, those first that rise.

    Raises:
        PostmillError: A shard cannot be read.
    """
    half = halves(posts)
    sizes = np.array([(half == 0).sum(), (half == 1).sum()])
    counted: Counter[str] = Counter()
    for _, tags in _tags(run, posts):
        counted.update(tag for of_post in tags for tag in of_post)
    least = 2 * cells.MIN_POSTS
    common = [tag for tag, count in counted.most_common(_CANDIDATES) if count >= least and len(tag) <= LONGEST]
    names = _names(run, posts)
    place = {tag: number for number, tag in enumerate(sorted(tag for tag in common if folded(tag) not in names))}
    people = int(posts.accounts.max(initial=0)) + 1
    per_account = np.zeros((len(place), 2, people), dtype=np.int32)
    for start, tags in _tags(run, posts):
        for row, of_post in enumerate(tags, start):
            if half[row] >= 0:
                for tag in of_post & place.keys():
                    per_account[place[tag], half[row], posts.accounts[row]] += 1
    of_half = [np.bincount(posts.accounts[half == side], minlength=people) for side in (0, 1)]
    found = [
        _row(tag, per_account[number], of_half, sizes)
        for tag, number in place.items()
        if _may_be_named(per_account[number], sizes)
    ]
    rising = sorted((row for row in found if row.change > 0), key=lambda row: (-row.change, row.hashtag))[:MOST]
    falling = sorted((row for row in found if row.change < 0), key=lambda row: (row.change, row.hashtag))[:MOST]
    return [*rising, *falling]


def folded(name: str) -> str:
    """Return a name or a hashtag in the form in which two that look alike are one."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def _tags(run: Run, posts: Posts) -> Iterator[tuple[int, Sequence[frozenset[str]]]]:
    """Yield the hashtags of each post, folded to lower case, and the number of the first post of each shard."""
    start = 0
    for shard, expected in zip(posts.finished.shards, posts.finished.records, strict=True):
        column = records.read_records(run, shard, ["hashtags"], expected)["hashtags"].to_pylist()
        yield start, [frozenset(unicodedata.normalize("NFKC", tag).casefold() for tag in tags or ()) for tags in column]
        start += len(column)


def _names(run: Run, posts: Posts) -> frozenset[str]:
    """Return the names of all accounts, folded."""
    names: set[str] = set()
    for shard, expected in zip(posts.finished.shards, posts.finished.records, strict=True):
        column = records.read_records(run, shard, ["influencer"], expected)["influencer"]
        names.update(map(folded, pc.unique(column).to_pylist()))
    return frozenset(names)


def _may_be_named(per_account: Rows, sizes: Rows) -> bool:
    counts, people = per_account.sum(axis=1), (per_account > 0).sum(axis=1)
    without = sizes - counts
    return bool(
        (counts >= cells.MIN_POSTS).all()
        and (people >= cells.MIN_ACCOUNTS).all()
        and (per_account.max(axis=1) <= MOST_SHARE * counts).all()
        and ((without == 0) | (without >= cells.MIN_POSTS)).all()
    )


def _row(tag: str, per_account: Rows, of_half: Sequence[Rows], sizes: Rows) -> HashtagRow:
    counts = per_account.sum(axis=1)
    early, late = (counts / sizes).tolist()
    inference = intervals.infer_over(*_change(per_account, of_half))
    low, high = inference.interval or (None, None)
    return HashtagRow(tag, early, late, late - early, low, high, int(counts[0]), int(counts[1]))


def _change(per_account: Rows, of_half: Sequence[Rows]) -> tuple[Rows, Measure]:
    """Return how many posts each account has, and how the share changed, as a measure."""
    posts = np.column_stack(of_half)
    there = np.flatnonzero(posts.sum(axis=1))
    groups = max(intervals.group_count(len(there)), 1)
    group = np.arange(len(there)) % groups
    having, all_of = np.zeros((groups, 2)), np.zeros((groups, 2))
    np.add.at(having, group, per_account.T[there])
    np.add.at(all_of, group, posts[there])

    def measure(left_out: int | None) -> float | None:
        top, bottom = having.sum(axis=0), all_of.sum(axis=0)
        if left_out is not None:
            top, bottom = top - having[left_out], bottom - all_of[left_out]
        return float(top[1] / bottom[1] - top[0] / bottom[0]) if bottom.all() else None

    return posts[there].sum(axis=1), measure
