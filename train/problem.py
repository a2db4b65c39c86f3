"""One training, as every model of the ladder takes it, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from train.features import Modality, Rows
from train.splits import Units

Floats = npt.NDArray[np.float64]

FOLLOWERS = ("log_followers", "account_missing")
"""The components of the metadata that say how many follow an account."""


COVERAGE = 0.9
"""What share of targets an interval of predictions should hold."""


@dataclass(frozen=True)
class Problem:
    """One training: who is learnt from.

    Attributes:
        modalities: What the model is shown.
        train: Shape (N,), rows of the training part in the modalities.
        target: Shape (N,), of the training part.
        units: Shape (N,), what the split keeps together.
        seed: Of everything random.
    """

    modalities: Mapping[str, Modality]
    train: Rows
    target: Floats
    units: Units
    seed: int


@dataclass(frozen=True)
class Fit:
    """What came of it.

    Attributes:
        weights: Everything needed to predict, by name.
        details: How the training went, for metrics.json: numbers and texts.
    """

    weights: Mapping[str, npt.NDArray[Any]]
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
