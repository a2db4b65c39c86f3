"""The loop: every row once an epoch, whether memory holds all or a pool; torch's settings put back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shards.embeddings import Encoder
from train import loop, networks, recipes
from train.determinism import deterministic
from train.features import Modality
from train.networks import Fusion, Spec, TwoLayer


def numbered(encoder: Encoder, rows: int, shards: int = 3) -> dict[str, Modality]:
    """A modality whose only component is the number of its row."""
    blocks = tuple(np.array_split(np.arange(rows, dtype=np.float32)[:, None], shards))
    starts = np.cumsum([0, *map(len, blocks)])
    return {"text": Modality("text", encoder, (), 1, blocks, starts, np.ones(rows, dtype=bool), True)}


@pytest.fixture(scope="module")
def encoder(make_encoder: Callable[..., Encoder]) -> Encoder:
    return make_encoder("text", 1, dtype="float32")


@given(size=st.integers(1, 12), count=st.integers(1, 90), seed=st.integers(0, 9))
def test_every_row_comes_once_with_its_own_data(encoder: Encoder, size: int, count: int, seed: int) -> None:
    modalities = numbered(encoder, 100)
    rows = np.random.default_rng(seed).permutation(100)[:count]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "POOL", 32)
        patch.setattr(loop, "STRETCH", 8)
        found = list(loop.batches(modalities, rows, size, np.random.default_rng(seed)))
    assert sorted(np.concatenate([at for at, _ in found]).tolist()) == list(range(count))
    for at, batch in found:
        assert 1 <= len(at) <= size
        assert batch["text"][0][:, 0].tolist() == rows[at].tolist()


def test_batches_are_mixed_and_the_same_for_a_seed(encoder: Encoder) -> None:
    modalities, rows = numbered(encoder, 100), np.arange(100)
    first, again, other = (
        np.concatenate([at for at, _ in loop.batches(modalities, rows, 10, np.random.default_rng(seed))]).tolist()
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first != sorted(first)


def test_torch_is_left_as_it_was() -> None:
    torch.manual_seed(5)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.random.get_rng_state()
    with pytest.raises(RuntimeError, match="stop"), deterministic(3, threads=1):
        torch.rand(4)
        raise RuntimeError("stop")
    after = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.random.get_rng_state()
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])


def spec(name: str, width: int) -> Spec:
    return Spec(name, width, True, torch.zeros(width), torch.ones(width))


def test_what_is_absent_is_not_looked_at() -> None:
    with deterministic(0, threads=1):
        network = Fusion((spec("text", 3), spec("image", 4)), 8, 16, 0.0, 0.0).eval()
        single = TwoLayer(spec("text", 3), 8, 0.0).eval()
        here, gone = torch.tensor([True, True]), torch.tensor([True, False])
        image = torch.randn(2, 4)
        one = {"text": (torch.tensor([[1.0, 2, 3], [4, 5, 6]]), gone), "image": (image, here)}
        two = {"text": (torch.tensor([[1.0, 2, 3], [9, 9, 9]]), gone), "image": (image, here)}
        seen = {"text": (two["text"][0], here), "image": (image, here)}
        for model in (network, single):
            assert torch.equal(model(one), model(two))
            assert not torch.equal(model(two)[1], model(seen)[1])


def test_modality_dropout_hides_modalities_in_training_alone() -> None:
    with deterministic(0, threads=1):
        network = Fusion((spec("text", 3),), 8, 16, 0.0, 0.5)
        batch = {"text": (torch.randn(64, 3), torch.ones(64, dtype=torch.bool))}
        network.train()
        _, shown = network.towers["text"](*batch["text"])
        assert 10 < int(shown.sum()) < 54
        network.eval()
        assert torch.equal(network(batch), network(batch))


def test_an_untrained_network_changes_nothing() -> None:
    with deterministic(0, threads=1):
        for network in (Fusion((spec("text", 3),), 8, 16, 0.0, 0.0), TwoLayer(spec("text", 3), 8, 0.0)):
            batch = {"text": (torch.randn(5, 3), torch.ones(5, dtype=torch.bool))}
            assert network(batch).abs().sum() > 0
            networks.start_at_zero(network)
            assert network(batch).abs().sum() == 0


def test_the_papers_recipe_is_the_papers() -> None:
    paper = recipes.paper()
    optimiser = paper.optimiser([torch.nn.Parameter(torch.zeros(1))], None)
    assert type(optimiser) is torch.optim.Adam
    assert (paper.rate, paper.batch, paper.epochs, paper.weight_decay, paper.patience) == (1e-4, 64, 3, 0.0, None)
    assert [paper.rate_at(step, 10) for step in (0, 5, 9)] == [1.0, 1.0, 1.0]


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = recipes.postmill(1_000)
    rates = [recipe.rate_at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates[-1] < 0.001
    assert rates.index(1.0) in (9, 10) and sorted(rates[10:], reverse=True) == rates[10:]


@pytest.mark.parametrize("posts", [1, 8, 78, 1_000, 10_000, 100_000, 8_000_000])
def test_a_recipe_fits_any_number_of_posts(posts: int) -> None:
    recipe = recipes.postmill(posts)
    assert 16 <= recipe.batch <= 1_024 and recipe.batch & (recipe.batch - 1) == 0
