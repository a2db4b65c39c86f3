"""Stacked generalisation: several models of the ladder, weighted by how well they predict posts they did not learn.

Wolpert, Stacked Generalization, 1992; weights that are not negative, as Breiman, Stacked Regressions, 1996, advises.
Folds keep groups whole, so that a weight is earned on accounts the model has not seen where the split keeps accounts
apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from postmill.train.data import splits
from postmill.train.data.arrays import Arrays, Floats, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import boosting, conformal, ensemble
from postmill.train.models.conformal import Outside
from postmill.train.models.learners import TrainingContext, load, shown_to
from postmill.train.models.problem import Fit, Problem, Scores, under
from postmill.train.models.registry import LADDER, Rung

WEIGHT_FOLDS = 3


def check(rung: Rung) -> None:
    """Check that what the bases need is installed.

    Raises:
        UsageError: It is not.
    """
    for base in rung.bases:
        load(LADDER[base]).check(LADDER[base])


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Return how the bases are trained, as JSON has it: networks by the recipe, trees as trees are."""
    networks, trees = ensemble.settings(rung, context), boosting.settings(rung, context)
    return {**networks, "bases": list(rung.bases), "folds": WEIGHT_FOLDS, "boosting": trees}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Train the bases on folds, to weigh them and for the interval, then on everybody; ``target`` is standardised."""
    count = min(WEIGHT_FOLDS, len(np.unique(problem.groups)))
    fold = splits.folds(problem.groups, problem.seed, "stack", count)
    shares = np.full(len(rung.bases), 1 / len(rung.bases))
    widths = None
    if count > 1:
        known, first = (np.empty((len(target), len(rung.bases))) for _ in range(2))
        for number in range(count):
            learn = fold != number
            part, rows = problem.part(learn), problem.train[~learn]
            for column, base in enumerate(rung.bases):
                fitted = _fit(base, part, target[learn], context.part(f"{base}-{number}"))
                known[~learn, column] = _predict(base, fitted.weights, problem.modalities, rows, context)
                shown = conformal.as_first(problem.modalities)
                first[~learn, column] = _predict(base, fitted.weights, shown, rows, context)
        shares = weigh(known, target)
        of_known, of_first = (np.abs(target - unseen @ shares) for unseen in (known, first))
        kinds = conformal.kinds(problem.modalities, problem.train)
        widths = conformal.widths(Outside(of_known, of_first, kinds, problem.groups))
    weights: dict[str, npt.NDArray[Any]] = {"shares": shares, **conformal.entry(widths)}
    for base in rung.bases:
        fitted = _fit(base, problem, target, context.part(base))
        weights.update((f"{base}.{name}", value) for name, value in fitted.weights.items())
    by_base = {base: float(share) for base, share in zip(rung.bases, shares, strict=True)}
    return Fit(weights, {"shares": by_base, **conformal.details(widths)})


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return the weighted sum of what the bases say of ``rows``, and an interval where it was calibrated."""
    total = np.zeros(len(rows))
    for base, share in zip(rung.bases, weights["shares"], strict=True):
        if share:
            total += share * _predict(base, under(weights, f"{base}."), modalities, rows, context)
    scores = Scores(total, total, total)
    return conformal.widened(scores, conformal.restored(weights), conformal.kinds(modalities, rows))


def weigh(predicted: Floats, target: Floats) -> Floats:
    """Return the weights, shape (K,) and none negative, with the least squared error of ``predicted``, shape (N, K).

    Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23.
    """
    weights: Floats = nnls(predicted, target)[0]
    return weights


def _fit(base: str, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    rung = LADDER[base]
    return load(rung).fit(rung, replace(problem, modalities=shown_to(rung, problem.modalities)), target, context)


def _predict(
    base: str, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Floats:
    rung = LADDER[base]
    return load(rung).apply(rung, weights, shown_to(rung, modalities), rows, context).predicted
