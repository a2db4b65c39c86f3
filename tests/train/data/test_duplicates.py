"""Near-duplicates: tokens of names and captions; sketches against angles; pairs against all pairs, one by one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from postmill.shards.formats.encoders import Encoder
from postmill.train.data import near_duplicates
from postmill.train.data.modality import Block, Modality

WIDTH = 64


@pytest.fixture
def pictures(make_encoder: Callable[..., Encoder]) -> Callable[[npt.NDArray[np.float64]], Modality]:
    def make(vectors: npt.NDArray[np.float64]) -> Modality:
        present = np.abs(vectors).any(axis=1)
        starts = np.array([0, len(vectors)])
        return Modality(
            "image",
            make_encoder("image", WIDTH),
            (),
            WIDTH,
            (Block(vectors.astype(np.float16)),),
            starts,
            present,
            True,
        )

    return make


def rotated(vector: npt.NDArray[np.float64], angle: float, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """A vector of the same length at ``angle`` (radians) to ``vector``."""
    other = random.normal(size=len(vector))
    other -= other @ vector / (vector @ vector) * vector
    other *= np.linalg.norm(vector) / np.linalg.norm(other)
    return np.cos(angle) * vector + np.sin(angle) * other


def bits(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> int:
    return sum(int(a ^ b).bit_count() for a, b in zip(one.tolist(), other.tolist(), strict=True))


@pytest.mark.parametrize("angle", [0.1, 0.3, 0.8, 1.5])
def test_sketches_differ_by_the_share_of_the_angle(
    pictures: Callable[[npt.NDArray[np.float64]], Modality], angle: float
) -> None:
    random = np.random.default_rng(3)
    first = random.normal(size=(400, WIDTH))
    both = np.concatenate([first, [rotated(vector, angle, random) for vector in first]])
    signs = near_duplicates.sketches(pictures(both))
    different = np.mean([bits(signs[n], signs[n + 400]) for n in range(400)])
    assert different == pytest.approx(near_duplicates.BITS * angle / np.pi, rel=0.1, abs=1)


def test_pairs_are_those_within_accounts_that_differ_little(
    pictures: Callable[[npt.NDArray[np.float64]], Modality],
) -> None:
    """More of one account than are compared at a time, copies at all distances, and some without a picture."""
    random = np.random.default_rng(4)
    scenes = random.normal(size=(300, WIDTH))
    vectors = [rotated(scenes[random.integers(300)], random.uniform(0, 0.6), random) for _ in range(1_300)]
    accounts = np.where(np.arange(1_300) < 900, 7, random.integers(0, 5, size=1_300)).astype(np.uint64)
    modality = pictures(np.where(random.random((1_300, 1)) < 0.1, 0.0, np.array(vectors)))
    signs = near_duplicates.sketches(modality)
    rows, tokens = near_duplicates.linked(accounts, modality.present, signs)
    pairs = [frozenset(rows[tokens == token].tolist()) for token in np.unique(tokens)]
    with_picture = np.flatnonzero(modality.present).tolist()
    expected = {
        frozenset((a, b))
        for a, b in combinations(with_picture, 2)
        if accounts[a] == accounts[b] and bits(signs[a], signs[b]) <= near_duplicates.MAX_DIFFERENT
    }
    assert len(pairs) == len(set(pairs)) and set(pairs) == expected
    assert len(expected) > 100


def test_nobody_with_a_picture_gives_no_pair(pictures: Callable[[npt.NDArray[np.float64]], Modality]) -> None:
    modality = pictures(np.zeros((5, WIDTH)))
    rows, tokens = near_duplicates.linked(np.zeros(5, np.uint64), modality.present, near_duplicates.sketches(modality))
    assert len(rows) == len(tokens) == 0


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (("ann", ["1.jpg"], "x"), ("ann", ["1.jpg", "2.jpg"], "y"), True),
        (("ann", ["1.jpg"], "Same  words\nhere"), ("ann", ["2.jpg"], "same words here "), True),
        (("ann", ["1.jpg"], "same words here"), ("bob", ["1.jpg"], "same words here"), False),
        (("ann", ["1.jpg"], ""), ("ann", ["2.jpg"], "  "), False),
        (("ann", ["1.jpg"], None), ("ann", ["2.jpg"], None), False),
        (("ann", ["1.jpg"], "\u2800"), ("ann", ["2.jpg"], "\u2800"), False),
        (("ann", ["1.jpg"], "\uff33ale"), ("ann", ["2.jpg"], "sale"), True),
        (("ann", ["1.jpg"], "1.jpg"), ("ann", ["2.jpg"], "2.jpg"), False),
    ],
)
def test_near_duplicates_share_a_token(
    first: tuple[str, list[str], str | None], second: tuple[str, list[str], str | None], together: bool
) -> None:
    shared = set(near_duplicates.tokens(*first)) & set(near_duplicates.tokens(*second))
    assert bool(shared) == together
