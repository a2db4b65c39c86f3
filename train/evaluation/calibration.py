"""How predictions lie to what came true: the line through them, tenths of the posts, and what their intervals hold.

Of few posts or accounts the tenths are fewer and larger parts (:func:`.cells.tenths`).
"""

from __future__ import annotations

import numpy as np

from postmill.train.evaluation import cells, coverage
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.schema_splits import Calibration, CalibrationBin

BINS = 10


def calibration(part: Predicted) -> Calibration:
    """Return how the predictions of N posts lie to what came true.

    The slope is that of a regression of true on predicted values: below 1, predictions are too far apart.
    """
    slope = intercept = None
    bins: tuple[CalibrationBin, ...] = ()
    variance = float(np.var(part.predicted))
    if variance > 1e-12:
        covariance = np.mean((part.true - part.true.mean()) * (part.predicted - part.predicted.mean()))
        slope = float(covariance) / variance
        intercept = float(part.true.mean()) - slope * float(part.predicted.mean())
        bins = _bins(part)
    return Calibration(slope, intercept, bins, coverage.of(part))


def _bins(part: Predicted) -> tuple[CalibrationBin, ...]:
    return tuple(
        CalibrationBin(len(rows), float(part.predicted[rows].mean()), float(part.true[rows].mean()))
        for rows in cells.tenths(part.accounts, np.argsort(part.predicted, kind="stable"), BINS)
    )
