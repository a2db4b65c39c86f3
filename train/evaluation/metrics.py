"""What is measured of predictions, one line a metric, in log space. What is undefined is None, never NaN.

Errors and R² are taken over the posts of all seeds at once. Correlations are taken among the posts of each seed and
averaged: between seeds, the mean of the training part alone would correlate with what was held out, and negatively.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from postmill.train.evaluation.measures import (
    Measure,
    Predicted,
    Preparation,
    linear_correlation,
    mean_absolute_error,
    mean_squared_error,
    of_sums,
    r2,
    rank_correlation,
    within_accounts,
)

R2, SPEARMAN, WITHIN = "r2", "spearman", "within_account"
HEADLINE = R2
"""The metric that models are compared by."""


@dataclass(frozen=True)
class Metric:
    """A metric and where it is shown.

    Attributes:
        name: Its key in ``metrics.json``.
        heading: What people call it.
        short: The same where there is little room.
        measure: How it is computed.
        lower_is_better: Whether it is an error.
        digits: After the point, on the page.
        has_interval: Whether it gets an interval, and so a place in every table; else it is in ``metrics.json`` alone.
        in_slices: Whether it is measured in each slice (:mod:`.slices`).
        in_missing: Whether it is measured with modalities taken away (:mod:`.missing`).
    """

    name: str
    heading: str
    short: str
    measure: Preparation
    lower_is_better: bool = False
    digits: int = 2
    has_interval: bool = True
    in_slices: bool = True
    in_missing: bool = True


def registry(*metrics: Metric) -> Mapping[str, Metric]:
    """Return metrics by name."""
    return {metric.name: metric for metric in metrics}


METRICS = registry(
    Metric("mse", "MSE", "MSE", of_sums(mean_squared_error), lower_is_better=True, digits=3),
    Metric("mae", "MAE", "MAE", of_sums(mean_absolute_error), lower_is_better=True, digits=3, in_missing=False),
    Metric(R2, "R²", "R²", of_sums(r2)),
    Metric(SPEARMAN, "Spearman", "Spearman", rank_correlation),
    Metric("pearson", "Pearson", "Pearson", linear_correlation, has_interval=False, in_slices=False, in_missing=False),
    Metric(WITHIN, "Spearman within account", "Within account", within_accounts, in_slices=False),
)
"""All metrics, in the order of tables."""


def tabulated() -> list[Metric]:
    """Return the metrics of the tables: those with an interval."""
    return [metric for metric in METRICS.values() if metric.has_interval]


def prepared(part: Predicted, name: str) -> Measure:
    """Return one of :data:`METRICS` of the test posts as a function of how often each account is drawn."""
    return METRICS[name].measure(part, np.unique(part.accounts, return_inverse=True)[1])


def value(part: Predicted, name: str) -> float | None:
    """Return one of :data:`METRICS` over the test posts of all seeds; None where it is undefined."""
    return prepared(part, name)(None)


def all_of(part: Predicted) -> dict[str, float | None]:
    """Return every metric by name."""
    return {name: value(part, name) for name in METRICS}


def pooled(parts: Sequence[Predicted]) -> Predicted:
    """Return the test parts of several seeds as one."""
    return Predicted(
        np.concatenate([part.true for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.accounts for part in parts]),
        np.concatenate([part.seeds for part in parts]),
    )
