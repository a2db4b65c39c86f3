"""Stacked generalisation: several models of the ladder, weighted by how well they predict posts they did not learn.

Wolpert, Stacked Generalization, 1992; weights that are not negative, as Breiman, Stacked Regressions, 1996, advises.
Folds keep units whole, so that a weight is earned on accounts the model has not seen where the split keeps accounts
apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from train import conformal, splits
from train.features import Rows
from train.problem import Fit, Floats, Problem, Scores

BASES: tuple[str, ...] = ("history", "boosting", "fusion")
"""The models of :data:`train.ladder.LADDER` that are stacked."""

FOLDS = 3

Arrays = Mapping[str, npt.NDArray[Any]]
Learn = Callable[[str, Problem, Floats, str], Fit]
"""From a base, whom it learns from, their standardised target and the name of this training to what it learnt."""

Tell = Callable[[str, Arrays, Rows], Floats]
"""From a base, what it learnt and rows to standardised predictions."""


def fit(problem: Problem, target: Floats, learn: Learn, tell: Tell) -> Fit:
    """Train the bases on folds to weigh them and for the interval, then on everybody.

    Args:
        problem: Who is learnt from.
        target: Shape (N,), standardised.
        learn: Trains a base.
        tell: Applies it.
    """
    count = min(FOLDS, len(np.unique(problem.units)))
    fold = splits.folds(problem.units, problem.seed, "stack", count)
    shares = np.full(len(BASES), 1 / len(BASES))
    wider = None
    if count > 1:
        outside = np.empty((len(target), len(BASES)))
        for number in range(count):
            own = fold != number
            some = replace(problem, train=problem.train[own], target=problem.target[own], units=problem.units[own])
            for column, base in enumerate(BASES):
                found = learn(base, some, target[own], f"{base}-{number}")
                outside[~own, column] = tell(base, found.weights, problem.train[~own])
        shares = weigh(outside, target)
        wider = conformal.correction(np.abs(target - outside @ shares))
    weights: dict[str, npt.NDArray[Any]] = {"shares": shares}
    if wider is not None:
        weights["wider"] = np.array([wider])
    for base in BASES:
        found = learn(base, problem, target, base)
        weights.update((f"{base}.{name}", value) for name, value in found.weights.items())
    told = {base: float(share) for base, share in zip(BASES, shares, strict=True)}
    return Fit(weights, {"shares": told, "interval_half_width": wider})


def apply(weights: Arrays, rows: Rows, tell: Tell) -> Scores:
    """Return the weighted sum of what the bases say of ``rows``, and an interval where it was calibrated."""
    total = np.zeros(len(rows))
    for base, share in zip(BASES, weights["shares"], strict=True):
        if share:
            total += share * tell(base, _under(weights, f"{base}."), rows)
    if "wider" not in weights:
        return Scores(total)
    wider = float(weights["wider"][0])
    return Scores(total, total - wider, total + wider)


def weigh(predicted: Floats, target: Floats) -> Floats:
    """Return the weights, shape (K,) and none negative, with the least squared error of ``predicted``, shape (N, K).

    The best of all sets of bases for which plain least squares has no negative weight, of which K is few.
    """
    count = predicted.shape[1]
    best, least = np.zeros(count), float(target @ target)
    for size in range(1, count + 1):
        for chosen in map(list, combinations(range(count), size)):
            found = np.linalg.lstsq(predicted[:, chosen], target, rcond=None)[0]
            error = float(np.sum((target - predicted[:, chosen] @ found) ** 2))
            if (found >= 0).all() and error < least:
                best, least = np.zeros(count), error
                best[chosen] = found
    return best


def _under(weights: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
