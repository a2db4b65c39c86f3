"""Everything that changes while a network is trained, and so all that a checkpoint of it holds."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from postmill.train.data.arrays import Rows
from postmill.train.models.checkpoint import State
from postmill.train.models.recipes import Recipe

_RAMP = 9.0  # after n steps the running mean keeps the share n / (9 + n) of the old, until that is the recipe's


class Intercepts(nn.Module):
    """A level for each group beside a network, so that it need not learn which group a post is of.

    It has the penalty of a random effect. A level's prior is one term beside its group's n posts; each post of a batch
    carries its n-th part.

    Args:
        groups: Shape (N,), number of each training post's group.
        variance_ratio: Variance of levels over that of posts.
    """

    code: Tensor
    share: Tensor

    def __init__(self, groups: Rows, variance_ratio: float) -> None:
        super().__init__()
        _, code, size = np.unique(groups, return_inverse=True, return_counts=True)
        self.values = nn.Parameter(torch.zeros(len(size)))
        self.register_buffer("code", torch.from_numpy(code))
        self.register_buffer("share", torch.from_numpy((1 / (variance_ratio * size[code])).astype(np.float32)))

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the level of each post of a batch, shape (B,), and the batch's penalty; (B,) positions among N."""
        level = self.values[self.code[positions]]
        return level, (level**2 * self.share[positions]).mean()


@dataclass
class LoopProgress:
    """How far a training is.

    Attributes:
        epoch: The one in hand, from 1.
        pool: The next pool of that epoch, from 0.
        step: Steps taken in all epochs.
        seen: Posts of this epoch that were learnt from.
        loss_sum: The losses of their batches, each times its number of posts.
        best_loss: The lowest validation loss so far; None without a validation part.
        best_epoch: The epoch that had it; 0 is the untrained network.
        last_loss: The mean training loss of the last epoch that is over.
        ended: Whether the validation loss has not fallen for too long.
    """

    epoch: int = 1
    pool: int = 0
    step: int = 0
    seen: int = 0
    loss_sum: float = 0.0
    best_loss: float | None = None
    best_epoch: int = 0
    last_loss: float | None = None
    ended: bool = False


@dataclass
class TrainingState:
    """A training in hand.

    Attributes:
        network: What is trained.
        averaged: The running mean of its weights; None where the weights themselves are judged.
        intercepts: Levels of groups, learnt beside it; None for none.
        optimiser: Of both.
        schedule: Of the optimiser's learning rates, step by step.
        recipe: The settings.
        best: The weights of ``judged`` that are kept so far.
        progress: How far it is.
    """

    network: nn.Module
    averaged: AveragedModel | None
    intercepts: Intercepts | None
    optimiser: torch.optim.Optimizer
    schedule: LambdaLR
    recipe: Recipe
    best: dict[str, Tensor]
    progress: LoopProgress = field(default_factory=LoopProgress)

    @property
    def judged(self) -> nn.Module:
        """What is judged and kept: the running mean, or the network itself."""
        return self.network if self.averaged is None else self.averaged.module

    def update(self, loss: Tensor) -> None:
        """Take one step down the gradient of ``loss``."""
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.schedule.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        self.progress.step += 1

    def keep_weights(self) -> None:
        """Take the weights of this epoch for the best."""
        self.best = copy.deepcopy(self.judged.state_dict())
        self.progress.best_epoch = self.progress.epoch


def begin(network: nn.Module, recipe: Recipe, groups: Rows | None, steps: int, device: str) -> TrainingState:
    """Return the state before the first step; the network is moved to the device.

    Args:
        network: What is to be trained.
        recipe: The settings.
        groups: Shape (N,), number of the group of each post that is learnt from; None for no intercepts.
        steps: How many steps all epochs have.
        device: ``cpu`` or ``cuda``.
    """
    network.to(device)
    averaged = None if recipe.ema is None else _averaged(network, recipe.ema)
    intercepts = None if groups is None or recipe.intercepts is None else Intercepts(groups, recipe.intercepts)
    if intercepts is not None:
        intercepts.to(device)
    optimiser = recipe.optimiser(network.parameters(), None if intercepts is None else intercepts.values)
    schedule = LambdaLR(optimiser, partial(recipe.rate_at, steps=steps))
    state = TrainingState(network, averaged, intercepts, optimiser, schedule, recipe, {})
    state.best = copy.deepcopy(state.judged.state_dict())
    return state


def _averaged(network: nn.Module, ema: float) -> AveragedModel:
    """Return the running mean of the network's weights, which begins with the weights of now.

    With each step it keeps the share ``ema`` of what it was; less as long as there were few steps, so that where the
    training began is soon forgotten.
    """

    def average(means: Sequence[Tensor], weights: Sequence[Tensor], averaged: Tensor | int) -> None:
        kept = min(ema, float(averaged) / (_RAMP + float(averaged)))
        torch._foreach_lerp_(list(means), list(weights), 1 - kept)

    model = AveragedModel(network, multi_avg_fn=average).requires_grad_(False)
    model.n_averaged.fill_(1)
    return model


def capture(state: TrainingState) -> State:
    """Return what a checkpoint holds of a training: enough to go on to the same end, to the last bit."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"averaged.{name}": value for name, value in state.judged.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    if state.intercepts is not None:
        tensors["intercepts"] = state.intercepts.values.detach()
    for number, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in moments.items()}
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    return State({name: value.cpu().numpy().copy() for name, value in tensors.items()}, vars(state.progress).copy())


def restore(state: TrainingState, checkpoint: State) -> None:
    """Put a training back to where :func:`capture` saw it."""
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in checkpoint.arrays.items()}

    def under(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}

    state.network.load_state_dict(under("network."))
    if state.averaged is not None:
        state.averaged.module.load_state_dict(under("averaged."))
    state.best = {name: value.to(state.best[name].device) for name, value in under("best.").items()}
    if state.intercepts is not None:
        with torch.no_grad():
            state.intercepts.values.copy_(tensors["intercepts"])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in under("optimiser.").items():
        number, part = name.split(".", 1)
        moments.setdefault(int(number), {})[part] = value
    state.optimiser.load_state_dict({"state": moments, "param_groups": state.optimiser.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    state.progress = LoopProgress(**checkpoint.progress)
    if state.averaged is not None:
        state.averaged.n_averaged.fill_(1 + state.progress.step)
    state.schedule = LambdaLR(state.optimiser, state.schedule.lr_lambdas, last_epoch=state.progress.step - 1)
