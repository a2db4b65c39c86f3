"""The training loop: batches from shuffled blocks, a step, a look at the validation part, the best weights kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from train.features import Modality, Rows
from train.networks import Batch
from train.recipes import Recipe

Floats = npt.NDArray[np.float64]

POOL = 65_536
"""Rows shuffled together in memory; with 1,280 numbers a row that is 320 MiB."""

STRETCH = 4_096
"""Rows read from disk in one piece when there are more rows than a pool holds."""

CHUNK = 8_192
"""Rows predicted at a time."""


@dataclass(frozen=True)
class History:
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


def fit(
    network: nn.Module,
    modalities: Mapping[str, Modality],
    rows: Rows,
    target: Floats,
    units: npt.NDArray[np.int64] | None,
    validation: npt.NDArray[np.bool_] | None,
    recipe: Recipe,
    seed: int,
) -> History:
    """Train ``network`` in place and leave it with its best weights.

    With ``units``, the target is the network's output plus an intercept of the post's unit, so that the network need
    not learn which unit a post is of. Intercepts have the penalty of a random effect and are then thrown away: for a
    new unit the best guess is 0.

    Args:
        network: Maps a batch to standardised targets.
        modalities: What it is shown.
        rows: Shape (N,), the training posts' rows in the modalities.
        target: Shape (N,), standardised.
        units: Shape (N,), number of each post's unit; None for no intercepts.
        validation: Shape (N,), which posts decide when to stop; None trains for all epochs of the recipe.
        recipe: Optimiser, batch size, epochs.
        seed: Of the shuffling.
    """
    if len(rows) <= POOL:
        modalities, rows = hold(modalities, rows), np.arange(len(rows))
    learn = np.arange(len(rows)) if validation is None else np.flatnonzero(~validation)
    judge = None if validation is None else np.flatnonzero(validation)
    intercepts = None if units is None or recipe.intercepts is None else _Intercepts(units[learn], recipe.intercepts)
    steps = math.ceil(len(learn) / recipe.batch) * recipe.epochs
    optimiser = recipe.optimiser(network.parameters(), None if intercepts is None else intercepts.values)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: recipe.rate_at(step, steps))
    random = np.random.default_rng(seed)
    best_loss = None if judge is None else _loss(network, modalities, rows[judge], target[judge])
    best_epoch, best_weights = 0, copy.deepcopy(network.state_dict())
    loss_sum, epoch = 0.0, 0
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        loss_sum = 0.0
        for at, batch in batches(modalities, rows[learn], recipe.batch, random):
            wanted = torch.from_numpy(target[learn[at]].astype(np.float32))
            predicted = network(batch)
            if intercepts is None:
                loss = nn.functional.mse_loss(predicted, wanted)
            else:
                level, penalty = intercepts(at)
                loss = nn.functional.mse_loss(predicted + level, wanted) + penalty
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            if recipe.clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
            optimiser.step()
            schedule.step()
            loss_sum += float(loss.detach()) * len(at)
        if judge is None or best_loss is None:
            continue
        now = _loss(network, modalities, rows[judge], target[judge])
        if now < best_loss:
            best_loss, best_epoch, best_weights = now, epoch, copy.deepcopy(network.state_dict())
        elif recipe.patience is not None and epoch - best_epoch >= recipe.patience:
            break
    if judge is None:
        best_epoch = epoch
    else:
        network.load_state_dict(best_weights)
    return History(epoch, best_epoch, loss_sum / len(learn) if epoch else None, best_loss)


class _Intercepts(nn.Module):
    """A level for each unit, with the penalty that a random effect has.

    A level's prior is one term beside its unit's n posts; each post of a batch carries its n-th part.
    """

    def __init__(self, units: npt.NDArray[np.int64], ratio: float) -> None:
        super().__init__()
        _, code, size = np.unique(units, return_inverse=True, return_counts=True)
        self.values = nn.Parameter(torch.zeros(len(size)))
        self._code = torch.from_numpy(code)
        self._share = torch.from_numpy((1 / (ratio * size[code])).astype(np.float32))

    def forward(self, at: Rows) -> tuple[Tensor, Tensor]:
        """Return the level of each post of a batch and the batch's penalty."""
        where = torch.from_numpy(at)
        level = self.values[self._code[where]]
        return level, (level**2 * self._share[where]).mean()


def batches(
    modalities: Mapping[str, Modality], rows: Rows, size: int, random: np.random.Generator
) -> Iterator[tuple[Rows, Batch]]:
    """Yield all of ``rows``, each once, in random order, in batches of at most ``size``: places in ``rows``, and data.

    Up to :data:`POOL` rows are shuffled as one. More are cut into stretches of :data:`STRETCH`, which are shuffled,
    pooled and shuffled again: the disk reads stretches, and batches are mixed all the same.
    """
    stretches = np.split(np.arange(len(rows)), range(STRETCH, len(rows), STRETCH))
    order = random.permutation(len(stretches))
    per_pool = POOL // STRETCH
    for first in range(0, len(order), per_pool):
        pool = np.concatenate([stretches[n] for n in sorted(order[first : first + per_pool])])
        shown = modalities if len(rows) <= POOL else hold(modalities, rows[pool])
        mixed = random.permutation(len(pool))
        for start in range(0, len(pool), size):
            some = mixed[start : start + size]
            yield pool[some], show(shown, rows[pool[some]] if len(rows) <= POOL else some)


def hold(modalities: Mapping[str, Modality], rows: Rows) -> dict[str, Modality]:
    """Return the modalities of ``rows`` alone, in memory; row n of them is ``rows[n]`` of the given ones."""
    return {
        name: replace(
            modality,
            blocks=(modality.take(rows),),
            starts=np.array([0, len(rows)], dtype=np.int64),
            present=modality.present[rows],
        )
        for name, modality in modalities.items()
    }


def show(modalities: Mapping[str, Modality], rows: Rows) -> Batch:
    """Return the batch of ``rows``."""
    return {
        name: (torch.from_numpy(modality.take(rows)), torch.from_numpy(modality.present[rows]))
        for name, modality in modalities.items()
    }


def predict(network: nn.Module, modalities: Mapping[str, Modality], rows: Rows) -> Floats:
    """Return the standardised predictions for ``rows``, shape (N,)."""
    network.eval()
    predicted = np.empty(len(rows))
    with torch.no_grad():
        for at in range(0, len(rows), CHUNK):
            out: Tensor = network(show(modalities, rows[at : at + CHUNK]))
            predicted[at : at + CHUNK] = out.numpy()
    return predicted


def _loss(network: nn.Module, modalities: Mapping[str, Modality], rows: Rows, target: Floats) -> float:
    return float(np.mean((predict(network, modalities, rows) - target) ** 2))
