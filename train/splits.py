"""Who is trained on and who is tested on, decided by a keyed hash so that every worker agrees without a table.

A split divides *units*, never posts: in the split ``random`` a unit is a group of near-duplicates of one account,
in the split ``influencer`` it is an account. Units are put into the order of their keyed hash and dealt into five
folds; seed n tests on fold n and trains on the other four, so each seed is an 80/20 split of its own, and five seeds
test every post exactly once. Seeds from 5 deal anew. (Drawing each unit by its hash alone would leave the test part
empty in one of ten data sets of ten accounts.)
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Units = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

RANDOM, INFLUENCER = "random", "influencer"
SPLITS = (INFLUENCER, RANDOM)
FOLDS = 5
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
