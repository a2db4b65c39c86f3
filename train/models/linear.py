"""The linear models of the ladder: ridge regression on what a rung names, and on nothing, which is the mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from postmill.train.data.arrays import Arrays, Floats, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import ridge
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Fit, Problem, Scores
from postmill.train.models.registry import Rung


def check(rung: Rung) -> None:
    """Nothing is needed that training does not need anyway."""


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Nothing is set: penalty and variance ratio are chosen by the data."""
    return {}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Fit ridge, or nothing where the model is shown nothing: a standardised target has the mean 0."""
    if not rung.modalities:
        return Fit({}, {})
    shown = list(problem.modalities.values())
    with deterministic(problem.seed, threads=1):
        fitted = ridge.solve(shown, problem.train, target, problem.groups, problem.seed)
    details = {
        "penalty": fitted.penalty,
        "intercepts": fitted.variance_ratio,
        "validation_loss": fitted.validation_loss,
    }
    return Fit(fitted.weights(), details)


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return what ridge says of ``rows``, without an interval."""
    if not rung.modalities:
        return Scores(np.zeros(len(rows)))
    with deterministic(0, threads=1):
        return Scores(ridge.predict(ridge.restored(weights), list(modalities.values()), rows))
