"""The ladder of models, each worth only its step above the one below, and how one of them is trained once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from train import boosting, features, networks, neural, recipes, ridge, splits, target
from train.dataset import Dataset
from train.determinism import deterministic
from train.features import AFTERWARDS, HISTORY, IMAGE, METADATA, MODALITIES, TEXT, Modality, Rows
from train.neural import Place
from train.problem import FOLLOWERS, Fit, Floats, Problem, Scores
from train.recipes import Recipe

MEAN, FUSION, BOOSTING, LEAK = "mean", "fusion", "boosting", "leak"
LADDER: Mapping[str, tuple[str, ...]] = {
    MEAN: (),
    "category": (METADATA,),
    "followers": (METADATA,),
    "history": (METADATA, HISTORY),
    "text-ridge": (TEXT,),
    "image-ridge": (IMAGE,),
    "text-mlp": (TEXT,),
    "image-mlp": (IMAGE,),
    "metadata": (METADATA,),
    LEAK: (METADATA, AFTERWARDS),
    BOOSTING: MODALITIES,
    FUSION: MODALITIES,
    "fusion-gates": MODALITIES,
    "fusion-transformer": MODALITIES,
    "fusion-film": MODALITIES,
}
"""Each model and the modalities it is shown, from the lowest rung to the highest. ``leak`` is no rung: it is
``metadata`` with what exists only after publication, to show what that would seem to gain."""

COSTLY = frozenset({"text-ridge", "image-ridge", "fusion-gates", "fusion-transformer", "fusion-film"})
"""Trained only where they are asked for by name."""

DEFAULT: tuple[str, ...] = tuple(name for name in LADDER if name not in COSTLY)

REVISION = 2
"""Of how models are trained: a change that alters numbers raises it, and models are trained again."""

PAPER_MODELS: tuple[str, ...] = ("text-mlp", "image-mlp")
"""The models that the paper trained."""

RIDGES: Mapping[str, tuple[str, ...]] = {
    "category": ("category_",),
    "followers": FOLLOWERS,
    "history": FOLLOWERS,
    "text-ridge": (),
    "image-ridge": (),
    "metadata": (),
    LEAK: (),
}
"""The models that are ridges, and with what the names of the components of the metadata that they are shown begin; all
where empty."""

FUSIONS: Mapping[str, str] = {
    FUSION: networks.CONCAT,
    "fusion-gates": networks.GATE,
    "fusion-transformer": networks.TRANSFORMER,
    "fusion-film": networks.FILM,
}
"""The fusions and how each joins its modalities."""

Arrays = Mapping[str, npt.NDArray[Any]]


def settings(name: str, recipe_name: str, data: Dataset, device: str) -> dict[str, Any]:
    """Return how ``name`` is trained on ``data``, as JSON has it."""
    if name == MEAN or name in RIDGES:
        return {"revision": REVISION}
    if name == BOOSTING:
        return {"revision": REVISION, **boosting.settings()}
    train_posts = len(data.rows) - len(data.rows) // splits.FOLDS
    return {"revision": REVISION, "device": device, **asdict(recipe_of(recipe_name, train_posts))}


def recipe_of(name: str, train_posts: int) -> Recipe:
    """Return the recipe ``name`` for so many training posts."""
    return recipes.paper() if name == recipes.PAPER else recipes.postmill(train_posts)


def fit(name: str, recipe: Recipe, problem: Problem, place: Place) -> Fit:
    """Train the model ``name`` of :data:`LADDER` once."""
    scale = target.fit_scale(problem.target)
    standardised = scale.standardise(problem.target)
    weights = {"target_mean": np.array([scale.mean]), "target_deviation": np.array([scale.deviation])}
    if name == MEAN:
        return Fit(weights, {})
    if name in RIDGES:
        fitted = _ridge(problem, standardised, shown_to(name, problem.modalities))
    elif name == BOOSTING:
        fitted = boosting.fit(problem, standardised)
    else:
        fitted = neural.fit(problem, standardised, recipe, FUSIONS.get(name), place)
    return Fit({**weights, **fitted.weights}, fitted.details)


def apply(
    name: str, recipe: Recipe, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, device: str
) -> Scores:
    """Return what a trained model says of ``rows``: targets, not standardised.

    Args:
        name: The model.
        recipe: That it was trained with.
        weights: Of :func:`fit`.
        modalities: The same as in training, of these posts or others.
        rows: Shape (M,), rows in them.
        device: ``cpu`` or ``cuda``.
    """
    scale = target.Scale(float(weights["target_mean"][0]), float(weights["target_deviation"][0]))
    if name == MEAN:
        found = Scores(np.zeros(len(rows)))
    elif name in RIDGES:
        with deterministic(0, threads=1):
            found = Scores(ridge.predict(ridge.restored(weights), shown_to(name, modalities), rows))
    elif name == BOOSTING:
        found = boosting.apply(weights, modalities, rows)
    else:
        own = {key: value for key, value in weights.items() if not key.startswith("target_")}
        found = neural.apply(own, recipe, FUSIONS.get(name), modalities, rows, device)
    return Scores(*(None if part is None else scale.restore(part) for part in _parts(found)))  # type: ignore[arg-type]


def shown_to(name: str, modalities: Mapping[str, Modality]) -> list[Modality]:
    """Return what a ridge is shown: of the metadata only its own components."""
    prefixes: Sequence[str] = RIDGES[name]
    return [
        features.select(modality, prefixes) if prefixes and modality.name == METADATA else modality
        for modality in modalities.values()
    ]


def _ridge(problem: Problem, standardised: Floats, shown: Sequence[Modality]) -> Fit:
    with deterministic(problem.seed, threads=1):
        found = ridge.fit(shown, problem.train, standardised, problem.units, problem.seed)
    details = {"penalty": found.penalty, "intercepts": found.ratio, "validation_loss": found.validation_loss}
    return Fit(found.weights(), details)


def _parts(scores: Scores) -> tuple[Floats, Floats | None, Floats | None]:
    return scores.predicted, scores.low, scores.high
