"""What a model's test posts say of it: metrics with intervals, calibration, and the curve of missing modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from train import intervals, metrics
from train.intervals import Interval
from train.metrics import Predicted
from train.problem import COVERAGE, Scores

INTERVALS = ("mse", "mae", "r2", "spearman", metrics.WITHIN)
"""The statistics that get an interval."""

BINS = 10
MISSING_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of test posts that are not shown their picture; other modalities are taken away from all."""

Floats = npt.NDArray[np.float64]


def summary(runs: Sequence[Mapping[str, Any]], pooled: Predicted) -> dict[str, Any]:
    """Return the metrics over the test posts of all seeds, their intervals, and mean and spread over seeds."""
    bounds = {name: intervals.interval(pooled, name) for name in INTERVALS}
    mean, spread = {}, {}
    for name in metrics.NAMES:
        found = [run["metrics"][name] for run in runs]
        known = [value for value in found if value is not None]
        mean[name] = float(np.mean(known)) if len(known) == len(found) else None
        spread[name] = float(np.std(known, ddof=1)) if len(known) == len(found) > 1 else None
    return {
        "pooled": metrics.all_of(pooled),
        "counts": {"test_posts": len(pooled.true), "test_accounts": len(np.unique(pooled.accounts))},
        "interval": {name: None if isinstance(i, str) else [i.low, i.high] for name, i in bounds.items()},
        "interval_note": {name: i for name, i in bounds.items() if isinstance(i, str)},
        "mean": mean,
        "spread": spread,
    }


def joined(scores: Sequence[Scores]) -> Scores:
    """Return the scores of several seeds as one, without an interval where a seed has none."""
    low, high = ([getattr(each, side) for each in scores] for side in ("low", "high"))
    complete = all(part is not None for part in (*low, *high))
    ends = (np.concatenate(low), np.concatenate(high)) if complete else (None, None)
    return Scores(np.concatenate([each.predicted for each in scores]), *ends)


def calibration(part: Predicted, scores: Scores) -> dict[str, Any]:
    """Return how predictions lie to what came true.

    ``slope`` and ``intercept`` are those of a straight line from predicted to true: 1 and 0 are right, a slope below 1
    means predictions that are too far apart. ``bins`` are tenths of the posts in order of their prediction.
    ``coverage`` is the share of posts inside their interval, with its own interval over accounts.
    """
    found: dict[str, Any] = {"slope": None, "intercept": None, "bins": [], "coverage": None}
    spread = float(np.var(part.predicted))
    if spread > 1e-12:
        covariance = np.mean((part.true - part.true.mean()) * (part.predicted - part.predicted.mean()))
        found["slope"] = float(covariance) / spread
        found["intercept"] = float(part.true.mean()) - found["slope"] * float(part.predicted.mean())
        order = np.argsort(part.predicted, kind="stable")
        found["bins"] = [
            {"posts": len(at), "predicted": float(part.predicted[at].mean()), "true": float(part.true[at].mean())}
            for at in np.array_split(order, min(BINS, len(order)))
        ]
    if scores.low is not None and scores.high is not None:
        inside = ((scores.low <= part.true) & (part.true <= scores.high)).astype(np.float64)
        # The mean absolute error against zeros is the share of ones.
        share = Predicted(inside, np.zeros(len(inside)), part.accounts, part.seeds)
        bounds = intervals.interval(share, "mae")
        found["coverage"] = {
            "wanted": COVERAGE,
            "found": float(inside.mean()),
            "interval": [bounds.low, bounds.high] if isinstance(bounds, Interval) else None,
            "width": float(np.mean(scores.high - scores.low)),
        }
    return found


def curve(part: Predicted, predicted: Mapping[tuple[str, float], Floats]) -> list[dict[str, Any]]:
    """Return the quality of predictions made without a modality, for each modality and share of posts."""
    found = []
    for (modality, share), values in predicted.items():
        own = Predicted(part.true, values, part.accounts, part.seeds)
        numbers = {name: metrics.value(own, name) for name in ("mse", "r2", "spearman", metrics.WITHIN)}
        found.append({"modality": modality, "missing": share, **numbers})
    return found
