"""One training, as every model of the ladder takes it, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.train.data.arrays import Arrays, Floats, Ids, Mask, Rows
from postmill.train.data.modality import Modality

COVERAGE = 0.9
"""What share of targets an interval of predictions should hold."""


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


def around(predicted: Floats, half_width: float | None) -> Scores:
    """Return predictions with an interval of one width around each; None for no interval."""
    if half_width is None:
        return Scores(predicted)
    return Scores(predicted, predicted - half_width, predicted + half_width)


HALF_WIDTH = "wider"
"""The name, among weights, of what :func:`around` or an ensemble widens intervals by; absent where it was not
calibrated."""


def half_width(weights: Arrays) -> float | None:
    """Return by how much intervals are widened, as :data:`HALF_WIDTH` states it; None where nothing states it."""
    return float(weights[HALF_WIDTH][0]) if HALF_WIDTH in weights else None


def under(weights: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays whose names begin with ``prefix``, by the rest of their names."""
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def half_width_entry(value: float | None) -> dict[str, npt.NDArray[Any]]:
    """Return what :func:`half_width` reads."""
    return {} if value is None else {HALF_WIDTH: np.array([value])}
