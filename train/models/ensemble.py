"""The networks of the ladder: what they start from, several of them on folds of the training part, their mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from postmill.train.data.arrays import Arrays, Floats, Mask, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import conformal, loop, networks, past, ridge
from postmill.train.models.conformal import Outside
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.loop import Examples
from postmill.train.models.networks import Fusion, Spec, TwoLayer
from postmill.train.models.problem import Fit, Problem, Scores, set_aside, under
from postmill.train.models.recipes import Recipe
from postmill.train.models.registry import Rung

_START = "start."  # with this begin the names of the weights of the past whose errors a fusion learns


def check(rung: Rung) -> None:
    """Nothing is needed that training does not need anyway."""


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Return the recipe and the device, as JSON has them."""
    return {"device": context.device, **asdict(context.recipe)}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Train the members of one model; a two-layer network takes the one modality there is."""
    recipe = context.recipe
    weights: dict[str, npt.NDArray[Any]] = {}
    members: list[Mapping[str, Any]] = []
    outside: list[Outside] = []
    for member, aside in enumerate(_set_aside(problem, recipe)):
        own_context = context.part(str(member))
        fitted = own_context.finished(partial(_member, rung, problem, target, aside, member, own_context))
        weights.update((f"{member}.{name}", value) for name, value in fitted.weights.items())
        members.append(fitted.details)
        if rung.fusion and aside is not None:
            outside.append(_outside(rung, fitted.weights, problem.part(aside), target[aside], context))
    widths = conformal.widths(conformal.joined(outside))
    return Fit({**weights, **conformal.entry(widths)}, {"members": members, **conformal.details(widths)})


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return the mean of what the members say of ``rows``, standardised, and its interval where it was calibrated."""
    members = len({name.split(".")[0] for name in weights if "." in name})
    total = np.zeros((len(rows), 3 if rung.fusion else 1))
    for member in range(members):
        total += _scores(rung, under(weights, f"{member}."), modalities, rows, context)
    total /= members
    if not rung.fusion:
        return Scores(total[:, 0])
    return conformal.widened(Scores(*total.T), conformal.restored(weights), conformal.kinds(modalities, rows))


def _set_aside(problem: Problem, recipe: Recipe) -> Iterable[Mask | None]:
    """Return what each member does not learn from: nothing where the recipe does not stop early."""
    return set_aside(problem, recipe.members) if recipe.patience is not None else [None] * recipe.members


def _outside(rung: Rung, weights: Arrays, part: Problem, target: Floats, context: TrainingContext) -> Outside:
    """Return how far the targets of the posts that a member set aside lie outside what it says of them."""
    known, first = (
        conformal.distances(target, scores[:, 1], scores[:, 2])
        for shown in (part.modalities, conformal.as_first(part.modalities))
        for scores in [_scores(rung, weights, shown, part.train, context)]
    )
    return Outside(known, first, conformal.kinds(part.modalities, part.train), part.groups)


def _scores(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Floats:
    """Return what one member says of ``rows``, shape (M, 1 or 3)."""
    recipe, device = context.recipe, context.device
    start = np.zeros(len(rows))
    with deterministic(0, recipe.threads):
        if rung.fusion:
            start = past.predict(past.restored(under(weights, _START)), modalities, rows)
        blank = {m.name: (np.zeros(m.width), np.ones(m.width)) for m in modalities.values()}
        network = _network(rung, modalities, blank, recipe)
        learnt = {name: value for name, value in weights.items() if not name.startswith(_START)}
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in learnt.items()})
        return start[:, None] + loop.predict(network.to(device), modalities, rows, device)


def _member(
    rung: Rung, problem: Problem, target: Floats, validation: Mask | None, member: int, context: TrainingContext
) -> Fit:
    """Return the weights and the details of one network."""
    recipe, modalities = context.recipe, problem.modalities
    learn = np.ones(len(target), dtype=bool) if validation is None else ~validation
    seed = problem.seed * 1_000 + member
    weights: dict[str, npt.NDArray[Any]] = {}
    residual = target
    groups = None
    if recipe.intercepts is not None and ridge.has_intercepts(problem.groups):
        groups = np.unique(problem.groups, return_inverse=True)[1]
    with deterministic(seed, recipe.threads):
        if rung.fusion:
            start = past.solve(modalities, problem.train[learn], target[learn], problem.groups[learn], problem.seed)
            residual = target - past.predict(start, modalities, problem.train)
            weights = {f"{_START}{name}": value for name, value in start.weights().items()}
        moments = {m.name: _moments(m, problem.train[learn], recipe) for m in modalities.values()}
        network = _network(rung, modalities, moments, recipe)
        if validation is not None:
            networks.start_at_zero(network)
        examples = Examples(modalities, problem.train, residual, groups, validation)
        log = loop.train(network, examples, context, seed)
    weights.update((name, tensor.cpu().numpy()) for name, tensor in network.state_dict().items())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Fit(weights, {**asdict(log), "parameters": parameters})


def _network(
    rung: Rung, modalities: Mapping[str, Modality], moments: Mapping[str, tuple[Floats, Floats]], recipe: Recipe
) -> Fusion | TwoLayer:
    specs = tuple(
        Spec(m.name, m.width, m.is_embedding, *(torch.from_numpy(n.astype(np.float32)) for n in moments[m.name]))
        for m in modalities.values()
    )
    if not rung.fusion:
        return TwoLayer(specs[0], recipe.hidden, recipe.dropout)
    return Fusion(specs, rung.fusion, recipe.token, recipe.hidden, recipe.dropout, recipe.modality_dropout)


def _moments(modality: Modality, rows: Rows, recipe: Recipe) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the components, shape (D,) each; 0 and 1 where they stay as they are."""
    if not recipe.standardise:
        return np.zeros(modality.width), np.ones(modality.width)
    mean, std = (numbers[: modality.width] for numbers in ridge.moments(modality, rows))
    return mean, std
