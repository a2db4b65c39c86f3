"""The training loop: batches from shuffled pools, a step, a look at the validation part, the best weights kept.

It can be stopped after any pool and taken up again: weights, running means, the optimiser's moments, the state of
the random numbers and the place in the epoch are kept, and the end is the same to the last bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from train import pools
from train.checkpoint import Checkpoints, State
from train.features import Modality, Rows
from train.pools import Pool, Room
from train.problem import COVERAGE
from train.recipes import Recipe

Floats = npt.NDArray[np.float64]

_RAMP = 10.0  # steps after which the running mean of weights begins to be longer than the steps there were


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


@dataclass
class _Progress:
    """Where a training stands."""

    epoch: int = 1
    pool: int = 0
    step: int = 0
    seen: int = 0
    loss_sum: float = 0.0
    best_loss: float | None = None
    best_epoch: int = 0
    last_loss: float | None = None
    ended: bool = False


def fit(
    network: nn.Module,
    modalities: Mapping[str, Modality],
    rows: Rows,
    target: Floats,
    units: npt.NDArray[np.int64] | None,
    validation: npt.NDArray[np.bool_] | None,
    recipe: Recipe,
    seed: int,
    device: str = "cpu",
    checkpoints: Checkpoints | None = None,
    key: str = "",
) -> History:
    """Train ``network`` in place and leave it with its best weights.

    With ``units``, the target is the network's output plus an intercept of the post's unit, so that the network need
    not learn which unit a post is of. Intercepts have the penalty of a random effect and are then thrown away: for a
    new unit the best guess is 0.

    Args:
        network: Maps a batch to standardised targets, shape (B, 1), or with the ends of an interval, (B, 3).
        modalities: What it is shown.
        rows: Shape (N,), ascending: the training posts' rows in the modalities.
        target: Shape (N,), standardised.
        units: Shape (N,), number of each post's unit; None for no intercepts.
        validation: Shape (N,), which posts decide when to stop; None trains for all epochs of the recipe.
        recipe: Optimiser, batch size, epochs.
        seed: Of the shuffling.
        device: ``cpu`` or ``cuda``, where bf16 is used and the posts are held on the device if they fit.
        checkpoints: Where the state of a long training is kept; None keeps none.
        key: Name of this training there.
    """
    learn = np.arange(len(rows)) if validation is None else np.flatnonzero(~validation)
    judge = None if validation is None else np.flatnonzero(validation)
    network.to(device)
    averaged = network if recipe.ema is None else copy.deepcopy(network).requires_grad_(False)
    intercepts = None if units is None or recipe.intercepts is None else _Intercepts(units[learn], recipe.intercepts)
    if intercepts is not None:
        intercepts.to(device)
    optimiser = recipe.optimiser(network.parameters(), None if intercepts is None else intercepts.values)
    rates = [group["lr"] for group in optimiser.param_groups]
    steps = math.ceil(len(learn) / recipe.batch) * recipe.epochs
    wanted = torch.from_numpy(target[learn].astype(np.float32)).to(device)
    whole = _whole(modalities, rows[learn], device)

    at = _Progress()
    best = copy.deepcopy(averaged.state_dict())
    held = checkpoints.resume(key) if checkpoints is not None else None
    if held is not None:
        at = _restore(held, network, averaged, best, optimiser, intercepts)
    elif judge is not None:
        at.best_loss = _loss(averaged, modalities, rows[judge], target[judge], device)
    while at.epoch <= recipe.epochs and not at.ended:
        planned = [np.arange(len(learn))] if whole is not None else pools.pools(len(learn), seed, at.epoch)
        left = planned[at.pool :]
        network.train()
        room: Room = {}
        for own, places in zip(_holds(whole, modalities, [rows[learn[p]] for p in left], device), left, strict=True):
            room = room or own.room(min(recipe.batch, len(learn)))
            for some in pools.mixed(len(places), recipe.batch, seed, at.epoch, at.pool):
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * recipe.rate_at(at.step, steps)
                loss = _step(network, own, room, places, some, wanted, intercepts, optimiser, recipe, device)
                if recipe.ema is not None:
                    kept = min(recipe.ema, (1 + at.step) / (_RAMP + at.step))
                    torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), 1 - kept)
                at.step += 1
                at.seen += len(some)
                at.loss_sum += loss * len(some)
            at.pool += 1
            if checkpoints is not None and at.pool < len(planned) and checkpoints.due():
                checkpoints.keep(key, _state(at, network, averaged, best, optimiser, intercepts))
        at.last_loss = at.loss_sum / at.seen
        at.pool, at.seen, at.loss_sum = 0, 0, 0.0
        if judge is not None and at.best_loss is not None:
            now = _loss(averaged, modalities, rows[judge], target[judge], device)
            if now < at.best_loss:
                at.best_loss, at.best_epoch = now, at.epoch
                best = copy.deepcopy(averaged.state_dict())
            elif recipe.patience is not None and at.epoch - at.best_epoch >= recipe.patience:
                at.ended = True
        else:
            at.best_epoch = at.epoch
            best = averaged.state_dict()
        at.epoch += 1
        if checkpoints is not None and checkpoints.due():
            checkpoints.keep(key, _state(at, network, averaged, best, optimiser, intercepts))
    network.load_state_dict(best)
    return History(at.epoch - 1, at.best_epoch, at.last_loss, at.best_loss)


def predict(network: nn.Module, modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Floats:
    """Return what ``network`` says of ``rows``, standardised, shape (N, 1) or (N, 3)."""
    network.eval()
    found = []
    with torch.no_grad():
        for _, batch in pools.in_order(modalities, rows, device):
            with _precision(device):
                found.append(network(batch).float().cpu().numpy())
    return np.concatenate(found).astype(np.float64) if found else np.empty((0, 1))


def _step(
    network: nn.Module,
    held: Pool,
    room: Room,
    places: Rows,
    some: Rows,
    wanted: Tensor,
    intercepts: _Intercepts | None,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    device: str,
) -> float:
    """Take one step; return the loss of the batch."""
    where = torch.from_numpy(places[some]).to(device)
    goal = wanted[where]
    with _precision(device):
        out = network(held.batch(torch.from_numpy(some).to(device), room)).float()
    if intercepts is None:
        loss = nn.functional.mse_loss(out[:, 0], goal)
    else:
        level, penalty = intercepts(where)
        loss = nn.functional.mse_loss(out[:, 0] + level, goal) + penalty
    optimiser.zero_grad()
    torch.autograd.backward(loss if out.shape[1] == 1 else loss + _pinball(out[:, 1:], goal))
    if recipe.clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)
    optimiser.step()
    return float(loss.detach())


def _pinball(ends: Tensor, goal: Tensor) -> Tensor:
    """Return the quantile loss (Koenker and Bassett, 1978) of an interval's ends, shape (B, 2)."""
    outside = (1 - COVERAGE) / 2
    low, high = goal - ends[:, 0], goal - ends[:, 1]
    return (
        torch.maximum(outside * low, (outside - 1) * low) + torch.maximum((1 - outside) * high, -outside * high)
    ).mean()


