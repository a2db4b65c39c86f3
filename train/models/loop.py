"""The training loop: batches from shuffled pools, a step, a look at the validation part, the best weights kept.

It can be stopped after any pool and taken up again: weights, running means, the optimiser's moments, the state of
the random numbers and the position in the epoch are kept, and the end is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from postmill.train.data.arrays import Floats, Mask, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import pools, training_state
from postmill.train.models.learners import TrainingContext
from postmill.train.models.networks import Batch
from postmill.train.models.pools import Buffers, Pool
from postmill.train.models.problem import COVERAGE
from postmill.train.models.training_state import TrainingState


@dataclass(frozen=True)
class Examples:
    """What a network learns from, and what decides when it has learnt enough: N posts.

    Attributes:
        modalities: What it is shown.
        rows: Shape (N,), ascending: the posts' rows in the modalities.
        target: Shape (N,), standardised.
        groups: Shape (N,), number of each post's group. The target is then the network's output plus an intercept of
            the group, so that the network need not learn which group a post is of. Intercepts have the penalty of a
            random effect and are thrown away at the end: for a new group the best guess is 0. None for no intercepts.
        validation: Shape (N,), which posts decide when to stop and are not learnt from; None trains for all epochs.
    """

    modalities: Mapping[str, Modality]
    rows: Rows
    target: Floats
    groups: Rows | None = None
    validation: Mask | None = None


@dataclass(frozen=True)
class TrainingLog:
    """How a training went.

    Attributes:
        epochs: Epochs trained.
        best_epoch: The epoch whose weights were kept; 0 is the untrained network, which predicts the mean.
        training_loss: Mean squared error of standardised targets in the last epoch, dropout on.
        validation_loss: Best mean squared error of standardised targets; None without a validation part.
    """

    epochs: int
    best_epoch: int
    training_loss: float | None
    validation_loss: float | None


def train(network: nn.Module, examples: Examples, context: TrainingContext, seed: int) -> TrainingLog:
    """Train ``network`` in place and leave it with its best weights.

    Args:
        network: Maps a batch to standardised targets, shape (B, 1), or with the ends of an interval, (B, 3).
        examples: What it learns from.
        context: Recipe and checkpoints, and the device: on ``cuda`` bf16 is used, and the posts are kept there if
            they fit.
        seed: Of the shuffling.

    Raises:
        OSError: A file of vectors cannot be read.
    """
    recipe, device = context.recipe, context.device
    learn = np.arange(len(examples.rows)) if examples.validation is None else np.flatnonzero(~examples.validation)
    groups = None if examples.groups is None else examples.groups[learn]
    state = training_state.begin(network, recipe, groups, recipe.steps(len(learn)), device)
    feed = _Feed(examples, learn, context, seed)
    checkpoint = context.resume()
    if checkpoint is not None:
        training_state.restore(state, checkpoint)
    else:
        state.progress.best_loss = _validation_loss(state.judged, examples, device)
    while state.progress.epoch <= recipe.epochs and not state.progress.ended:
        _train_epoch(state, feed, context)
        _judge_epoch(state, _validation_loss(state.judged, examples, device))
        context.keep_if_due(partial(training_state.capture, state))
    network.load_state_dict(state.best)
    progress = state.progress
    return TrainingLog(progress.epoch - 1, progress.best_epoch, progress.last_loss, progress.best_loss)


def predict(network: nn.Module, modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Floats:
    """Return what ``network`` says of ``rows``, standardised, shape (N, 1) or (N, 3)."""
    network.eval()
    outputs = []
    with torch.no_grad():
        for batch in pools.in_order(modalities, rows, device):
            with _precision(device):
                outputs.append(network(batch).float().cpu().numpy())
    return np.concatenate(outputs).astype(np.float64) if outputs else np.empty((0, 1))


def _train_epoch(state: TrainingState, feed: _Feed, context: TrainingContext) -> None:
    """Learn from the pools of an epoch that are left."""
    progress = state.progress
    state.network.train()
    plan = feed.plan(progress.epoch)
    for batches in feed.pools(plan, progress.epoch, progress.pool):
        for positions, batch in batches:
            loss = _step(state, batch, positions, feed.target[positions])
            progress.seen += len(positions)
            progress.loss_sum += loss * len(positions)
        progress.pool += 1
        if progress.pool < len(plan):
            context.keep_if_due(partial(training_state.capture, state))
    progress.last_loss = progress.loss_sum / progress.seen
    progress.pool, progress.seen, progress.loss_sum = 0, 0, 0.0


def _step(state: TrainingState, batch: Batch, positions: Tensor, target: Tensor) -> float:
    """Take one step; return the loss of the batch."""
    with _precision(positions.device.type):
        output = state.network(batch).float()
    if state.intercepts is None:
        loss = nn.functional.mse_loss(output[:, 0], target)
    else:
        level, penalty = state.intercepts(positions)
        loss = nn.functional.mse_loss(output[:, 0] + level, target) + penalty
    state.update(loss if output.shape[1] == 1 else loss + _pinball(output[:, 1:], target))
    return float(loss.detach())


def _pinball(ends: Tensor, target: Tensor) -> Tensor:
    """Return the quantile loss (Koenker and Bassett, 1978) of an interval's ends, shape (B, 2)."""
    outside = (1 - COVERAGE) / 2
    low, high = target - ends[:, 0], target - ends[:, 1]
    return (
        torch.maximum(outside * low, (outside - 1) * low) + torch.maximum((1 - outside) * high, -outside * high)
    ).mean()


