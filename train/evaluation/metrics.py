"""What is measured of predictions, one line a metric, in log space. What is undefined is None, never NaN.

All are taken over the posts of all seeds at once, so that none depends on how many posts a seed tests; but within
accounts. Correlations are of predictions less the mean target of the seed's training part: between seeds, that mean
alone would correlate with what was held out, and negatively.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from postmill.train.evaluation.measures import (
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
        in_missing: Whether it is measured with modalities taken away (:mod:`.probes.missing`).
        has_control: Whether it says nothing without what it is when content is shuffled (:mod:`.probes.control`), which
            then stands beside it.
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
    has_control: bool = False


def registry(*metrics: Metric) -> Mapping[str, Metric]:
    """Return metrics by name."""
    return {metric.name: metric for metric in metrics}


METRICS = registry(
    Metric("mse", "MSE", "MSE", of_sums(mean_squared_error), lower_is_better=True, digits=3),
    Metric("mae", "MAE", "MAE", of_sums(mean_absolute_error), lower_is_better=True, digits=3, in_missing=False),
    Metric(R2, "R²", "R²", of_sums(r2)),
    Metric(SPEARMAN, "Spearman", "Spearman", rank_correlation),
    Metric("pearson", "Pearson", "Pearson", linear_correlation, has_interval=False, in_slices=False, in_missing=False),
    Metric(WITHIN, "Spearman within account", "Within account", within_accounts, in_slices=False, has_control=True),
)
"""All metrics, in the order of tables."""


def tabulated() -> list[Metric]:
    """Return the metrics of the tables: those with an interval."""
    return [metric for metric in METRICS.values() if metric.has_interval]


def value(part: Predicted, name: str) -> float | None:
    """Return one of :data:`METRICS` over the test posts of all seeds; None where it is undefined."""
    return METRICS[name].measure(part, np.zeros(len(part.true), dtype=np.int64))(None)


def all_of(part: Predicted) -> dict[str, float | None]:
    """Return every metric by name."""
    return {name: value(part, name) for name in METRICS}


def shuffled(part: Predicted) -> Predicted | None:
    """Return the test posts with what is predicted of them when their content is shuffled; None where it was not."""
    return None if part.shuffled is None else replace(part, predicted=part.shuffled)


def as_first_posts(part: Predicted) -> Predicted | None:
    """Return the test posts with what is predicted of each as its account's first; None where it was not asked."""
    if part.first is None:
        return None
    return replace(part, predicted=part.first, low=part.first_low, high=part.first_high, shuffled=None)


def pooled(parts: Sequence[Predicted]) -> Predicted:
    """Return the test parts of several seeds as one, without a column that one of them lacks."""
    joined: dict[str, Any] = {}
    for field in fields(Predicted):
        columns = [getattr(part, field.name) for part in parts]
        joined[field.name] = None if any(column is None for column in columns) else np.concatenate(columns)
    return Predicted(**joined)
