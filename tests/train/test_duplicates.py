"""Near-duplicates by picture: the sketch against angles, and the pairs against all pairs compared one by one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from shards.embeddings import Encoder
from train import duplicates
from train.features import Modality

WIDTH = 64


@pytest.fixture
def pictures(make_encoder: Callable[..., Encoder]) -> Callable[[npt.NDArray[np.float64]], Modality]:
    def make(vectors: npt.NDArray[np.float64]) -> Modality:
        present = np.abs(vectors).any(axis=1)
        starts = np.array([0, len(vectors)])
        return Modality(
            "image", make_encoder("image", WIDTH), (), WIDTH, (vectors.astype(np.float16),), starts, present, True
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
    signs = duplicates.sketches(pictures(both))
    found = np.mean([bits(signs[n], signs[n + 400]) for n in range(400)])
    assert found == pytest.approx(duplicates.BITS * angle / np.pi, rel=0.1, abs=1)


def test_pairs_are_those_within_accounts_that_differ_little(
    pictures: Callable[[npt.NDArray[np.float64]], Modality],
) -> None:
    """More of one account than are compared at a time, copies at all distances, and some without a picture."""
    random = np.random.default_rng(4)
    scenes = random.normal(size=(300, WIDTH))
    vectors = [rotated(scenes[random.integers(300)], random.uniform(0, 0.6), random) for _ in range(1_300)]
    accounts = np.where(np.arange(1_300) < 900, 7, random.integers(0, 5, size=1_300)).astype(np.uint64)
    modality = pictures(np.where(random.random((1_300, 1)) < 0.1, 0.0, np.array(vectors)))
    signs = duplicates.sketches(modality)
    rows, tokens = duplicates.links(accounts, modality.present, signs)
    pairs = [frozenset(rows[tokens == token].tolist()) for token in np.unique(tokens)]
    here = np.flatnonzero(modality.present).tolist()
    wanted = {
        frozenset((a, b))
        for a, b in combinations(here, 2)
        if accounts[a] == accounts[b] and bits(signs[a], signs[b]) <= duplicates.MAX_DIFFERENT
    }
    assert len(pairs) == len(set(pairs)) and set(pairs) == wanted
    assert len(wanted) > 100


def test_nobody_with_a_picture_gives_no_pair(pictures: Callable[[npt.NDArray[np.float64]], Modality]) -> None:
    modality = pictures(np.zeros((5, WIDTH)))
    rows, tokens = duplicates.links(np.zeros(5, np.uint64), modality.present, duplicates.sketches(modality))
    assert len(rows) == len(tokens) == 0
