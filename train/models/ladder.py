"""How a model of the ladder is trained and applied: its learner, between standardising the target and undoing that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from postmill.train.data import target
from postmill.train.data.arrays import Arrays, Floats, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import boosting, registry
from postmill.train.models.learners import TrainingContext, load, shown_to
from postmill.train.models.problem import Fit, Problem, Scores
from postmill.train.options import RecipeName

TRAINING_REVISION = 7
"""Of how models are trained: a change that alters numbers raises it, and models are trained again."""

_EXPLAINED = "boosting"  # the learner whose predictions are sums of what each modality adds
_TARGET = "target_"  # with this begin the names of the weights that are not the learner's
_MEAN, _STD = f"{_TARGET}mean", f"{_TARGET}deviation"


_AS_IT_IS = target.Scale(0.0, 1.0)


def check(name: str, recipe: str = RecipeName.POSTMILL) -> None:
    """Check that what the model ``name`` of ``recipe`` needs is installed.

    Raises:
        UsageError: It is not.
    """
    rung = registry.rung(name, recipe)
    load(rung).check(rung)


def settings(name: str, context: TrainingContext) -> dict[str, Any]:
    """Return how the model ``name`` is trained, as JSON has it."""
    rung = registry.rung(name, context.recipe.name)
    return {"revision": TRAINING_REVISION, **load(rung).settings(rung, context)}


def fit(name: str, problem: Problem, context: TrainingContext) -> Fit:
    """Train the model ``name`` of the context's recipe (:func:`.registry.rung`) once."""
    rung = registry.rung(name, context.recipe.name)
    scale = _AS_IT_IS if rung.raw else target.fit_scale(problem.target)
    shown = replace(problem, modalities=shown_to(rung, problem.modalities))
    fitted = load(rung).fit(rung, shown, scale.standardise(problem.target), context)
    weights = {_MEAN: np.array([scale.mean]), _STD: np.array([scale.std]), **fitted.weights}
    return Fit(weights, fitted.details)


def contributions(name: str, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows) -> dict[str, Floats]:
    """Return what each modality, and the start, adds to predictions of targets for M posts, shape (M,) each.

    They add up to the predictions but for a constant. Empty for models whose parts do not add up.
    """
    if name not in registry.LADDER or registry.LADDER[name].learner != _EXPLAINED:
        return {}
    rung = registry.LADDER[name]
    scale = float(weights[_STD][0])
    return {part: scale * of for part, of in boosting.contributions(weights, shown_to(rung, modalities), rows).items()}


def apply(
    name: str, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return what a trained model says of ``rows``: targets, not standardised.

    Args:
        name: The model.
        weights: Of :func:`fit`.
        modalities: The same as in training, of these posts or others.
        rows: Shape (M,), rows in them.
        context: How it was trained, and where it is to run.
    """
    scale = target.Scale(float(weights[_MEAN][0]), float(weights[_STD][0]))
    learnt = {key: value for key, value in weights.items() if not key.startswith(_TARGET)}
    rung = registry.rung(name, context.recipe.name)
    return load(rung).apply(rung, learnt, shown_to(rung, modalities), rows, context).map(scale.restore)
