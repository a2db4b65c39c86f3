"""How predictions lie to what came true: the line through them, tenths of the posts, and what their intervals hold.

Of few posts or accounts the tenths are fewer and larger parts (:func:`.cells.tenths`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from postmill.train.evaluation import cells, intervals
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.schema_splits import Calibration, CalibrationBin, Coverage
from postmill.train.models.problem import COVERAGE, Scores

BINS = 10


def joined(scores: Sequence[Scores]) -> Scores:
    """Return the scores of several seeds as one, without an interval where a seed has none."""
    predicted = np.concatenate([score.predicted for score in scores])
    low = [score.low for score in scores if score.low is not None]
    high = [score.high for score in scores if score.high is not None]
    if len(low) < len(scores) or len(high) < len(scores):
        return Scores(predicted)
    return Scores(predicted, np.concatenate(low), np.concatenate(high))


def calibration(part: Predicted, scores: Scores) -> Calibration:
    """Return how the predictions of N posts lie to what came true.

    The slope is that of a regression of true on predicted values: below 1, predictions are too far apart.

    Args:
        part: The posts.
        scores: The ends of their intervals, where the model gives any.
    """
    slope = intercept = None
    bins: tuple[CalibrationBin, ...] = ()
    variance = float(np.var(part.predicted))
    if variance > 1e-12:
        covariance = np.mean((part.true - part.true.mean()) * (part.predicted - part.predicted.mean()))
        slope = float(covariance) / variance
        intercept = float(part.true.mean()) - slope * float(part.predicted.mean())
        bins = _bins(part)
    return Calibration(slope, intercept, bins, _coverage(part, scores))


def _bins(part: Predicted) -> tuple[CalibrationBin, ...]:
    return tuple(
        CalibrationBin(len(rows), float(part.predicted[rows].mean()), float(part.true[rows].mean()))
        for rows in cells.tenths(part.accounts, np.argsort(part.predicted, kind="stable"), BINS)
    )


def _coverage(part: Predicted, scores: Scores) -> Coverage | None:
    if scores.low is None or scores.high is None:
        return None
    inside = ((scores.low <= part.true) & (part.true <= scores.high)).astype(np.float64)
    inferred = intervals.of_mean(inside, part.accounts)
    return Coverage(
        nominal=COVERAGE,
        share=float(inside.mean()),
        interval=inferred.interval,
        width=float(np.mean(scores.high - scores.low)),
    )
