"""Who is trained on and who is tested on, decided by a keyed hash so that every worker agrees without a table.

A split divides *units*, never posts: in the split ``random`` a unit is a group of near-duplicates of one account,
in the split ``influencer`` it is an account. Units are put into the order of their keyed hash and dealt into five
folds; seed n tests on fold n and trains on the other four, so each seed is an 80/20 split of its own, and five seeds
test every post exactly once. Seeds from 5 deal anew. (Drawing each unit by its hash alone would leave the test part
empty in one of ten data sets of ten accounts.)

The splits by time have one cut, after four fifths of the posts in order of publication. Both test on the posts after
it, a fifth of them with each seed, so five seeds test each of these posts once, and the two can be compared post by
post. ``time`` trains on all that was published before the cut, less near-duplicates of what comes after;
``time-influencer`` also leaves out the accounts that its seed tests.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Units = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Times = npt.NDArray[np.float64]

RANDOM, INFLUENCER, TIME, TIME_INFLUENCER = "random", "influencer", "time", "time-influencer"
SPLITS = (INFLUENCER, RANDOM, TIME, TIME_INFLUENCER)
"""All splits, the headline first."""

BY_ACCOUNT = (INFLUENCER, TIME_INFLUENCER)
"""The splits that keep the accounts of the training and the test part apart."""

FOLDS = 5
BEFORE = 0.8
"""Share of the posts with a time that lie before the cut of the splits by time."""

_KEY = b"postmill"


def hash64(*parts: str) -> int:
    """Return the first 64 bits of the keyed BLAKE2b of ``parts``, which are kept apart by their lengths."""
    text = "".join([f"{len(part)}:{part}" for part in parts])
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=_KEY).digest()
    return int.from_bytes(digest, "little")


def hashes(kind: str, names: pa.Array) -> Units:
    """Return :func:`hash64` of ``kind`` and each of N strings, none of them null, shape (N,)."""
    encoded = names.dictionary_encode()
    distinct = encoded.dictionary.to_pylist()
    of_distinct = np.fromiter((hash64(kind, name) for name in distinct), dtype=np.uint64, count=len(distinct))
    found: Units = of_distinct[encoded.indices.to_numpy()]
    return found


def normalise_caption(caption: str) -> str:
    """Return ``caption`` without what a repost changes: case, width of letters, and white space."""
    return " ".join(unicodedata.normalize("NFKC", caption).casefold().split())


def near_duplicate_tokens(account: str, pictures: Iterable[str], caption: str | None) -> list[int]:
    """Return the tokens of one post; two posts that share one are near-duplicates.

    Tokens are those of the account's picture names and of its caption where there is one: posts of different
    accounts share none.
    """
    tokens = [hash64("picture", account, picture) for picture in pictures]
    text = normalise_caption(caption) if caption else ""
    if text:
        tokens.append(hash64("caption", account, text))
    return tokens


def components(size: int, rows: npt.NDArray[np.int64], tokens: Units) -> npt.NDArray[np.int64]:
    """Return, for each of ``size`` rows, the smallest row that it is connected with through shared tokens.

    Args:
        size: Number of rows.
        rows: Shape (M,), the row that has the token beside it.
        tokens: Shape (M,).
    """
    labels = np.arange(size, dtype=np.int64)
    if not len(tokens):
        return labels
    order = np.argsort(tokens, kind="stable")
    rows, tokens = rows[order], tokens[order]
    starts = np.flatnonzero(np.concatenate([[True], tokens[1:] != tokens[:-1]]))
    lengths = np.diff(np.append(starts, len(tokens)))
    while True:
        smallest = np.minimum.reduceat(labels[rows], starts)
        merged = labels.copy()
        np.minimum.at(merged, rows, np.repeat(smallest, lengths))
        # What a label's own row has learnt holds for all that carry the label: long chains shrink by halves.
        merged = merged[merged]
        if np.array_equal(merged, labels):
            return labels
        labels = merged


def unit_ids(labels: npt.NDArray[np.int64], names: pa.Array) -> Units:
    """Return the id of each row's unit: the smallest hash among the ``names`` of the unit's rows.

    The id depends on what is in the unit, not on where its rows stand.
    """
    hashed = hashes("unit", names)
    smallest = hashed.copy()
    np.minimum.at(smallest, labels, hashed)
    found: Units = smallest[labels]
    return found


def ordered(units: Units, seed: int, purpose: str) -> npt.NDArray[np.int64]:
    """Return the place (from 0) of each row's unit when the units stand in the order of their keyed hash.

    Args:
        units: Shape (N,), ids of units.
        seed: Another seed is another order.
        purpose: Another purpose (test part, validation part, folds) is another order too.
    """
    distinct, inverse = np.unique(units, return_inverse=True)
    salt = seed.to_bytes(8, "little")
    person = purpose.encode()
    keyed = np.fromiter(
        (
            int.from_bytes(hashlib.blake2b(u, digest_size=8, key=_KEY, salt=salt, person=person).digest(), "little")
            for u in map(bytes, distinct.astype("<u8").reshape(-1, 1).view(np.uint8))
        ),
        dtype=np.uint64,
        count=len(distinct),
    )
    place = np.empty(len(distinct), dtype=np.int64)
    place[np.lexsort((distinct, keyed))] = np.arange(len(distinct))
    return place[inverse]


def folds(units: Units, seed: int, purpose: str, count: int) -> npt.NDArray[np.int64]:
    """Deal the units into ``count`` folds; return each row's fold (from 0).

    Rows of one unit share a fold, and the numbers of units in two folds differ by one at most.
    """
    return ordered(units, seed, purpose) % count


def tested(units: Units, seed: int) -> Mask:
    """Return which rows are the test part of ``seed``: one unit in five, or one unit where there are fewer than five.

    Raises:
        ValueError: There are fewer than two units, so none can be kept apart.
    """
    count = min(FOLDS, len(np.unique(units)))
    if count < 2:
        raise ValueError(f"{count} unit cannot be split in two")
    test: Mask = folds(units, seed // count, "test", count) == seed % count
    return test


@dataclass(frozen=True)
class Posts:
    """What a split needs to know of N posts.

    Attributes:
        accounts: Shape (N,), ids of accounts.
        groups: Shape (N,), ids of groups of near-duplicates, each within one account.
        taken_at: Shape (N,), seconds since 1970; NaN where not known.
    """

    accounts: Units
    groups: Units
    taken_at: Times

    def units(self, split: str) -> Units:
        """Return the ids of what ``split`` keeps together: accounts, or groups of near-duplicates."""
        return self.accounts if split in BY_ACCOUNT else self.groups


def cut(taken_at: Times) -> float | None:
    """Return the time before which :data:`BEFORE` of the posts lie; None where there is no before and after."""
    known = taken_at[~np.isnan(taken_at)]
    if not len(known):
        return None
    at = float(np.quantile(known, BEFORE, method="higher"))
    return at if known.min() < at else None


def divide(posts: Posts, split: str, seed: int) -> tuple[Mask, Mask]:
    """Return which posts are the training part and which the test part of ``seed``.

    In the splits by time they leave out posts whose time is not known, and posts of neither part.

    Raises:
        ValueError: The posts cannot be split so; :func:`impossible` says why.
    """
    why = impossible(posts, split)
    if why:
        raise ValueError(why)
    if split in (INFLUENCER, RANDOM):
        test = tested(posts.units(split), seed)
        return ~test, test
    at = cut(posts.taken_at)
    assert at is not None  # else it is impossible
    after = posts.taken_at >= at
    later = np.flatnonzero(after)
    units = posts.units(split)
    test = np.zeros(len(units), dtype=bool)
    test[later] = tested(units[later], seed) if len(np.unique(units[later])) > 1 else True
    train: Mask = (posts.taken_at < at) & ~np.isin(units, units[test if split == TIME_INFLUENCER else after])
    return train, test


def impossible(posts: Posts, split: str) -> str:
    """Return why the posts cannot be split so, as the end of a sentence about the data; empty where they can."""
    units = posts.units(split)
    if split != TIME and len(np.unique(units)) < 2:
        kind = "one account" if split in BY_ACCOUNT else "posts that are all near-duplicates of each other"
        return f"the data has {kind}, which cannot be kept apart"
    if split in (INFLUENCER, RANDOM):
        return ""
    at = cut(posts.taken_at)
    if at is None:
        return "the data has no two times of publication, so nothing lies before and after"
    after, before = posts.taken_at >= at, posts.taken_at < at
    if split == TIME_INFLUENCER and len(np.unique(units[after])) < 2:
        return "the data has posts of one account alone after the cut in time"
    left = before & ~np.isin(units, units[after])
    if split == TIME and not left.any():
        return "every post before the cut in time has a near-duplicate after it"
    if split == TIME_INFLUENCER:
        for seed in range(FOLDS):
            later = np.flatnonzero(after)
            held = units[later][tested(units[later], seed)]
            if not (before & ~np.isin(units, held)).any():
                return "the data has too few accounts on both sides of the cut in time"
    return ""
