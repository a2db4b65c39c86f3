"""Posts of one account that are nearly the same: by picture name, by caption, and by what a picture shows.

A file may come back re-encoded or cropped under another name. So each embedding is reduced to the signs of 256 random
projections (SimHash; Charikar, 2002): two vectors at angle a differ in about 256 a / pi of them. The pass over the
embeddings is one, in order; what stays is 32 bytes a post, compared within accounts alone, each pair exactly: an index
of approximate neighbours (datasketch, faiss) would look across accounts and miss some.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np

from postmill.shards.formats.blank import is_blank
from postmill.train.data.arrays import Ids, Mask, Rows
from postmill.train.data.hashing import hash64
from postmill.train.data.modality import Modality

BITS = 256
MAX_DIFFERENT = 24
"""Of the bits: about the cosine 0.96 between embeddings less their mean."""

_SEED = 1
_SAMPLE = 4_096
_CHUNK = 8_192
_BLOCK = 512


def normalise_caption(caption: str) -> str:
    """Return ``caption`` without what a repost changes: case, width of letters, and white space."""
    return " ".join(unicodedata.normalize("NFKC", caption).casefold().split())


def tokens(account: str, pictures: Iterable[str], caption: str | None) -> list[int]:
    """Return the tokens of one post; two posts that share one are near-duplicates.

    Tokens are those of the account's picture names and of its caption where there is one: posts of different
    accounts share none.
    """
    of_post = [hash64("picture", account, picture) for picture in pictures]
    text = "" if caption is None or is_blank(caption) else normalise_caption(caption)
    if text:
        of_post.append(hash64("caption", account, text))
    return of_post


def sketches(pictures: Modality) -> Ids:
    """Return the signs of N posts' embeddings, shape (N, 4): 256 bits each."""
    posts = len(pictures.present)
    planes = np.random.default_rng(_SEED).normal(size=(pictures.width, BITS)).astype(np.float32)
    present = np.flatnonzero(pictures.present)
    sample = present[np.linspace(0, len(present) - 1, min(_SAMPLE, len(present))).astype(np.int64)]
    mean = pictures.take(sample).mean(axis=0) if len(sample) else np.zeros(pictures.width, dtype=np.float32)
    signs = np.zeros((posts, BITS // 64), dtype=np.uint64)
    for start in range(0, posts, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, posts))
        positive = (pictures.take(rows) - mean) @ planes > 0
        signs[rows] = np.packbits(positive, axis=1).view(np.uint64)
    return signs


def linked(accounts: Ids, present: Mask, signs: Ids) -> tuple[Rows, Ids]:
    """Return rows and tokens of posts of one account with nearly the same picture: each pair shares a token.

    Args:
        accounts: Shape (N,), ids of accounts.
        present: Shape (N,), who has a picture.
        signs: Shape (N, 4), of :func:`sketches`.
    """
    pairs = list(_pairs(accounts, present, signs))
    joined = np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=np.int64)
    return joined.reshape(-1), np.repeat(np.arange(len(joined), dtype=np.uint64), 2)


def _pairs(accounts: Ids, present: Mask, signs: Ids) -> Iterator[Rows]:
    rows = np.flatnonzero(present)
    order = rows[np.argsort(accounts[rows], kind="stable")]
    bounds = np.flatnonzero(np.diff(accounts[order])) + 1
    for of_account in np.split(order, bounds):
        for start in range(0, len(of_account), _BLOCK):
            block, rest = of_account[start : start + _BLOCK], of_account[start:]
            different = np.bitwise_count(signs[block][:, None] ^ signs[rest][None]).sum(axis=2, dtype=np.uint16)
            first, second = np.nonzero(different <= MAX_DIFFERENT)
            later = second > first
            yield np.column_stack([block[first[later]], rest[second[later]]])
