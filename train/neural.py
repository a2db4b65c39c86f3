"""The networks of the ladder: what they start from, several of them on folds of the training part, their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from train import features, loop, networks, ridge, splits
from train.determinism import deterministic
from train.features import METADATA, Modality, Rows
from train.networks import Fusion, Spec, TwoLayer
from train.problem import FOLLOWERS, Fit, Floats, Problem
from train.recipes import Recipe
from train.ridge import Ridge

VALIDATION_FOLDS = 5
"""One fold of the training part in so many decides when training stops."""


def fit(problem: Problem, target: Floats, recipe: Recipe, *, fusion: bool) -> Fit:
    """Train the members of one model and return the mean of what they predict.

    Args:
        problem: Who is learnt from, who is predicted. A two-layer network takes the one modality there is.
        target: Shape (N,), standardised, of the training part.
        recipe: Settings.
        fusion: Whether to train fusion or the two-layer network.
    """
    folds = min(VALIDATION_FOLDS, len(np.unique(problem.units)))
    fold = splits.folds(problem.units, problem.seed, "validation", folds)
    predicted = np.zeros(len(problem.test))
    weights: dict[str, npt.NDArray[Any]] = {}
    members = []
    for member in range(min(recipe.members, folds)):
        validation = fold == member if recipe.patience is not None and folds > 1 else None
        own, kept, details = _member(problem, target, validation, recipe, member, fusion)
        predicted += own
        weights.update((f"{member}.{name}", value) for name, value in kept.items())
        members.append(details)
    return Fit(predicted / len(members), weights, {"members": members})


def _member(
    problem: Problem,
    target: Floats,
    validation: npt.NDArray[np.bool_] | None,
    recipe: Recipe,
    member: int,
    fusion: bool,
) -> tuple[Floats, Mapping[str, npt.NDArray[Any]], Mapping[str, Any]]:
    """Return the standardised predictions, the weights and the details of one network."""
    learn = np.ones(len(target), dtype=bool) if validation is None else ~validation
    seed = problem.seed * 1_000 + member
    residual, start, weights, details = target, np.zeros(len(problem.test)), {}, {}
    units = None
    if recipe.intercepts is not None and ridge.several_a_unit(problem.units):
        units = np.unique(problem.units, return_inverse=True)[1]
    with deterministic(seed, recipe.threads):
        if fusion:
            shown, name, found = _start(problem, target, learn)
            residual = target - ridge.predict(found, shown, problem.train)
            start = ridge.predict(found, shown, problem.test)
            weights = {f"start.{key}": value for key, value in found.weights().items()}
            details = {"start": name}
        specs = tuple(_spec(modality, problem.train[learn], recipe) for modality in problem.modalities.values())
        network: Fusion | TwoLayer
        if fusion:
            network = Fusion(specs, recipe.token, recipe.hidden, recipe.dropout, recipe.modality_dropout)
        else:
            network = TwoLayer(specs[0], recipe.hidden, recipe.dropout)
        if validation is not None:
            networks.start_at_zero(network)
        history = loop.fit(network, problem.modalities, problem.train, residual, units, validation, recipe, seed)
        predicted = start + loop.predict(network, problem.modalities, problem.test)
    weights.update((key, tensor.numpy()) for key, tensor in network.state_dict().items())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return predicted, weights, {**details, **asdict(history), "parameters": parameters}


def _start(problem: Problem, target: Floats, learn: npt.NDArray[np.bool_]) -> tuple[Modality, str, Ridge]:
    """Return the ridge whose errors fusion learns: on followers alone or on all metadata, whichever folds prefer.

    Few accounts cannot tell forty numbers of the account apart, and then followers alone predict new ones better.
    """
    metadata = problem.modalities[METADATA]
    candidates = {METADATA: metadata}
    if any(column.startswith(FOLLOWERS) for column in metadata.columns):
        candidates["followers"] = features.select(metadata, FOLLOWERS)
    found = {
        name: ridge.fit(shown, problem.train[learn], target[learn], problem.units[learn], problem.seed)
        for name, shown in candidates.items()
    }
    best = min(found, key=lambda name: found[name].validation_loss)
    return candidates[best], best, found[best]


def _spec(modality: Modality, rows: Rows, recipe: Recipe) -> Spec:
    mean, deviation = np.zeros(modality.width), np.ones(modality.width)
    if recipe.standardise:
        mean, deviation = (numbers[: modality.width] for numbers in ridge.moments(modality, rows))
    return Spec(
        modality.name,
        modality.width,
        modality.is_embedding,
        torch.from_numpy(mean.astype(np.float32)),
        torch.from_numpy(deviation.astype(np.float32)),
    )