class _Intercepts(nn.Module):
    """A level for each unit, with the penalty that a random effect has.

    A level's prior is one term beside its unit's n posts; each post of a batch carries its n-th part.
    """

    code: Tensor
    share: Tensor

    def __init__(self, units: npt.NDArray[np.int64], ratio: float) -> None:
        super().__init__()
        _, code, size = np.unique(units, return_inverse=True, return_counts=True)
        self.values = nn.Parameter(torch.zeros(len(size)))
        self.register_buffer("code", torch.from_numpy(code))
        self.register_buffer("share", torch.from_numpy((1 / (ratio * size[code])).astype(np.float32)))

    def forward(self, where: Tensor) -> tuple[Tensor, Tensor]:
        """Return the level of each post of a batch and the batch's penalty."""
        level = self.values[self.code[where]]
        return level, (level**2 * self.share[where]).mean()


def _whole(modalities: Mapping[str, Modality], rows: Rows, device: str) -> Pool | None:
    """Return the rows in memory where they fit: one pool of them, or what the device has room for; else None."""
    if len(rows) > pools.HELD:
        if device == "cpu":
            return None
        size = sum(modality.width * modality.blocks[0].itemsize for modality in modalities.values()) * len(rows)
        if size > 0.7 * torch.cuda.mem_get_info()[0]:
            return None
    return pools.hold(modalities, rows, device)


def _holds(whole: Pool | None, modalities: Mapping[str, Modality], wanted: list[Rows], device: str) -> Any:
    return [whole] * len(wanted) if whole is not None else pools.ahead(modalities, wanted, device)


def _precision(device: str) -> AbstractContextManager[Any]:
    return nullcontext() if device == "cpu" else torch.autocast(device, dtype=torch.bfloat16)


def _loss(network: nn.Module, modalities: Mapping[str, Modality], rows: Rows, target: Floats, device: str) -> float:
    return float(np.mean((predict(network, modalities, rows, device)[:, 0] - target) ** 2))


def _state(
    at: _Progress,
    network: nn.Module,
    averaged: nn.Module,
    best: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    intercepts: _Intercepts | None,
) -> State:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in averaged.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    if intercepts is not None:
        tensors["intercepts"] = intercepts.values.detach()
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    return State({name: value.cpu().numpy().copy() for name, value in tensors.items()}, vars(at).copy())


def _restore(
    held: State,
    network: nn.Module,
    averaged: nn.Module,
    best: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    intercepts: _Intercepts | None,
) -> _Progress:
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in held.arrays.items()}

    def part(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

    network.load_state_dict(part("network."))
    if averaged is not network:
        averaged.load_state_dict(part("averaged."))
    for name, value in part("best.").items():
        best[name] = value.to(best[name].device)
    if intercepts is not None:
        with torch.no_grad():
            intercepts.values.copy_(tensors["intercepts"])
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in part("optimiser.").items():
        number, field = name.split(".", 1)
        states.setdefault(int(number), {})[field] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    return _Progress(**held.place)
