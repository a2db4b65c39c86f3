"""How networks are trained: the paper's settings by name, and ours, sized by the number of posts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.nn import Parameter

from postmill.train.models.registry import STUDY_BATCH, STUDY_EPOCHS
from postmill.train.options import RecipeName

INTERCEPT_RATE = 10.0
"""Learning rate of intercepts over that of weights: each is in few batches."""


@dataclass(frozen=True)
class Recipe:
    """Settings of one training.

    Attributes:
        name: One of :class:`.options.RecipeName`.
        adamw: AdamW (Loshchilov and Hutter, 2019) where True, else Adam without weight decay.
        rate: Highest learning rate.
        weight_decay: Of AdamW.
        batch: Posts in a batch.
        epochs: At most this many.
        warm_up: Share of all steps in which the rate rises from 0, before a half cosine takes it to 0 again; None
            keeps the rate constant.
        patience: Epochs without improvement on the validation part before training stops; None trains all epochs
            and takes no validation part.
        clip: Largest norm of a gradient; None does not clip.
        standardise: Whether vectors are standardised with training statistics.
        hidden: Width of the hidden layer of the two-layer MLP, and of fusion's MLP.
        token: Width of a modality's token in fusion.
        dropout: Of hidden units.
        modality_dropout: Probability that fusion is not shown a modality of a training post.
        members: Networks trained, each with another fold of the training part as its validation part; the prediction
            is their mean.
        intercepts: Variance of the random intercepts of groups over that of posts, None for no intercepts.
        ema: Share of the old that the running mean of weights keeps with each step, once there were enough of them;
            it is the running mean that is judged and kept. None keeps the weights themselves.
        threads: Threads of torch; part of the recipe because it shows in the last bits.
    """

    name: str
    adamw: bool
    rate: float
    weight_decay: float
    batch: int
    epochs: int
    warm_up: float | None
    patience: int | None
    clip: float | None
    standardise: bool
    hidden: int
    token: int
    dropout: float
    modality_dropout: float
    members: int
    intercepts: float | None
    ema: float | None
    threads: int

    def optimiser(self, parameters: Iterable[Parameter], intercepts: Parameter | None) -> torch.optim.Optimizer:
        """Return the optimiser for ``parameters`` and the intercepts, which have a penalty of their own."""
        if not self.adamw:
            return torch.optim.Adam(parameters, lr=self.rate, fused=True)
        groups: list[dict[str, Any]] = [{"params": list(parameters), "weight_decay": self.weight_decay}]
        if intercepts is not None:
            groups.append({"params": [intercepts], "weight_decay": 0.0, "lr": INTERCEPT_RATE * self.rate})
        return torch.optim.AdamW(groups, lr=self.rate, fused=True)

    def steps(self, posts: int) -> int:
        """Return how many steps all epochs on ``posts`` training posts have."""
        return math.ceil(posts / self.batch) * self.epochs

    def rate_at(self, step: int, steps: int) -> float:
        """Return the factor on the learning rate at ``step`` (from 0) of ``steps``."""
        if self.warm_up is None:
            return 1.0
        rising = max(1, round(self.warm_up * steps))
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def recipe_of(name: str, posts: int) -> Recipe:
    """Return the recipe ``name``, of :class:`.options.RecipeName`, for ``posts`` training posts."""
    return paper() if name == RecipeName.PAPER else postmill(posts)


def restored(method: Mapping[str, Any]) -> Recipe:
    """Return the recipe that a model's settings state among other things; for one that needs none, ours."""
    return Recipe(**{field.name: method[field.name] for field in fields(Recipe)}) if "rate" in method else postmill(0)


def paper() -> Recipe:
    """Return the paper's settings: MSE, Adam, learning rate 1e-4, batches of 64, 3 epochs, no early stopping.

    The paper does not state the width of the hidden layer; 256 is ours. :mod:`.paper` is the network.
    """
    return Recipe(
        name=RecipeName.PAPER.value,
        adamw=False,
        rate=1e-4,
        weight_decay=0.0,
        batch=STUDY_BATCH,
        epochs=STUDY_EPOCHS,
        warm_up=None,
        patience=None,
        clip=None,
        standardise=False,
        hidden=256,
        token=0,
        dropout=0.0,
        modality_dropout=0.0,
        members=1,
        intercepts=None,
        ema=None,
        threads=1,
    )


def postmill(posts: int) -> Recipe:
    """Return our settings for ``posts`` training posts: narrow, slow and strongly regularised where posts are few."""
    few, many = posts < 2_000, posts >= 20_000
    return Recipe(
        name=RecipeName.POSTMILL.value,
        adamw=True,
        rate=1e-3,
        weight_decay=0.3 if few else 0.05 if not many else 0.01,
        batch=min(1_024, max(16, 2 ** round(math.log2(max(1, posts) / (8 if few else 16))))),
        epochs=40 if few else 30,
        warm_up=0.1,
        patience=8 if few else 5,
        clip=1.0,
        standardise=True,
        hidden=64 if few else 256,
        token=16 if few else 128 if many else 48,
        dropout=0.3 if few else 0.1 if many else 0.2,
        modality_dropout=0.15,
        members=1 if many else 3,
        intercepts=1.0,
        ema=0.98 if not many else 0.999,
        threads=1 if not many else 2,
    )
