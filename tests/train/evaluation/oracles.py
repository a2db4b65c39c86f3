"""What scikit-learn and scipy make of the same posts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

from postmill.train.evaluation.measures import WITHIN_POSTS, Predicted

Column = np.ndarray[Any, Any]


def correlation(measure: Callable[[Column, Column], Any], true: Column, predicted: Column) -> float | None:
    """A correlation of scipy's; None where one side is constant."""
    if len(true) < 2 or np.ptp(true) == 0 or np.ptp(predicted) == 0:
        return None
    return float(measure(true, predicted).statistic)


def departures(part: Predicted) -> Column:
    """Predictions less the mean of the posts trained on, without what is rounding."""
    return np.array(
        [float(f"{p:.9f}") for p in part.predicted - (0.0 if part.training_mean is None else part.training_mean)]
    )


def cells(part: Predicted) -> Iterator[Column]:
    """The rows of each account in each seed."""
    for account, seed in sorted(set(zip(part.accounts.tolist(), part.seeds.tolist(), strict=True))):
        yield (part.accounts == account) & (part.seeds == seed)


def within_account(part: Predicted) -> float | None:
    """Spearman's correlation within accounts, weighted by n - 1; 0 for an account whose predictions are all equal."""
    values, weights, ordered = [], [], False
    beyond = departures(part)
    for rows in cells(part):
        true, predicted = part.true[rows], beyond[rows]
        if len(true) < WITHIN_POSTS or np.ptp(true) == 0:
            continue
        value = correlation(stats.spearmanr, true, predicted)
        ordered |= value is not None
        values.append(value or 0.0)
        weights.append(len(true) - 1)
    return float(np.average(values, weights=weights)) if ordered else None


def r2(part: Predicted) -> float | None:
    if np.ptp(part.true) == 0:
        return None
    return float(sklearn_metrics.r2_score(part.true, part.predicted))


ORACLES: Mapping[str, Callable[[Predicted], float | None]] = {
    "mse": lambda part: float(sklearn_metrics.mean_squared_error(part.true, part.predicted)),
    "mae": lambda part: float(sklearn_metrics.mean_absolute_error(part.true, part.predicted)),
    "r2": r2,
    "spearman": lambda part: correlation(stats.spearmanr, part.true, departures(part)),
    "pearson": lambda part: correlation(stats.pearsonr, part.true, departures(part)),
    "within_account": within_account,
}
"""A second opinion on every metric."""
