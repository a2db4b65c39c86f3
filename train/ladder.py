"""The ladder of models, each worth only its step above the one below, and how one of them is trained once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from train import loop, networks, recipes, ridge, splits, target
from train.features import IMAGE, METADATA, MODALITIES, TEXT, Modality, Rows
from train.networks import Spec
from train.recipes import Recipe
from train.splits import Units

Floats = npt.NDArray[np.float64]

MEAN, FUSION = "mean", "fusion"
LADDER: Mapping[str, tuple[str, ...]] = {
    MEAN: (),
    "text-mlp": (TEXT,),
    "image-mlp": (IMAGE,),
    "metadata": (METADATA,),
    FUSION: MODALITIES,
}
"""Each model and the modalities it is shown, from the lowest rung to the highest."""

PAPER_MODELS: tuple[str, ...] = ("text-mlp", "image-mlp")
"""The models that the paper trained."""

VALIDATION_FOLDS = 5
"""One fold of the training part in so many decides when training stops."""


@dataclass(frozen=True)
class Problem:
    """One training: who is learnt from, who is predicted.

    Attributes:
        modalities: What the model is shown.
        train: Shape (N,), rows of the training part in the modalities.
        test: Shape (M,), rows of the test part.
        target: Shape (N,), of the training part.
        units: Shape (N,), what the split keeps together.
        seed: Of everything random.
    """

    modalities: Mapping[str, Modality]
    train: Rows
    test: Rows
    target: Floats
    units: Units
    seed: int


@dataclass(frozen=True)
class Fit:
    """What came of it.

    Attributes:
        predicted: Shape (M,), targets of the test part.
        weights: Everything needed to predict again, by name.
        details: How the training went, for metrics.json.
    """

    predicted: Floats
    weights: Mapping[str, npt.NDArray[Any]]
    details: Mapping[str, float | int | None]


def fit(name: str, recipe_name: str, problem: Problem) -> Fit:
    """Train the model ``name`` of :data:`LADDER` once."""
    scale = target.fit_scale(problem.target)
    standardised = scale.standardise(problem.target)
    weights = {"target_mean": np.array([scale.mean]), "target_deviation": np.array([scale.deviation])}
    if name == MEAN:
        return Fit(np.full(len(problem.test), scale.mean), weights, {})
    if name == METADATA:
        fitted = _ridge(problem, standardised)
    else:
        recipe = recipes.paper() if recipe_name == recipes.PAPER else recipes.postmill(len(problem.train))
        fitted = _network(name, recipe, problem, standardised)
    return Fit(scale.restore(fitted.predicted), {**weights, **fitted.weights}, fitted.details)


def _ridge(problem: Problem, standardised: Floats) -> Fit:
    (modality,) = problem.modalities.values()
    found = ridge.fit(modality, problem.train, standardised, problem.units, problem.seed)
    weights = {
        "mean": found.mean,
        "deviation": found.deviation,
        "coefficients": found.coefficients,
        "intercept": np.array([found.intercept]),
    }
    details = {"penalty": found.penalty, "validation_loss": found.validation_loss}
    return Fit(ridge.predict(found, modality, problem.test), weights, details)


def _network(name: str, recipe: Recipe, problem: Problem, standardised: Floats) -> Fit:
    validation = None
    if recipe.patience is not None and len(np.unique(problem.units)) > 1:
        count = min(VALIDATION_FOLDS, len(np.unique(problem.units)))
        validation = splits.folds(problem.units, problem.seed, "validation", count) == 0
    with loop.deterministic(problem.seed, recipe.threads):
        specs = tuple(_spec(modality, problem.train, recipe) for modality in problem.modalities.values())
        network: networks.Fusion | networks.TwoLayer
        if name == FUSION:
            network = networks.Fusion(specs, recipe.token, recipe.hidden, recipe.dropout, recipe.modality_dropout)
        else:
            network = networks.TwoLayer(specs[0], recipe.hidden, recipe.dropout)
        if validation is not None:
            networks.start_at_mean(network)
        history = loop.fit(network, problem.modalities, problem.train, standardised, validation, recipe, problem.seed)
        predicted = loop.predict(network, problem.modalities, problem.test)
    weights = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Fit(predicted, weights, {**asdict(history), "parameters": parameters})


def _spec(modality: Modality, rows: Rows, recipe: Recipe) -> Spec:
    if recipe.standardise:
        mean, deviation = ridge.moments(modality, rows)
    else:
        mean, deviation = np.zeros(modality.width), np.ones(modality.width)
    return Spec(
        modality.name,
        modality.width,
        modality.is_embedding,
        torch.from_numpy(mean[: modality.width].astype(np.float32)),
        torch.from_numpy(deviation[: modality.width].astype(np.float32)),
    )
