"""The ladder of models, each worth only its step above the one below, and how one of them is trained once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from train import features, neural, recipes, ridge, splits, target
from train.dataset import Dataset
from train.determinism import deterministic
from train.features import IMAGE, METADATA, MODALITIES, TEXT
from train.problem import FOLLOWERS, Fit, Floats, Problem

MEAN, FUSION = "mean", "fusion"
LADDER: Mapping[str, tuple[str, ...]] = {
    MEAN: (),
    "category": (METADATA,),
    "followers": (METADATA,),
    "text-mlp": (TEXT,),
    "image-mlp": (IMAGE,),
    "metadata": (METADATA,),
    FUSION: MODALITIES,
}
"""Each model and the modalities it is shown, from the lowest rung to the highest."""

REVISION = 1
"""Of how models are trained: a change that alters numbers raises it, and models are trained again."""

PAPER_MODELS: tuple[str, ...] = ("text-mlp", "image-mlp")
"""The models that the paper trained."""

RIDGES: Mapping[str, tuple[str, ...]] = {"category": ("category_",), "followers": FOLLOWERS, "metadata": ()}
"""The models that are ridges, and with what the names of the components they are shown begin; all where empty."""


def settings(name: str, recipe_name: str, data: Dataset) -> dict[str, Any]:
    """Return how ``name`` is trained on ``data``, as JSON has it."""
    if name == MEAN or name in RIDGES:
        return {"revision": REVISION}
    train_posts = len(data.rows) - len(data.rows) // splits.FOLDS
    return {"revision": REVISION, **asdict(_recipe(recipe_name, train_posts))}


def _recipe(name: str, train_posts: int) -> recipes.Recipe:
    return recipes.paper() if name == recipes.PAPER else recipes.postmill(train_posts)


def fit(name: str, recipe_name: str, problem: Problem) -> Fit:
    """Train the model ``name`` of :data:`LADDER` once."""
    scale = target.fit_scale(problem.target)
    standardised = scale.standardise(problem.target)
    weights = {"target_mean": np.array([scale.mean]), "target_deviation": np.array([scale.deviation])}
    if name == MEAN:
        return Fit(np.full(len(problem.test), scale.mean), weights, {})
    if name in RIDGES:
        fitted = _ridge(problem, standardised, RIDGES[name])
    else:
        recipe = _recipe(recipe_name, len(problem.train))
        fitted = neural.fit(problem, standardised, recipe, fusion=name == FUSION)
    return Fit(scale.restore(fitted.predicted), {**weights, **fitted.weights}, fitted.details)


def _ridge(problem: Problem, standardised: Floats, prefixes: Sequence[str]) -> Fit:
    (modality,) = problem.modalities.values()
    shown = features.select(modality, prefixes) if prefixes else modality
    with deterministic(problem.seed, threads=1):
        found = ridge.fit(shown, problem.train, standardised, problem.units, problem.seed)
        predicted = ridge.predict(found, shown, problem.test)
    details = {"penalty": found.penalty, "intercepts": found.ratio, "validation_loss": found.validation_loss}
    return Fit(predicted, found.weights(), details)