def _judge_epoch(state: TrainingState, validation_loss: float | None) -> None:
    """End an epoch: keep its weights if they are the best so far, else end the training if none were for too long."""
    progress, patience = state.progress, state.recipe.patience
    if validation_loss is None or progress.best_loss is None or validation_loss < progress.best_loss:
        progress.best_loss = validation_loss
        state.keep_weights()
    elif patience is not None and progress.epoch - progress.best_epoch >= patience:
        progress.ended = True
    progress.epoch += 1


def _validation_loss(network: nn.Module, examples: Examples, device: str) -> float | None:
    """Return the mean squared error on the validation part; None where there is none."""
    if examples.validation is None:
        return None
    rows, target = examples.rows[examples.validation], examples.target[examples.validation]
    return float(np.mean((predict(network, examples.modalities, rows, device)[:, 0] - target) ** 2))


def _precision(device: str) -> AbstractContextManager[Any]:
    return nullcontext() if device == "cpu" else torch.autocast(device, dtype=torch.bfloat16)


class _Feed:
    """The N posts that are learnt from, in pools, and these in batches; positions are from 0 to N."""

    def __init__(self, examples: Examples, learn: Rows, context: TrainingContext, seed: int) -> None:
        self.target = torch.from_numpy(examples.target[learn].astype(np.float32)).to(context.device)
        self._modalities, self._rows = examples.modalities, examples.rows[learn]
        self._batch, self._device, self._seed = context.recipe.batch, context.device, seed
        self._everything = _in_memory(self._modalities, self._rows, self._device)

    def plan(self, epoch: int) -> list[Rows]:
        """Return the positions of the posts of each pool of an epoch."""
        if self._everything is not None:
            return [np.arange(len(self._rows))]
        return pools.pools(len(self._rows), self._seed, epoch)

    def pools(self, plan: list[Rows], epoch: int, first: int) -> Iterator[Iterator[tuple[Tensor, Batch]]]:
        """Yield the batches of each pool of ``plan`` from ``first`` on, with the positions of their posts."""
        left = plan[first:]
        read: Iterable[Pool] = [self._everything] if self._everything is not None else self._read(left)
        buffers: Buffers = {}
        for number, (pool, positions) in enumerate(zip(read, left, strict=True), first):
            buffers = buffers or pool.buffers(min(self._batch, len(self._rows)))
            yield self._batches(pool, buffers, positions, (epoch, number))

    def _read(self, plan: list[Rows]) -> Iterator[Pool]:
        return pools.ahead(self._modalities, [self._rows[positions] for positions in plan], self._device)

    def _batches(
        self, pool: Pool, buffers: Buffers, positions: Rows, number: tuple[int, int]
    ) -> Iterator[tuple[Tensor, Batch]]:
        for chosen in pools.mixed(len(positions), self._batch, self._seed, *number):
            batch = pool.batch(torch.from_numpy(chosen).to(self._device), buffers)
            yield torch.from_numpy(positions[chosen]).to(self._device), batch


def _in_memory(modalities: Mapping[str, Modality], rows: Rows, device: str) -> Pool | None:
    """Return the rows in memory where they fit, on a GPU where that has room for them; else None."""
    if len(rows) > pools.IN_MEMORY:
        if device == "cpu":
            return None
        bytes_a_row = sum(modality.width * modality.blocks[0].values.itemsize for modality in modalities.values())
        if bytes_a_row * len(rows) > 0.7 * torch.cuda.mem_get_info()[0]:
            return None
    return pools.hold(modalities, rows, device)
