"""One model over all splits and seeds: what goes into its metrics, its predictions and its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards import models
from train import cells, features, judge, ladder, metrics, splits
from train.cells import Kinds
from train.checkpoint import Checkpoints
from train.dataset import Dataset
from train.features import IMAGE, Modality, Rows
from train.metrics import Predicted
from train.neural import Place
from train.problem import Floats, Problem, Scores
from train.recipes import Recipe


@dataclass(frozen=True)
class Evaluation:
    """What came of training one model on all splits and seeds.

    Attributes:
        splits: For metrics.json, by split: metrics over the test posts of all seeds with intervals, each seed's own,
            their mean and spread, calibration; in the headline split also errors by kind of post and the curve of
            missing modalities.
        predictions: Table of :data:`shards.models.PREDICTIONS`.
        weights: Arrays of every split and seed, named ``split/seed/name``.
    """

    splits: Mapping[str, Any]
    predictions: pa.Table
    weights: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Asked:
    """How a model is to be trained.

    Attributes:
        name: A model of :data:`train.ladder.LADDER`.
        recipe: Its settings, if it is a network.
        splits: Some of :data:`train.splits.SPLITS`.
        seeds: How many.
        device: ``cpu`` or ``cuda``.
    """

    name: str
    recipe: Recipe
    splits: Sequence[str]
    seeds: int
    device: str


def parts(data: Dataset, split: str, seeds: int) -> Iterator[tuple[int, splits.Mask, splits.Mask]]:
    """Yield each seed, its training part and its test part; each seed is another split."""
    for seed in range(seeds):
        yield seed, *splits.divide(data.split_by, split, seed)


def evaluate(
    asked: Asked,
    data: Dataset,
    modalities: Mapping[str, Modality],
    kinds: Kinds,
    checkpoints: Checkpoints,
    account_names: Callable[[splits.Units], list[str]],
    advance: Callable[[int], None],
) -> Evaluation:
    """Train a model once for each split and seed and judge it on the test parts.

    Args:
        asked: Which model, and how.
        data: The posts.
        modalities: What the model is shown.
        kinds: By which errors are told apart, of the same posts as ``data``.
        checkpoints: Where long trainings are kept.
        account_names: From account ids to what stands for them in the predictions.
        advance: Called with 1 after each training.
    """
    results: dict[str, Any] = {}
    weights: dict[str, npt.NDArray[Any]] = {}
    tables = []
    for split in asked.splits:
        units, judged, runs, scored, tested = data.split_by.units(split), [], [], [], []
        without: dict[tuple[str, float], list[Floats]] = {}
        for seed, train, test in parts(data, split, asked.seeds):
            problem = Problem(modalities, data.rows[train], data.target[train], units[train], seed)
            key = f"{split}-{seed}"
            place = Place(asked.device, checkpoints, key)
            fitted = checkpoints.finished(key, partial(ladder.fit, asked.name, asked.recipe, problem, place))

            def score(shown: Mapping[str, Modality], rows: Rows, held: Any = fitted.weights) -> Scores:
                return ladder.apply(asked.name, asked.recipe, held, shown, rows, asked.device)

            scores = score(modalities, data.rows[test])
            part = Predicted(data.target[test], scores.predicted, data.accounts[test], np.full(int(test.sum()), seed))
            judged.append(part)
            scored.append(scores)
            tested.append(np.flatnonzero(test))
            runs.append(
                {
                    "seed": seed,
                    "counts": _counts(data, train, test),
                    "metrics": metrics.all_of(part),
                    "training": dict(fitted.details),
                }
            )
            if split == splits.INFLUENCER and len(modalities) > 2:
                for which, values in _without(score, modalities, data.rows[test], scores.predicted):
                    without.setdefault(which, []).append(values)
            weights.update((f"{split}/{seed}/{name}", value) for name, value in fitted.weights.items())
            tables.append(_predictions(split, seed, data, test, part, scores, account_names))
            advance(1)
        pooled = metrics.pooled(judged)
        results[split] = {
            "seeds": runs,
            **judge.summary(runs, pooled),
            "calibration": judge.calibration(pooled, judge.joined(scored)),
        }
        if split == splits.INFLUENCER:
            results[split]["errors_by_kind"] = cells.errors(pooled, kinds.take(np.concatenate(tested)))
            joined = {which: np.concatenate(values) for which, values in without.items()}
            results[split]["missing"] = judge.curve(pooled, joined)
    return Evaluation(results, pa.concat_tables(tables), weights)


def _without(
    score: Callable[[Mapping[str, Modality], Rows], Scores],
    modalities: Mapping[str, Modality],
    rows: Rows,
    whole: Floats,
) -> Iterator[tuple[tuple[str, float], Floats]]:
    """Yield the predictions when a modality is taken away: pictures from shares of the posts, the others from all.

    Which posts lose their picture is a matter of their place; what they lose at one share they lack at the next.
    """
    for name, modality in modalities.items():
        for share in judge.MISSING_SHARES if name == IMAGE else (1.0,):
            if share == 0.0:
                yield (name, share), whole
                continue
            lost = np.zeros(len(modality.present), dtype=bool)
            order = np.random.default_rng(0).permutation(len(rows))
            lost[rows[order[: round(share * len(rows))]]] = True
            yield (name, share), score({**modalities, name: features.masked(modality, ~lost)}, rows).predicted


def _counts(data: Dataset, train: splits.Mask, test: splits.Mask) -> dict[str, int]:
    return {
        "train_posts": int(train.sum()),
        "test_posts": int(test.sum()),
        "neither": int((~train & ~test).sum()),
        "train_accounts": len(np.unique(data.accounts[train])),
        "test_accounts": len(np.unique(data.accounts[test])),
    }


def _predictions(
    split: str,
    seed: int,
    data: Dataset,
    test: splits.Mask,
    part: Predicted,
    scores: Scores,
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
        *(pa.nulls(rows, pa.float64()) if end is None else pa.array(end) for end in (scores.low, scores.high)),
    ]
    return pa.Table.from_arrays(columns, schema=models.PREDICTIONS)
