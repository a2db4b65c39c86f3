"""A training that is killed and taken up again ends with the same weights as one that was left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from postmill.shards.formats import models
from postmill.shards.formats.encoders import Encoder
from postmill.shards.run.folder import Run
from postmill.train.data.modality import Block, Modality
from postmill.train.models import checkpoint, loop, pools, recipes
from postmill.train.models.checkpoint import Checkpoints, State
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.loop import Examples
from postmill.train.models.networks import Fusion, Spec
from postmill.train.models.problem import Fit
from postmill.train.stage import train_run
from tests.runs import new_run

ROWS = 400


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path / "run")


@pytest.fixture
def small_pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pools, "IN_MEMORY", 64)
    monkeypatch.setattr(pools, "POOL", 64)
    monkeypatch.setattr(pools, "STRETCH", 16)
    yield


class Killed(Exception):
    """Stands for the end of the process."""


class Fragile(Checkpoints):
    """Checkpoints after every pool, and a kill right after the nth of them."""

    def __init__(self, run: Run, after: int) -> None:
        super().__init__(run, "model", "settings", interval=0.0, long=0.0)
        self.left = after

    def keep(self, key: str, state: State) -> None:
        super().keep(key, state)
        self.left -= 1
        if self.left == 0:
            raise Killed


def trained(make_encoder: Callable[..., Encoder], checkpoints: Checkpoints | None, **changes: Any) -> dict[str, Any]:
    """The weights after three epochs of five pools each, with dropout, running means and intercepts."""
    random = np.random.default_rng(0)
    values = random.normal(size=(ROWS, 6)).astype(np.float16)
    modality = Modality(
        "text", make_encoder("text", 6), (), 6, (Block(values),), np.array([0, ROWS]), np.ones(ROWS, dtype=bool), True
    )
    target = values[:, 0].astype(np.float64) + random.normal(size=ROWS)
    recipe = replace(recipes.postmill(ROWS), epochs=3, batch=16, hidden=8, token=8, dropout=0.3)
    recipe = replace(recipe, **{name: value for name, value in changes.items() if name != "fusion"})
    with deterministic(7, threads=1):
        spec = Spec("text", 6, True, torch.zeros(6), torch.ones(6))
        network = Fusion((spec,), changes.get("fusion", "concatenation"), 8, 8, 0.3, 0.2)
        validation = np.arange(ROWS) % 5 == 0
        examples = Examples({"text": modality}, np.arange(ROWS), target, np.arange(ROWS) // 8, validation)
        log = loop.train(network, examples, TrainingContext(recipe, "cpu", checkpoints, "split-0.0"), 7)
    return {**{name: value.numpy() for name, value in network.state_dict().items()}, "log": vars(log)}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    assert one.keys() == other.keys() and one["log"] == other["log"]
    return all(np.array_equal(one[name], other[name]) for name in one if name != "log")


@pytest.mark.parametrize("after", [1, 4, 5, 11, 14])
def test_killed_at_a_step_and_taken_up_again_to_the_last_bit(
    make_encoder: Callable[..., Encoder], run: Run, small_pools: None, after: int
) -> None:
    undisturbed = trained(make_encoder, None)
    with pytest.raises(Killed):
        trained(make_encoder, Fragile(run, after))
    assert same(trained(make_encoder, Checkpoints(run, "model", "settings")), undisturbed)


@pytest.mark.parametrize("changes", [{"ema": None}, {"intercepts": None}, {"patience": 1}, {"fusion": "transformer"}])
def test_killed_at_every_epoch_of_every_kind(
    make_encoder: Callable[..., Encoder], run: Run, changes: dict[str, Any]
) -> None:
    undisturbed = trained(make_encoder, None, **changes)
    for _ in range(3):
        try:
            trained(make_encoder, Fragile(run, 1), **changes)
        except Killed:
            continue
    assert same(trained(make_encoder, Checkpoints(run, "model", "settings"), **changes), undisturbed)


def test_a_damaged_or_foreign_checkpoint_is_as_good_as_none(run: Run) -> None:
    state = State({"a": np.arange(3.0)}, {"epoch": 2})
    Checkpoints(run, "model", "settings").keep("x", state)
    kept = Checkpoints(run, "model", "settings").resume("x")
    assert kept is not None and kept.progress == {"epoch": 2} and kept.arrays["a"].tolist() == [0, 1, 2]
    assert Checkpoints(run, "model", "other settings").resume("x") is None
    path = models.folder(run, "model") / "checkpoint-x.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert Checkpoints(run, "model", "settings").resume("x") is None


def test_what_took_long_is_kept_and_replaces_its_pieces(run: Run) -> None:
    keeper = Checkpoints(run, "model", "settings", long=0.0)
    keeper.keep("split-0.0", State({}, {}))
    keeper.keep("split-01.0", State({}, {}))
    fitted = keeper.finished("split-0", lambda: Fit({"w": np.ones(2)}, {"trees": 3}))
    again = Checkpoints(run, "model", "settings").finished("split-0", lambda: pytest.fail("made twice"))
    assert again.details == fitted.details == {"trees": 3} and again.weights["w"].tolist() == [1, 1]
    assert keeper.resume("split-0.0") is None and keeper.resume("split-01.0") is not None
    keeper.clear()
    assert not list(models.folder(run, "model").iterdir())


def test_a_killed_model_ends_with_the_same_files(
    planted_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills within the second training, with everything kept: the first is not trained again."""
    runs_of = [planted_run(name, posts=120, accounts=30, text=0.5) for name in ("killed", "whole")]
    options: dict[str, Any] = dict(names=["text-mlp"], seeds=2, split_names=("influencer",))
    train_run(runs_of[1], **options)
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    monkeypatch.setattr(checkpoint, "LONG_S", 0.0)
    train, calls = loop.train, iter(range(100))

    def killed(*arguments: Any) -> loop.TrainingLog:
        if next(calls) == 4:
            raise Killed
        return train(*arguments)

    monkeypatch.setattr(loop, "train", killed)
    with pytest.raises(Killed):
        train_run(runs_of[0], **options)
    kept = {path.name for path in (runs_of[0].models / "text-mlp").glob("checkpoint-*.json")}
    assert "checkpoint-influencer-0.done.json" in kept
    train_run(runs_of[0], **options)
    assert next(calls) == 7  # five before the kill, and the two that were left
    files = [{p.name: p.read_bytes() for p in (run.models / "text-mlp").iterdir()} for run in runs_of]
    assert files[0] == files[1]
