"""The ladder of models, each worth only its step above the one below, and how one of them is trained once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from train import boosting, features, networks, neural, recipes, ridge, splits, stack, target
from train.dataset import Dataset
from train.determinism import deterministic
from train.features import AFTERWARDS, HISTORY, IMAGE, METADATA, MODALITIES, TEXT, Modality, Rows
from train.neural import Place
from train.problem import FOLLOWERS, Fit, Floats, Problem, Scores
from train.recipes import Recipe

MEAN, FUSION, BOOSTING, STACK, LEAK = "mean", "fusion", "boosting", "stack", "leak"
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
    STACK: MODALITIES,
}
"""Each model and the modalities it is shown, from the lowest rung to the highest. ``leak`` is no rung: it is
``metadata`` with what exists only after publication, to show what that would seem to gain."""

COSTLY = frozenset({"text-ridge", "image-ridge", "fusion-gates", "fusion-transformer", "fusion-film", STACK})
"""Trained only where they are asked for by name."""

DEFAULT: tuple[str, ...] = tuple(name for name in LADDER if name not in COSTLY)

REVISION = 3
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
    network = {"revision": REVISION, "device": device, **asdict(recipe_of(recipe_name, train_posts))}
    if name == STACK:
        return {**network, "bases": list(stack.BASES), "folds": stack.FOLDS, BOOSTING: boosting.settings()}
    return network


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
    fitted = _fit(name, recipe, problem, standardised, place)
    return Fit({**weights, **fitted.weights}, fitted.details)


def _fit(name: str, recipe: Recipe, problem: Problem, standardised: Floats, place: Place) -> Fit:
    if name in RIDGES:
        return _ridge(problem, standardised, shown_to(name, problem.modalities))
    if name == BOOSTING:
        return boosting.fit(problem, standardised)
    if name != STACK:
        return neural.fit(problem, standardised, recipe, FUSIONS.get(name), place)

    def learn(base: str, some: Problem, own: Floats, key: str) -> Fit:
        shown = replace(some, modalities=_of(base, some.modalities))
        return _fit(base, recipe, shown, own, replace(place, key=f"{place.key}.{key}"))

    def tell(base: str, weights: Arrays, rows: Rows) -> Floats:
        return _apply(base, recipe, weights, _of(base, problem.modalities), rows, place.device).predicted

    return stack.fit(problem, standardised, learn, tell)


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
    own = {key: value for key, value in weights.items() if not key.startswith("target_")}
    found = _apply(name, recipe, own, modalities, rows, device)
    return Scores(*(None if part is None else scale.restore(part) for part in _parts(found)))  # type: ignore[arg-type]


def _apply(
    name: str, recipe: Recipe, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, device: str
) -> Scores:
    if name == MEAN:
        return Scores(np.zeros(len(rows)))
    if name in RIDGES:
        with deterministic(0, threads=1):
            return Scores(ridge.predict(ridge.restored(weights), shown_to(name, modalities), rows))
    if name == BOOSTING:
        return boosting.apply(weights, modalities, rows)
    if name != STACK:
        return neural.apply(weights, recipe, FUSIONS.get(name), modalities, rows, device)

    def tell(base: str, own: Arrays, rows: Rows) -> Floats:
        return _apply(base, recipe, own, _of(base, modalities), rows, device).predicted

    return stack.apply(weights, rows, tell)


def _of(name: str, modalities: Mapping[str, Modality]) -> dict[str, Modality]:
    return {modality: modalities[modality] for modality in LADDER[name]}


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
