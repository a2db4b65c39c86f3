"""Near-duplicates: tokens of names and captions; sketches against angles; pairs against all pairs, one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from postmill.shards.formats.encoders import Encoder
from postmill.train.data import near_duplicates, sketches
from postmill.train.data.modality import Block, Modality
from postmill.train.data.near_duplicates import Alike, Compared

WIDTH = 64
Floats = npt.NDArray[np.float64]
MakeModality = Callable[[Floats], Modality]


@pytest.fixture
def embedded(make_encoder: Callable[..., Encoder]) -> MakeModality:
    def make(vectors: Floats) -> Modality:
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


def rotated(vector: Floats, angle: float, random: np.random.Generator) -> Floats:
    """A vector of the same length at ``angle`` (radians) to ``vector``."""
    other = random.normal(size=len(vector))
    other -= other @ vector / (vector @ vector) * vector
    other *= np.linalg.norm(vector) / np.linalg.norm(other)
    return np.cos(angle) * vector + np.sin(angle) * other


def bits(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> int:
    return sum(int(a ^ b).bit_count() for a, b in zip(one.tolist(), other.tolist(), strict=True))


@pytest.mark.parametrize("angle", [0.1, 0.3, 0.8, 1.5])
def test_sketches_differ_by_the_share_of_the_angle(embedded: MakeModality, angle: float) -> None:
    random = np.random.default_rng(3)
    first = random.normal(size=(400, WIDTH))
    both = np.concatenate([first, [rotated(vector, angle, random) for vector in first]])
    sketched = sketches.sketch(embedded(both))
    rows = np.arange(400)
    different = [bits(sketched.signs[n], sketched.signs[n + 400]) for n in rows]
    assert sketched.different(rows, rows + 400).tolist() == different
    assert np.mean(different) == pytest.approx(sketches.BITS * angle / np.pi, rel=0.1, abs=1)
    assert np.mean(np.array(different) <= sketches.most_different(np.cos(angle))) > 0.98


def test_cosines_are_those_of_the_embeddings_less_their_mean(embedded: MakeModality) -> None:
    vectors = np.random.default_rng(5).normal(3, 1, size=(50, WIDTH))
    vectors[7] = 0
    sketched = sketches.sketch(embedded(vectors))
    first, second = (np.random.default_rng(seed).integers(0, 50, 20_000) for seed in (6, 7))
    shown = vectors.astype(np.float16).astype(np.float64)
    centred = shown - np.delete(shown, 7, axis=0).mean(axis=0)
    centred[7] = 0
    lengths = np.linalg.norm(centred, axis=1)
    lengths[7] = 1
    expected = (centred[first] * centred[second]).sum(axis=1) / lengths[first] / lengths[second]
    assert np.allclose(sketched.cosines(first, second), expected, atol=1e-5)


def drawn(posts: int, random: np.random.Generator) -> Floats:
    """Vectors at all distances from few scenes, and some of nothing."""
    scenes = random.normal(size=(posts // 4, WIDTH))
    vectors = [rotated(scenes[random.integers(len(scenes))], random.uniform(0, 0.9), random) for _ in range(posts)]
    return np.where(random.random((posts, 1)) < 0.1, 0.0, np.array(vectors))


def by_hand(accounts: npt.NDArray[np.uint64], pictures: Compared, captions: Compared | None) -> set[tuple[int, int]]:
    """The pairs that are alike, of all there are."""
    first, second = np.triu_indices(len(accounts), 1)
    shown = pictures.sketches.cosines(first, second)
    alike = shown >= pictures.alike.alone
    if captions is not None:
        said = captions.sketches.cosines(first, second)
        written = captions.sketches.present[first] & captions.sketches.present[second]
        short = np.minimum(shown - pictures.alike.beside, said - captions.alike.beside)
        enough = shown + said >= pictures.alike.beside + captions.alike.beside
        alike |= written & (short >= -0.2) & enough
    return set(zip(first[alike].tolist(), second[alike].tolist(), strict=True))


@pytest.mark.parametrize("with_captions", [True, False])
def test_pairs_are_those_that_are_alike(embedded: MakeModality, with_captions: bool) -> None:
    """Of one account all of them, more posts than are compared at a time; of different accounts nearly all."""
    random = np.random.default_rng(4)
    accounts = np.where(np.arange(700) < 600, 7, random.integers(0, 5, size=700)).astype(np.uint64)
    alike = Alike(beside=0.8, alone=0.93)
    pictures, captions = (Compared(sketches.sketch(embedded(drawn(700, random))), alike) for _ in range(2))
    expected = by_hand(accounts, pictures, captions if with_captions else None)
    within = {pair for pair in expected if accounts[pair[0]] == accounts[pair[1]]}
    across = expected - within
    assert min(len(within), len(across)) > 20
    said = captions if with_captions else None
    found = near_duplicates.within_accounts(accounts, pictures, said)
    assert len(found) == len({*map(tuple, found.tolist())})
    assert {(a, b) for a, b in found.tolist()} == within
    elsewhere = {(a, b) for a, b in near_duplicates.across_accounts(accounts, pictures, said).tolist()}
    assert elsewhere <= across
    assert len(elsewhere) > 0.9 * len(across)


@pytest.mark.parametrize(("shown", "said", "together"), [(0.7, 0.95, 1), (0.95, 0.7, 1), (0.7, 0.85, 0), (0.55, 1, 0)])
def test_what_one_falls_short_of_the_other_makes_up_for(
    embedded: MakeModality, shown: float, said: float, together: int
) -> None:
    random = np.random.default_rng(10)
    accounts = np.zeros(400, dtype=np.uint64)
    both = []
    for cosine in (shown, said):
        vectors = random.normal(size=(400, WIDTH))
        vectors[1] = rotated(vectors[0], float(np.arccos(cosine)), random)
        both.append(Compared(sketches.sketch(embedded(vectors)), Alike(beside=0.8, alone=0.97)))
    assert len(near_duplicates.within_accounts(accounts, *both)) == together


def test_captions_tell_which_of_pictures_alike_are_the_same(embedded: MakeModality) -> None:
    """Posts 0 and 1 say the same, 2 and 3 do not, 4 and 5 say nothing; all three pairs of pictures are alike."""
    random = np.random.default_rng(8)
    shown = random.normal(size=(400, WIDTH))
    said = random.normal(size=(400, WIDTH))
    for first in (0, 2, 4):
        shown[first + 1] = rotated(shown[first], 0.5, random)
    said[1] = rotated(said[0], 0.3, random)
    said[4:6] = 0
    accounts = np.zeros(400, dtype=np.uint64)
    alike = Alike(beside=0.8, alone=0.93)
    pictures, captions = (Compared(sketches.sketch(embedded(each)), alike) for each in (shown, said))
    assert near_duplicates.within_accounts(accounts, pictures, captions).tolist() == [[0, 1]]
    assert near_duplicates.within_accounts(accounts, pictures, None).tolist() == []
    shown[5] = rotated(shown[4], 0.2, random)
    pictures = Compared(sketches.sketch(embedded(shown)), alike)
    assert near_duplicates.within_accounts(accounts, pictures, captions).tolist() == [[0, 1], [4, 5]]


def test_what_is_alike_to_an_unknown_encoder_is_told_by_strangers(embedded: MakeModality) -> None:
    """One pair of strangers in 10,000 is nearer than `beside`, hardly any nearer than `alone`."""
    random = np.random.default_rng(9)
    vectors = random.normal(size=(1_500, 8)) @ random.normal(size=(8, WIDTH)) + 2 * random.normal(size=(1, WIDTH))
    accounts = np.arange(1_500).astype(np.uint64) // 3
    sketched = sketches.sketch(embedded(vectors))
    assert sketched.modality.encoder.model not in near_duplicates.MEASURED
    alike = near_duplicates.compared(sketched, accounts).alike
    first, second = np.triu_indices(1_500, 1)
    cosines = sketched.cosines(first, second)[accounts[first] != accounts[second]]
    assert (cosines > alike.beside).mean() == pytest.approx(1 / 10_000, rel=0.05)
    assert (cosines > alike.alone).mean() < 1e-5 and alike.alone < 1
    few = near_duplicates.compared(sketches.sketch(embedded(vectors[:100])), accounts[:100])
    assert few.alike == near_duplicates.CAUTIOUS
    unlike = near_duplicates.compared(sketches.sketch(embedded(random.normal(size=(600, WIDTH)))), accounts[:600])
    assert unlike.alike.beside == 0.7


def test_nobody_with_a_picture_gives_no_pair(embedded: MakeModality) -> None:
    nothing = near_duplicates.compared(sketches.sketch(embedded(np.zeros((5, WIDTH)))), np.zeros(5, np.uint64))
    for find in (near_duplicates.within_accounts, near_duplicates.across_accounts):
        assert len(find(np.arange(5).astype(np.uint64), nothing, nothing)) == 0


LONG = "a caption of forty letters, which nobody writes by chance"


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ((["17.jpg"], LONG), (["18.jpg"], LONG.upper() + " "), True),
        ((["17.jpg"], "sale! " * 5), (["18.jpg"], "sale! " * 5), False),
        ((["17.jpg"], "\U0001f600" * 60), (["18.jpg"], "\U0001f600" * 60), False),
        ((["17.jpg"], None), (["17.jpg"], None), False),
        ((["1639145619102176348.jpg"], None), (["2.jpg", "1639145619102176348.jpg"], "x"), True),
    ],
)
def test_reposts_at_any_account_share_a_token(
    first: tuple[list[str], str | None], second: tuple[list[str], str | None], together: bool
) -> None:
    shared = set(near_duplicates.tokens_of_anybody(*first)) & set(near_duplicates.tokens_of_anybody(*second))
    assert bool(shared) == together


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
