"""The linear models of the ladder: ridge regression on what a rung names, and on nothing, which is the mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from postmill.train.data.arrays import Arrays, Floats, Rows
from postmill.train.data.modality import Modality, select
from postmill.train.models import ridge
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Fit, Problem, Scores
from postmill.train.models.registry import Rung
from postmill.train.options import ModalityName


def check(rung: Rung) -> None:
    """Nothing is needed that training does not need anyway."""


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Nothing is set: penalty and variance ratio are chosen by the data."""
    return {}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Fit ridge, or nothing where the model is shown nothing: a standardised target has the mean 0."""
    if not rung.modalities:
        return Fit({}, {})
    shown = _shown(rung, problem.modalities.values())
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
        return Scores(ridge.predict(ridge.restored(weights), _shown(rung, modalities.values()), rows))


def _shown(rung: Rung, modalities: Iterable[Modality]) -> list[Modality]:
    """Return what the model is shown: of the metadata only the components that its rung names."""
    return [
        select(modality, rung.components) if rung.components and modality.name == ModalityName.METADATA else modality
        for modality in modalities
    ]
