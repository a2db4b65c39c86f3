"""One model over all splits and seeds: what goes into its metrics, its predictions and its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards import models
from train import intervals, ladder, metrics, splits
from train.dataset import Dataset
from train.features import Modality
from train.metrics import Predicted
from train.problem import Problem

INTERVALS = ("r2", "spearman")
"""The statistics that get an interval."""


@dataclass(frozen=True)
class Evaluation:
    """What came of training one model on all splits and seeds.

    Attributes:
        splits: For metrics.json, by split: metrics over the test posts of all seeds with intervals, each seed's own,
            and their mean and spread.
        predictions: Table of :data:`shards.models.PREDICTIONS`.
        weights: Arrays of every split and seed, named ``split/seed/name``.
    """

    splits: Mapping[str, Any]
    predictions: pa.Table
    weights: Mapping[str, npt.NDArray[Any]]


def parts(data: Dataset, split: str, seeds: int) -> Iterator[tuple[int, splits.Mask]]:
    """Yield each seed and which posts are its test part; each seed is another split."""
    for seed in range(seeds):
        yield seed, splits.tested(data.units(split), seed)


def evaluate(
    name: str,
    recipe: str,
    data: Dataset,
    modalities: Mapping[str, Modality],
    split_names: Sequence[str],
    seeds: int,
    account_names: Callable[[splits.Units], list[str]],
    advance: Callable[[int], None],
) -> Evaluation:
    """Train ``name`` once for each split and seed and judge it on the test parts.

    Args:
        name: A model of :data:`train.ladder.LADDER`.
        recipe: ``postmill`` or ``paper``.
        data: The posts.
        modalities: What the model is shown.
        split_names: Some of :data:`train.splits.SPLITS`.
        seeds: How many.
        account_names: From account ids to what stands for them in the predictions.
        advance: Called with 1 after each training.
    """
    results: dict[str, Any] = {}
    weights: dict[str, npt.NDArray[Any]] = {}
    tables = []
    for split in split_names:
        units, judged, runs = data.units(split), [], []
        for seed, test in parts(data, split, seeds):
            problem = Problem(modalities, data.rows[~test], data.rows[test], data.target[~test], units[~test], seed)
            fitted = ladder.fit(name, recipe, problem)
            part = Predicted(data.target[test], fitted.predicted, data.accounts[test], np.full(int(test.sum()), seed))
            judged.append(part)
            runs.append(
                {
                    "seed": seed,
                    "counts": _counts(data, test),
                    "metrics": metrics.all_of(part),
                    "training": dict(fitted.details),
                }
            )
            weights.update((f"{split}/{seed}/{key}", value) for key, value in fitted.weights.items())
            tables.append(_predictions(split, seed, data, test, part, account_names))
            advance(1)
        results[split] = {"seeds": runs, **_summary(runs, judged)}
    return Evaluation(results, pa.concat_tables(tables), weights)


def _counts(data: Dataset, test: splits.Mask) -> dict[str, int]:
    return {
        "train_posts": int((~test).sum()),
        "test_posts": int(test.sum()),
        "train_accounts": len(np.unique(data.accounts[~test])),
        "test_accounts": len(np.unique(data.accounts[test])),
    }


def _summary(runs: Sequence[Mapping[str, Any]], judged: Sequence[Predicted]) -> dict[str, Any]:
    """Return the metrics over the test posts of all seeds, their intervals, and mean and spread over seeds."""
    pooled = metrics.pooled(judged)
    bounds = {name: intervals.interval(pooled, name) for name in INTERVALS}
    mean, spread = {}, {}
    for name in metrics.STATISTICS:
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


def _predictions(
    split: str,
    seed: int,
    data: Dataset,
    test: splits.Mask,
    part: Predicted,
    account_names: Callable[[splits.Units], list[str]],
) -> pa.Table:
    rows = len(part.true)
    columns = [
        pa.array([split] * rows, pa.string()),
        pa.array(np.full(rows, seed, dtype=np.int32)),
        data.keys.filter(pa.array(test)),
        pa.array(account_names(part.accounts), pa.string()),
        pa.array(part.true),
        pa.array(part.predicted),
    ]
    return pa.Table.from_arrays(columns, schema=models.PREDICTIONS)
