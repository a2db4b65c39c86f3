"""One training, as every model of the ladder takes it, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.train.data import splits
from postmill.train.data.arrays import Arrays, Floats, Ids, Mask, Rows
from postmill.train.data.modality import Modality

COVERAGE = 0.9
"""What share of targets an interval of predictions should hold."""

FOLDS = 5
"""A member of a bag sets aside one fold of this many."""


@dataclass(frozen=True)
class Problem:
    """One training: who is learnt from.

    Attributes:
        modalities: What the model is shown.
        train: Shape (N,), rows of the training part in the modalities.
        target: Shape (N,), of the training part.
        groups: Shape (N,), what the split keeps together.
        seed: Of everything random.
    """

    modalities: Mapping[str, Modality]
    train: Rows
    target: Floats
    groups: Ids
    seed: int

    def part(self, chosen: Mask) -> Problem:
        """Return the same training on fewer posts: those of ``chosen``, shape (N,)."""
        return replace(self, train=self.train[chosen], target=self.target[chosen], groups=self.groups[chosen])


@dataclass(frozen=True)
class Fit:
    """What came of it.

    Attributes:
        weights: Everything needed to predict, by name.
        details: How the training went, for metrics.json: numbers and texts.
    """

    weights: Arrays
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Scores:
    """What a model says of M posts.

    Attributes:
        predicted: Shape (M,), the target.
        low, high: Shape (M,), the ends of an interval that should hold :data:`COVERAGE` of all targets; None where the
            model gives none.
    """

    predicted: Floats
    low: Floats | None = None
    high: Floats | None = None

    def map(self, change: Callable[[Floats], Floats]) -> Scores:
        """Return the scores with ``change`` done to predictions and ends."""
        low, high = (None if end is None else change(end) for end in (self.low, self.high))
        return Scores(change(self.predicted), low, high)


def under(weights: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays whose names begin with ``prefix``, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def set_aside(problem: Problem, members: int) -> Iterator[Mask | None]:
    """Yield which of the N training posts each member of a bag does not learn from, shape (N,).

    A bag is one model trained several times, each with another fold of whole groups set aside, which decides when the
    training stops and calibrates intervals. Networks and trees have the same folds, so that a step from one to the
    other is a step of the learner alone. None, once, where there is one group.
    """
    count = min(FOLDS, len(np.unique(problem.groups)))
    if count < 2:
        yield None
        return
    fold = splits.folds(problem.groups, problem.seed, "validation", count)
    for member in range(min(members, count)):
        yield fold == member
