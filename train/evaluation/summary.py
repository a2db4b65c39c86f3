"""What a model reached on a split: metrics over the test posts of all seeds, intervals, and mean and std over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from postmill.train.evaluation import coverage, intervals, metrics
from postmill.train.evaluation.intervals import Inference
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.schema_splits import Calibration, FirstPost, PooledCounts, SeedRun, SplitResult


def summary(seeds: Sequence[SeedRun], pooled: Predicted, calibration: Calibration) -> SplitResult:
    """Return the result of a split, without what the headline split alone has.

    Args:
        seeds: Each seed's own result.
        pooled: The test posts of all seeds.
        calibration: Of the same posts.
    """
    inferred = {metric.name: intervals.of_metric(pooled, metric.name) for metric in metrics.tabulated()}
    shuffled = metrics.shuffled(pooled)
    by_metric = {name: [run.metrics[name] for run in seeds] for name in metrics.METRICS}
    return SplitResult(
        pooled=metrics.all_of(pooled),
        interval={name: inference.interval for name, inference in inferred.items()},
        counts=PooledCounts(len(pooled.true), len(np.unique(pooled.accounts))),
        mean={name: mean_over_seeds(values) for name, values in by_metric.items()},
        std={name: std_over_seeds(values) for name, values in by_metric.items()},
        notes={name: inference.note for name, inference in inferred.items() if inference.note},
        shuffled=None if shuffled is None else metrics.all_of(shuffled),
        first_post=_first_post(pooled, inferred),
        seeds=tuple(seeds),
        calibration=calibration,
    )


def _first_post(pooled: Predicted, with_past: Mapping[str, Inference]) -> FirstPost | None:
    first = metrics.as_first_posts(pooled)
    if first is None:
        return None
    inferred = with_past
    if not np.array_equal(first.predicted, pooled.predicted):  # as of a model that is not shown the past
        inferred = {name: intervals.of_metric(first, name) for name in with_past}
    return FirstPost(
        pooled=metrics.all_of(first),
        interval={name: inference.interval for name, inference in inferred.items()},
        notes={name: inference.note for name, inference in inferred.items() if inference.note},
        coverage=coverage.of(first),
    )


def mean_over_seeds(values: Sequence[float | None]) -> float | None:
    """Return the mean over seeds; None where the metric is undefined for one of them."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def std_over_seeds(values: Sequence[float | None]) -> float | None:
    """Return the standard deviation over two or more seeds, with n - 1; None where one has no value."""
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) == len(values) > 1 else None
