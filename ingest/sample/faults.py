"""Which posts of a sample have something wrong with them: at most one thing each, in about the dataset's rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FAULTS = (
    "renamed_account",  # owner.username is not the name in the file
    "missing_info",  # mapped, but no .info
    "unmapped_info",  # a .info without a mapping row
    "missing_picture",  # the last picture listed is not in the archive
    "repeated_row",  # the mapping row stands twice
    "hidden_likes_null",
    "hidden_likes_minus_one",
    "empty_info",  # 0 bytes
    "broken_info",  # cut short, so not JSON
)
# Share of posts; one post where it is 0. Whole accounts are renamed, so that share is what it can come to.
_RATES = {
    "missing_info": 0.033,
    "unmapped_info": 0.02,
    "missing_picture": 0.01,
    "repeated_row": 0.002,
    "hidden_likes_null": 0.005,
    "hidden_likes_minus_one": 0.005,
    "empty_info": 0.0,
    "broken_info": 0.0,
}
_RENAMED = 0.017
FAULTS_FROM = 40  # posts at least, else the faults would be most of the sample


def choose_faults(rng: np.random.Generator, owner: NDArray[np.int64], busy: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each post the index of its fault in :data:`FAULTS`, -1 where it has none.

    Args:
        rng: Where the choice comes from.
        owner: Each post's account, ascending.
        busy: Posts to leave alone, but for renaming: near-duplicates and their originals.
    """
    posts = len(owner)
    faults = np.full(posts, -1)
    if posts < FAULTS_FROM:
        return faults
    left = round(posts * _RENAMED)
    counts = np.bincount(owner)
    for account in rng.permutation(len(counts)):
        if 0 < counts[account] <= left:
            faults[owner == account] = 0
            left -= int(counts[account])
    free = rng.permutation(np.flatnonzero((faults < 0) & ~busy))
    used = 0
    for name, rate in _RATES.items():
        count = max(1, round(posts * rate))
        faults[free[used : used + count]] = FAULTS.index(name)
        used += count
    return faults
