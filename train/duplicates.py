"""Pictures of one account that are all but the same, found from their embeddings without keeping any of these.

A file may come back re-encoded or cropped under another name. Each embedding is reduced to the signs of 256 random
projections (SimHash; Charikar, 2002): two vectors at angle a differ in about 256 a / pi of them. The pass over the
embeddings is one, in order; what stays is 32 bytes a post, compared within accounts alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from train.features import Modality
from train.splits import Units

Rows = npt.NDArray[np.int64]

BITS = 256
MAX_DIFFERENT = 24
"""Of the bits: about the cosine 0.96 between embeddings less their mean."""

_SEED = 1
_SAMPLE = 4_096
_CHUNK = 8_192
_BLOCK = 512


def sketches(pictures: Modality) -> npt.NDArray[np.uint64]:
    """Return the signs of N posts' embeddings, shape (N, 4): 256 bits each."""
    rows = len(pictures.present)
    planes = np.random.default_rng(_SEED).normal(size=(pictures.width, BITS)).astype(np.float32)
    present = np.flatnonzero(pictures.present)
    sample = present[np.linspace(0, len(present) - 1, min(_SAMPLE, len(present))).astype(np.int64)]
    mean = pictures.take(sample).mean(axis=0) if len(sample) else np.zeros(pictures.width, dtype=np.float32)
    found = np.zeros((rows, BITS // 64), dtype=np.uint64)
    for start in range(0, rows, _CHUNK):
        at = np.arange(start, min(start + _CHUNK, rows))
        signs = (pictures.take(at) - mean) @ planes > 0
        found[at] = np.packbits(signs, axis=1).view(np.uint64)
    return found


def links(accounts: Units, present: npt.NDArray[np.bool_], signs: npt.NDArray[np.uint64]) -> tuple[Rows, Units]:
    """Return rows and tokens of posts of one account with all but the same picture: each pair shares a token.

    Args:
        accounts: Shape (N,), ids of accounts.
        present: Shape (N,), who has a picture.
        signs: Shape (N, 4), of :func:`sketches`.
    """
    pairs = list(_pairs(accounts, present, signs))
    joined = np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)
    return joined.reshape(-1), np.repeat(np.arange(len(joined), dtype=np.uint64), 2)


def _pairs(accounts: Units, present: npt.NDArray[np.bool_], signs: npt.NDArray[np.uint64]) -> Iterator[Rows]:
    rows = np.flatnonzero(present)
    order = rows[np.argsort(accounts[rows], kind="stable")]
    bounds = np.flatnonzero(np.diff(accounts[order])) + 1
    for own in np.split(order, bounds):
        for start in range(0, len(own), _BLOCK):
            some = own[start : start + _BLOCK]
            different = np.bitwise_count(signs[some][:, None] ^ signs[own[start:]][None]).sum(axis=2, dtype=np.uint16)
            first, second = np.nonzero(different <= MAX_DIFFERENT)
            later = second > first
            yield np.column_stack([some[first[later]], own[start + second[later]]])
