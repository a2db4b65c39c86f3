"""The loop: every row once an epoch, whether memory holds all or a pool; torch's settings put back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from postmill.shards.formats.encoders import Encoder
from postmill.train.data.arrays import Rows, Vectors
from postmill.train.data.modality import Block, Modality
from postmill.train.models import networks, pools, recipes, training_state
from postmill.train.models.determinism import deterministic
from postmill.train.models.networks import FUSIONS, Batch, Fusion, Gates, Spec, TwoLayer


def numbered(encoder: Encoder, rows: int, shards: int = 3) -> dict[str, Modality]:
    """A modality whose only component is the number of its row."""
    arrays = np.array_split(np.arange(rows, dtype=np.float32)[:, None], shards)
    blocks, starts = tuple(map(Block, arrays)), np.cumsum([0, *map(len, arrays)])
    return {"text": Modality("text", encoder, (), 1, blocks, starts, np.ones(rows, dtype=bool), True)}


@pytest.fixture(scope="module")
def encoder(make_encoder: Callable[..., Encoder]) -> Encoder:
    return make_encoder("text", 1, dtype="float32")


def epoch(modalities: dict[str, Modality], rows: Rows, size: int, seed: int) -> list[tuple[Rows, Batch]]:
    """The positions and the data of every batch of one epoch, as the loop takes them."""
    batches = []
    planned = pools.pools(len(rows), seed, 1)
    for number, (positions, pool) in enumerate(
        zip(planned, pools.ahead(modalities, [rows[p] for p in planned]), strict=True)
    ):
        for chosen in pools.mixed(len(positions), size, seed, 1, number):
            batch = pool.batch(torch.from_numpy(chosen), pool.buffers(size))
            batches.append((positions[chosen], {name: (v.clone(), p) for name, (v, p) in batch.items()}))
    return batches


@given(size=st.integers(1, 12), count=st.integers(1, 90), seed=st.integers(0, 9))
def test_every_row_comes_once_with_its_own_data(encoder: Encoder, size: int, count: int, seed: int) -> None:
    modalities = numbered(encoder, 100)
    rows = np.sort(np.random.default_rng(seed).permutation(100)[:count])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "POOL", 32)
        patch.setattr(pools, "STRETCH", 8)
        batches = epoch(modalities, rows, size, seed)
    assert sorted(np.concatenate([positions for positions, _ in batches]).tolist()) == list(range(count))
    for positions, batch in batches:
        assert 1 <= len(positions) <= size
        assert batch["text"][0][:, 0].tolist() == rows[positions].tolist()


def test_batches_are_mixed_and_the_same_for_a_seed(encoder: Encoder) -> None:
    modalities, rows = numbered(encoder, 100), np.arange(100)
    first, again, other = (
        np.concatenate([positions for positions, _ in epoch(modalities, rows, 10, seed)]).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first != sorted(first)


@pytest.mark.parametrize("fails", [False, True])
def test_who_waits_for_a_pool_reads_at_it(encoder: Encoder, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """Two threads read the stretches between them; what either of them cannot read is raised."""
    monkeypatch.setattr(pools, "STRETCH", 8)
    modalities, readers, read = numbered(encoder, 96), set(), pools.vectors.read

    def slow(modality: Modality, rows: Rows, out: Vectors) -> None:
        time.sleep(0.01)
        readers.add(threading.get_ident())
        if fails and threading.current_thread() is threading.main_thread() and len(readers) == 2:
            raise OSError("cut short")
        read(modality, rows, out)

    monkeypatch.setattr(pools.vectors, "read", slow)
    tables = [np.arange(start, start + 48) for start in (0, 48)]
    loaded = (pool.parts["text"][0][:, 0].tolist() for pool in pools.ahead(modalities, tables))
    if fails:
        with pytest.raises(OSError, match="cut short"):
            list(loaded)
        return
    assert list(loaded) == [rows.tolist() for rows in tables]
    assert len(readers) == 2


@given(st.lists(st.integers(0, 199), max_size=60), st.booleans())
def test_rows_of_a_file_are_read_as_they_were_written(
    encoder: Encoder, files: Path, drawn: list[int], ascending: bool
) -> None:
    blocks = tuple(Block.of_file(files / f"{n}.npy") for n in range(3))
    assert all(block.path is not None for block in blocks)
    starts = np.cumsum([0, *(len(block.values) for block in blocks)])
    modality = Modality("text", encoder, (), 5, blocks, starts, np.ones(200, dtype=bool), True)
    rows = np.array(sorted(set(drawn)) if ascending else drawn, dtype=np.int64)
    everything = np.concatenate([np.load(files / f"{n}.npy") for n in range(3)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "STRETCH", 7)
        in_memory = pools.hold({"text": modality}, rows).parts["text"][0].numpy()
        in_order = np.concatenate(
            [np.empty((0, 5), np.float16)]
            + [batch["text"][0].numpy().copy() for batch in pools.in_order({"text": modality}, rows)]
        )
    for read in (in_memory, in_order):
        assert read.dtype == np.float16
        np.testing.assert_array_equal(read, everything[rows])


def test_what_is_no_map_of_rows_in_order_is_read_through_memory(encoder: Encoder, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float16)
    path = tmp_path / "0.npy"
    np.save(path, np.asfortranarray(values))
    blocks = [Block.of_file(path), Block.of_file(path, values), Block(values)]
    assert [block.path for block in blocks] == [None, None, None]
    for block in blocks:
        modality = Modality("text", encoder, (), 5, (block,), np.array([0, 20]), np.ones(20, dtype=bool), True)
        rows = np.array([3, 0, 19])
        np.testing.assert_array_equal(pools.hold({"text": modality}, rows).parts["text"][0].numpy(), values[rows])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blocks")
    values = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float16)
    for number, block in enumerate(np.split(values, [90, 100])):
        np.save(folder / f"{number}.npy", block)
    return folder


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


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_is_absent_is_not_looked_at(fusion: str) -> None:
    with deterministic(0, threads=1):
        network = Fusion((spec("text", 3), spec("image", 4)), fusion, 8, 16, 0.0, 0.0).eval()
        single = TwoLayer(spec("text", 3), 8, 0.0).eval()
        both, first = torch.tensor([True, True]), torch.tensor([True, False])
        image = torch.randn(2, 4)
        one = {"text": (torch.tensor([[1.0, 2, 3], [4, 5, 6]]), first), "image": (image, both)}
        two = {"text": (torch.tensor([[1.0, 2, 3], [9, 9, 9]]), first), "image": (image, both)}
        seen = {"text": (two["text"][0], both), "image": (image, both)}
        for model in (network, single):
            assert torch.equal(model(one), model(two))
            assert not torch.equal(model(two)[1], model(seen)[1])


def test_modality_dropout_hides_modalities_in_training_alone() -> None:
    with deterministic(0, threads=1):
        network = Fusion((spec("text", 3),), "concatenation", 8, 16, 0.0, 0.5)
        batch = {"text": (torch.randn(64, 3), torch.ones(64, dtype=torch.bool))}
        network.train()
        _, shown = network.towers["text"](*batch["text"])
        assert 10 < int(shown.sum()) < 54
        network.eval()
        assert torch.equal(network(batch), network(batch))


def test_an_untrained_network_changes_nothing() -> None:
    with deterministic(0, threads=1):
        for network in (
            Fusion((spec("text", 3),), "concatenation", 8, 16, 0.0, 0.0),
            TwoLayer(spec("text", 3), 8, 0.0),
        ):
            batch = {"text": (torch.randn(5, 3), torch.ones(5, dtype=torch.bool))}
            assert network(batch)[:, 0].abs().sum() > 0
            networks.start_at_zero(network)
            assert network(batch)[:, 0].abs().sum() == 0


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


def test_the_rate_of_every_step_is_the_recipes_and_weights_are_averaged_over_more_and_more_steps() -> None:
    recipe, steps = replace(recipes.postmill(1_000), ema=0.8), 60
    with deterministic(0, threads=1):
        network = TwoLayer(spec("text", 3), 8, 0.0)
        state = training_state.begin(network, recipe, np.arange(4), steps, "cpu")
        mean = {name: value.detach().clone() for name, value in network.named_parameters()}
        for step in range(steps):
            factor = recipe.rate_at(step, steps)
            rates = [group["lr"] for group in state.optimiser.param_groups]
            assert rates == [recipe.rate * factor, recipes.INTERCEPT_RATE * recipe.rate * factor]
            batch = {"text": (torch.randn(5, 3), torch.ones(5, dtype=torch.bool))}
            state.update(network(batch).square().mean())
            for name, value in network.named_parameters():
                mean[name] = torch.lerp(mean[name], value.detach(), 1 - min(0.8, (1 + step) / (10 + step)))
    for name, value in state.judged.named_parameters():
        assert torch.equal(value, mean[name])
    assert state.judged is not network and (1 + step) / (10 + step) > 0.8


@pytest.mark.parametrize("posts", [1, 8, 78, 1_000, 10_000, 100_000, 8_000_000])
def test_a_recipe_fits_any_number_of_posts(posts: int) -> None:
    recipe = recipes.postmill(posts)
    assert 16 <= recipe.batch <= 1_024 and recipe.batch & (recipe.batch - 1) == 0


@pytest.mark.parametrize("fusion", FUSIONS)
def test_ends_of_an_interval_lie_around_the_prediction_and_do_not_bend_it(fusion: str) -> None:
    with deterministic(0, threads=1):
        network = Fusion((spec("text", 3), spec("metadata", 4)), fusion, 8, 16, 0.0, 0.0)
        present = torch.ones(6, dtype=torch.bool)
        out = network({"text": (torch.randn(6, 3), present), "metadata": (torch.randn(6, 4), present)})
        assert bool((out[:, 1] < out[:, 0]).all() and (out[:, 0] < out[:, 2]).all())
        torch.autograd.backward(out[:, 1:].sum())
    moved = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"spread"}


def test_gates_add_up_to_one() -> None:
    with deterministic(0, threads=1):
        network = Fusion((spec("text", 3), spec("image", 4)), "gates", 8, 16, 0.0, 0.0).eval()
        batch = {
            "text": (torch.randn(5, 3), torch.ones(5, dtype=torch.bool)),
            "image": (torch.randn(5, 4), torch.ones(5, dtype=torch.bool)),
        }
        assert isinstance(network.join, Gates)
        weights = network.join.weights(*network.tokens(batch))
    assert weights.shape == (5, 2)
    np.testing.assert_allclose(weights.sum(dim=1).detach().numpy(), 1, atol=1e-6)


def test_a_file_that_was_cut_short_is_an_error_and_not_the_end(encoder: Encoder, tmp_path: Path) -> None:
    """Beyond the end of its file, a memory map ends the process with SIGBUS."""
    path = tmp_path / "0.npy"
    np.save(path, np.zeros((20_000, 5), np.float16))
    modality = Modality(
        "text", encoder, (), 5, (Block.of_file(path),), np.array([0, 20_000]), np.ones(20_000, dtype=bool), True
    )
    rows = np.arange(20_000)
    assert sum(pool.rows for pool in pools.ahead({"text": modality}, [rows])) == 20_000
    os.truncate(path, 100_000)
    with pytest.raises(OSError, match="ends before byte"):
        list(pools.ahead({"text": modality}, [rows]))
