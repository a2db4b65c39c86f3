"""What an account's past and its followers tell of a post: the rung ``history``, and the start of every rung above it.

Two ridge regressions. A post whose account has no earlier post is predicted by followers alone, as those of all posts
teach it; any other by its history and by followers, which say the more the shorter the history is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from postmill.train.data import history
from postmill.train.data.arrays import Arrays, Floats, Ids, Rows
from postmill.train.data.modality import Modality, in_memory, select
from postmill.train.models import ridge
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Fit, Problem, Scores, under
from postmill.train.models.registry import FOLLOWERS, Rung
from postmill.train.models.ridge import Ridge
from postmill.train.options import ModalityName

MIN_KNOWN = 10
"""With fewer training posts that have a history, followers predict all posts."""

_FIRST, _KNOWN = "first.", "known."  # with these begin the names of the weights
_USUAL = 10.0  # about the mean of log followers, so that their product with reliability is not reliability again


@dataclass(frozen=True)
class Past:
    """The two ridges.

    Attributes:
        first: Of posts whose account has no earlier post.
        known: Of all others; None where too few posts have a history to learn from.
    """

    first: Ridge
    known: Ridge | None

    def weights(self) -> dict[str, Floats]:
        """Return what is needed to predict again, by name."""
        named = {_FIRST: self.first, _KNOWN: self.known}
        return {
            f"{prefix}{name}": value
            for prefix, fitted in named.items()
            if fitted is not None
            for name, value in fitted.weights().items()
        }


def restored(weights: Arrays) -> Past:
    """Return the past that :meth:`Past.weights` wrote down, good for prediction."""
    known = under(weights, _KNOWN)
    return Past(ridge.restored(under(weights, _FIRST)), ridge.restored(known) if known else None)


def solve(modalities: Mapping[str, Modality], rows: Rows, target: Floats, groups: Ids, seed: int) -> Past:
    """Fit the two ridges.

    Args:
        modalities: Among them ``metadata`` with the components :data:`.registry.FOLLOWERS`, and ``history``.
        rows: Shape (N,), the training posts' rows in them.
        target: Shape (N,), standardised.
        groups: Shape (N,), ids of what must not be divided between folds.
        seed: Of the folds.
    """
    of_first, of_known = _shown(modalities)
    first = ridge.solve(of_first, rows, target, groups, seed)
    has = modalities[ModalityName.HISTORY].present[rows]
    if has.sum() < MIN_KNOWN:
        return Past(first, None)
    return Past(first, ridge.solve(of_known, rows[has], target[has], groups[has], seed))


def predict(past: Past, modalities: Mapping[str, Modality], rows: Rows) -> Floats:
    """Return the standardised predictions for ``rows``, shape (M,)."""
    of_first, of_known = _shown(modalities)
    predicted = ridge.predict(past.first, of_first, rows)
    has = np.flatnonzero(modalities[ModalityName.HISTORY].present[rows])
    if past.known is not None and len(has):
        predicted[has] = ridge.predict(past.known, of_known, rows[has])
    return predicted


def check(rung: Rung) -> None:
    """Nothing is needed that training does not need anyway."""


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Nothing is set: penalties and variance ratios are chosen by the data."""
    return {}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Fit the two ridges for the standardised target, shape (N,)."""
    with deterministic(problem.seed, threads=1):
        fitted = solve(problem.modalities, problem.train, target, problem.groups, problem.seed)
    of = {"first": fitted.first, "known": fitted.known}
    details = {name: _details(one) for name, one in of.items() if one is not None}
    return Fit(fitted.weights(), details)


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return what the ridges say of ``rows``, without an interval."""
    with deterministic(0, threads=1):
        return Scores(predict(restored(weights), modalities, rows))


def _details(fitted: Ridge) -> dict[str, float]:
    return {
        "penalty": fitted.penalty,
        "intercepts": fitted.variance_ratio,
        "validation_loss": fitted.validation_loss,
    }


def _shown(modalities: Mapping[str, Modality]) -> tuple[list[Modality], list[Modality]]:
    """Return what the ridge of first posts is shown, and what the other is."""
    followers, past = select(modalities[ModalityName.METADATA], FOLLOWERS), modalities[ModalityName.HISTORY]
    return [followers], [followers, past, _reliance(followers, past)]


def _reliance(followers: Modality, past: Modality) -> Modality:
    """Return log followers times how little the history says, of all posts."""
    rows = np.arange(len(past.present))
    unreliable = 1 - past.take(rows)[:, history.RELIABILITY]
    values = unreliable * (followers.take(rows)[:, 0] - _USUAL)
    present = past.present & followers.present
    shown = np.where(present, values, 0.0).astype(np.float32)[:, None]
    return in_memory("reliance", ("followers_unreliable",), shown, present, before_publication=True)
