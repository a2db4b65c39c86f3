"""Who is trained on and who is tested on, decided by a keyed hash so that every worker agrees without a table.

A split divides *groups*, never posts: in the split ``random`` a group is the near-duplicates of one post,
in the split ``influencer`` it is an account. Groups are put into the order of their keyed hash and dealt into five
folds; seed n tests on fold n and trains on the other four, so each seed is an 80/20 split of its own, and five seeds
test every post exactly once. Seeds from 5 deal anew. (Drawing each group by its hash alone would leave the test part
empty in one of ten data sets of ten accounts; scikit-learn's GroupKFold deals by the state of numpy's generator, which
no other release of numpy has to keep.)

The splits by time have one cut, after four fifths of the posts in order of publication. Both test on the posts after
it, a fifth of them with each seed, so five seeds test each of these posts once, and the two can be compared post by
post. ``time`` trains on all that was published before the cut, less near-duplicates of what comes after;
``time-influencer`` also leaves out the accounts that its seed tests.

A campaign's picture and caption go round. So the splits by account train on no near-duplicate, at any account, of what
they test: such a post is of neither part.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from postmill.train.data.arrays import Ids, Mask, Rows, Times
from postmill.train.data.hashing import KEY
from postmill.train.options import Split

HEADLINE_SPLIT = Split.INFLUENCER
"""The split to judge a model by: its test accounts were not trained on."""

BY_ACCOUNT = (Split.INFLUENCER, Split.TIME_INFLUENCER)
"""The splits that keep the accounts of the training and the test part apart."""

FOLDS = 5
BEFORE = 0.8
"""Share of the posts with a time that lie before the cut of the splits by time."""


def ordered(groups: Ids, seed: int, purpose: str) -> Rows:
    """Return the position (from 0) of each row's group when the groups stand in the order of their keyed hash.

    Args:
        groups: Shape (N,), ids of groups.
        seed: Another seed is another order.
        purpose: Another purpose (test part, validation part, folds) is another order too.
    """
    distinct, inverse = np.unique(groups, return_inverse=True)
    salt = seed.to_bytes(8, "little")
    person = purpose.encode()
    keyed = np.fromiter(
        (
            int.from_bytes(hashlib.blake2b(group, digest_size=8, key=KEY, salt=salt, person=person).digest(), "little")
            for group in map(bytes, distinct.astype("<u8").reshape(-1, 1).view(np.uint8))
        ),
        dtype=np.uint64,
        count=len(distinct),
    )
    position = np.empty(len(distinct), dtype=np.int64)
    position[np.lexsort((distinct, keyed))] = np.arange(len(distinct))
    return position[inverse]


def folds(groups: Ids, seed: int, purpose: str, count: int) -> Rows:
    """Deal the groups into ``count`` folds; return each row's fold (from 0).

    Rows of one group share a fold, and the numbers of groups in two folds differ by one at most.
    """
    return ordered(groups, seed, purpose) % count


def tested(groups: Ids, seed: int) -> Mask:
    """Return which rows are the test part of ``seed``: one group in five, or one group where there are fewer than five.

    Raises:
        ValueError: There are fewer than two groups, so none can be kept apart.
    """
    count = min(FOLDS, len(np.unique(groups)))
    if count < 2:
        raise ValueError(f"{count} group cannot be split in two")
    test: Mask = folds(groups, seed // count, "test", count) == seed % count
    return test


def training_posts(posts: int) -> int:
    """Return about how many of ``posts`` posts are the training part of a seed."""
    return posts - posts // FOLDS


@dataclass(frozen=True)
class Posts:
    """What a split needs to know of N posts.

    Attributes:
        accounts: Shape (N,), ids of accounts.
        near_duplicates: Shape (N,), ids of groups of near-duplicates, each within one account.
        taken_at: Shape (N,), seconds since 1970; NaN where not known.
        reposts: Shape (N,), ids of groups of near-duplicates at any account; None where no two accounts have one.
    """

    accounts: Ids
    near_duplicates: Ids
    taken_at: Times
    reposts: Ids | None = None

    def groups(self, split: str) -> Ids:
        """Return the ids of what ``split`` keeps together: accounts, or groups of near-duplicates."""
        return self.accounts if split in BY_ACCOUNT else self.near_duplicates

    def repeats(self, test: Mask) -> Mask:
        """Return which posts are near-duplicates, at any account, of one of ``test``, shape (N,), or among them."""
        return test if self.reposts is None else np.isin(self.reposts, self.reposts[test])


def cut(taken_at: Times) -> float | None:
    """Return the time before which :data:`BEFORE` of the posts lie; None where there is no before and after."""
    known = taken_at[~np.isnan(taken_at)]
    if not len(known):
        return None
    time = float(np.quantile(known, BEFORE, method="higher"))
    return time if known.min() < time else None


def divide(posts: Posts, split: str, seed: int) -> tuple[Mask, Mask]:
    """Return which posts are the training part and which the test part of ``seed``.

    In the splits by time they leave out posts whose time is not known, and posts of neither part; in those by account
    near-duplicates, at other accounts, of what is tested.

    Raises:
        ValueError: The posts cannot be split so; :func:`impossible` says why.
    """
    why = impossible(posts, split)
    if why:
        raise ValueError(why)
    if split in (Split.INFLUENCER, Split.RANDOM):
        test = tested(posts.groups(split), seed)
        return ~(posts.repeats(test) if split in BY_ACCOUNT else test), test
    time = cut(posts.taken_at)
    assert time is not None  # else it is impossible
    after = posts.taken_at >= time
    later = np.flatnonzero(after)
    groups = posts.groups(split)
    test = np.zeros(len(groups), dtype=bool)
    test[later] = tested(groups[later], seed) if len(np.unique(groups[later])) > 1 else True
    left_out = test if split == Split.TIME_INFLUENCER else after
    train: Mask = (posts.taken_at < time) & ~np.isin(groups, groups[left_out])
    return train & ~posts.repeats(test) if split in BY_ACCOUNT else train, test


def impossible(posts: Posts, split: str) -> str:
    """Return why the posts cannot be split so, as the end of a sentence about the data; empty where they can."""
    groups = posts.groups(split)
    if split != Split.TIME and len(np.unique(groups)) < 2:
        kind = "one account" if split in BY_ACCOUNT else "posts that are all near-duplicates of each other"
        return f"the data has {kind}, which cannot be kept apart"
    if split in (Split.INFLUENCER, Split.RANDOM):
        return _all_repeated(posts) if split in BY_ACCOUNT else ""
    time = cut(posts.taken_at)
    if time is None:
        return "the data has no two times of publication, so nothing lies before and after"
    after, before = posts.taken_at >= time, posts.taken_at < time
    if split == Split.TIME and not (before & ~np.isin(groups, groups[after])).any():
        return "every post before the cut in time has a near-duplicate after it"
    if split == Split.TIME_INFLUENCER:
        return _too_few_accounts(posts, before, after)
    return ""


def _all_repeated(posts: Posts) -> str:
    if posts.reposts is None:
        return ""
    _, first, size = np.unique(posts.reposts, return_index=True, return_counts=True)
    accounts = len(np.unique(posts.accounts))
    own = len(np.unique(posts.accounts[first[size == 1]]))  # accounts with a post that nobody repeats
    if own > -(-accounts // min(FOLDS, accounts)):  # more than any seed tests
        return ""
    for seed in range(FOLDS):
        if posts.repeats(tested(posts.accounts, seed)).all():
            return "every post of the other accounts is a near-duplicate of one that is tested"
    return ""


def _too_few_accounts(posts: Posts, before: Mask, after: Mask) -> str:
    accounts = posts.accounts
    later = accounts[after]
    if len(np.unique(later)) < 2:
        return "the data has posts of one account alone after the cut in time"
    for seed in range(FOLDS):
        test = np.zeros(len(accounts), dtype=bool)
        test[after] = tested(later, seed)
        if not (before & ~np.isin(accounts, accounts[test]) & ~posts.repeats(test)).any():
            return "the data has too few accounts on both sides of the cut in time"
    return ""
