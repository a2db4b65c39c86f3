"""Embeddings reduced to 32 bytes a post, by which pairs that may be alike are found, and their exact cosines.

Of an embedding the signs of 256 random projections are kept (SimHash; Charikar, 2002): two vectors at angle a differ in
about 256 a / pi of them. One pass in order makes them; only the pairs that they leave are looked up in the embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from postmill.train.data.arrays import Floats, Ids, Mask, Matrix, Rows
from postmill.train.data.modality import Modality

BITS = 256

_SEED = 1
_SAMPLE = 2_048  # posts, evenly over all, that the mean and the cosines of strangers are taken of
_CHUNK = 8_192  # rows, and pairs, at a time
_BLOCK = 512  # posts of one account that are compared with all others at a time
_DEVIATIONS = 3.0  # by which the bits of a pair may be more than those of its angle: of a thousand pairs one is more
_WORD = 16  # bits by which sketches are turned between two sortings
_NEIGHBOURS = 4  # in each order, that a sketch is compared with


@dataclass(frozen=True)
class Sketches:
    """The sketches of N posts.

    Attributes:
        modality: Of which they are.
        mean: Shape (D,), of the embeddings, which is taken from each of them.
        signs: Shape (N, 4): 256 bits each; zero where the post lacks the modality.
    """

    modality: Modality
    mean: Matrix
    signs: Ids

    @property
    def present(self) -> Mask:
        """Shape (N,): who has one."""
        return self.modality.present

    def different(self, first: Rows, second: Rows) -> Rows:
        """Return in how many bits two posts differ, for each of M pairs, shape (M,)."""
        return _bits(self.signs[first], self.signs[second])

    def cosines(self, first: Rows, second: Rows) -> Floats:
        """Return the cosines between the embeddings less their mean, for each of M pairs, shape (M,); 0 of nothing."""
        found = np.zeros(len(first))
        for start in range(0, len(first), _CHUNK):
            pairs = np.concatenate([first[start : start + _CHUNK], second[start : start + _CHUNK]])
            rows, position = np.unique(pairs, return_inverse=True)
            directions = self._directions(rows)[position]
            half = len(pairs) // 2
            found[start : start + half] = (directions[:half] * directions[half:]).sum(axis=1)
        return found

    def of_strangers(self, accounts: Ids) -> Floats:
        """Return the cosines between posts of different accounts, for all pairs of a sample of the posts."""
        rows = _sample(self.present)
        directions = self._directions(rows)
        apart = np.triu(accounts[rows][:, None] != accounts[rows][None], 1)
        cosines: Floats = (directions @ directions.T)[apart].astype(np.float64)
        return cosines

    def _directions(self, rows: Rows) -> Matrix:
        vectors = self.modality.take(rows) - self.mean
        vectors[~self.present[rows]] = 0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions: Matrix = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return directions


def sketch(modality: Modality) -> Sketches:
    """Return the sketches of N posts; one pass over their embeddings, in order."""
    posts = len(modality.present)
    planes = np.random.default_rng(_SEED).normal(size=(modality.width, BITS)).astype(np.float32)
    sample = _sample(modality.present)
    mean = modality.take(sample).mean(axis=0) if len(sample) else np.zeros(modality.width, dtype=np.float32)
    signs = np.zeros((posts, BITS // 64), dtype=np.uint64)
    for start in range(0, posts, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, posts))
        positive = (modality.take(rows) - mean) @ planes > 0
        signs[rows] = np.packbits(positive & modality.present[rows, None], axis=1).view(np.uint64)
    return Sketches(modality, mean, signs)


def most_different(*cosines: float) -> int:
    """Return in how many bits sketches differ at most, but for one pair of a thousand, at ``cosines`` or above them.

    Of several modalities it is the sum of their bits.
    """
    shares = [math.acos(min(cosine, 1.0)) / math.pi for cosine in cosines]
    variance = BITS * sum(share * (1 - share) for share in shares)
    return math.floor(BITS * sum(shares) + _DEVIATIONS * math.sqrt(variance))


def within_accounts(accounts: Ids, rows: Rows, signs: Ids, most: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield the pairs of ``rows`` of one account that differ in ``most`` bits or fewer; each pair once.

    Every pair is looked at: an index of approximate neighbours (datasketch, faiss) would look across accounts, and miss
    some.

    Args:
        accounts: Shape (N,), ids of accounts.
        rows: Shape (M,), those that are compared.
        signs: Shape (N, 4).
        most: Bits.
    """
    order = rows[np.argsort(accounts[rows], kind="stable")]
    for of_account in np.split(order, np.flatnonzero(np.diff(accounts[order])) + 1):
        for start in range(0, len(of_account), _BLOCK):
            block, rest = of_account[start : start + _BLOCK], of_account[start:]
            first, second = np.nonzero(_bits(signs[block][:, None], signs[rest][None]) <= most)
            later = second > first
            yield block[first[later]], rest[second[later]]


def across_accounts(accounts: Ids, rows: Rows, signs: Ids, most: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield pairs of ``rows`` of different accounts that differ in ``most`` bits or fewer; a pair may come again.

    All pairs would be too many. The sketches are sorted once for each of 16 turns of their bits, and in each order
    compared with the next few (Manku, Jain & Das Sarma, 2007): what differs in few bits is nearly always beside each
    other in one of them. Arguments are those of :func:`within_accounts`.
    """
    words = signs[rows].view(np.uint16)
    for turn in range(BITS // _WORD):
        leading = np.zeros(len(rows), dtype=np.uint64)
        for place in range(turn, turn + 64 // _WORD):
            leading = (leading << np.uint64(_WORD)) | words[:, place % words.shape[1]].astype(np.uint64)
        order = rows[np.argsort(leading, kind="stable")]
        sketched, owners = signs[order], accounts[order]
        for distance in range(1, _NEIGHBOURS + 1):
            near = _bits(sketched[:-distance], sketched[distance:]) <= most
            at = np.flatnonzero(near & (owners[:-distance] != owners[distance:]))
            yield order[at], order[at + distance]


def _bits(one: Ids, other: Ids) -> Rows:
    """Return in how many bits sketches differ, shape (..., 4) each, broadcast; a sum over the words, which is fast."""
    different = [np.bitwise_count(one[..., word] ^ other[..., word]) for word in range(BITS // 64)]
    total: Rows = np.add(different[0], different[1], dtype=np.int16)
    for more in different[2:]:
        total += more
    return total


def _sample(present: Mask) -> Rows:
    rows = np.flatnonzero(present)
    return rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(np.int64)]
