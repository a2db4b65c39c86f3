"""One model over all splits and seeds: what goes into its metrics, its predictions and its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.shards.formats import models
from postmill.train.data import splits
from postmill.train.data.arrays import Arrays, Ids, Mask, Rows
from postmill.train.data.dataset import Dataset
from postmill.train.data.modality import Modality
from postmill.train.evaluation import calibration, metrics, missing, slices
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.missing import Without
from postmill.train.evaluation.schema_splits import SeedCounts, SeedRun, SplitResult
from postmill.train.evaluation.slices import Slices
from postmill.train.evaluation.summary import summary
from postmill.train.models import ladder
from postmill.train.models.checkpoint import Checkpoints
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Problem, Scores
from postmill.train.models.recipes import Recipe

AccountNames = Callable[[Ids], list[str]]
"""From ids of accounts to what stands for them in the predictions."""


@dataclass(frozen=True)
class Evaluation:
    """What came of training one model on all splits and seeds.

    Attributes:
        splits: For metrics.json, by split.
        predictions: Table of :data:`.formats.models.PREDICTIONS`.
        weights: Arrays of every split and seed, named ``split/seed/name``.
    """

    splits: Mapping[str, SplitResult]
    predictions: pa.Table
    weights: Arrays


@dataclass(frozen=True)
class TrainingPlan:
    """How a model is to be trained.

    Attributes:
        name: A model of :data:`.registry.LADDER`.
        recipe: Its settings, if it is a network.
        splits: Some of :class:`.options.Split`.
        seeds: How many.
        device: ``cpu`` or ``cuda``.
    """

    name: str
    recipe: Recipe
    splits: Sequence[str]
    seeds: int
    device: str


@dataclass(frozen=True)
class _Trial:
    """One training and what the model says of its test part.

    Attributes:
        run: For metrics.json.
        test: Which posts are the test part.
        part: Their targets and predictions.
        scores: The predictions with the ends of their intervals.
        without: The predictions with modalities taken away.
        weights: Arrays by name.
    """

    run: SeedRun
    test: Mask
    part: Predicted
    scores: Scores
    without: Sequence[Without]
    weights: Arrays


def evaluate(
    training: TrainingPlan,
    data: Dataset,
    modalities: Mapping[str, Modality],
    post_slices: Slices,
    checkpoints: Checkpoints,
    account_names: AccountNames,
    advance: Callable[[int], None],
) -> Evaluation:
    """Train a model once for each split and seed and judge it on the test parts.

    Args:
        training: Which model, and how.
        data: The posts.
        modalities: What the model is shown.
        post_slices: The slices of the same posts as ``data``.
        checkpoints: Where long trainings are kept.
        account_names: From account ids to what stands for them in the predictions.
        advance: Called with 1 after each training.
    """
    results: dict[str, SplitResult] = {}
    weights: dict[str, npt.NDArray[Any]] = {}
    tables = []
    for split in training.splits:
        trials = []
        for trial in _trials(training, split, data, modalities, checkpoints):
            trials.append(trial)
            weights.update((f"{split}/{trial.run.seed}/{name}", value) for name, value in trial.weights.items())
            tables.append(_predictions(split, data, trial, account_names))
            advance(1)
        results[split] = _result(split, trials, post_slices)
    return Evaluation(results, pa.concat_tables(tables), weights)


def _trials(
    training: TrainingPlan, split: str, data: Dataset, modalities: Mapping[str, Modality], checkpoints: Checkpoints
) -> Iterator[_Trial]:
    """Train once for each seed; each seed is another split."""
    groups = data.split_by.groups(split)
    for seed in range(training.seeds):
        train, test = splits.divide(data.split_by, split, seed)
        problem = Problem(modalities, data.rows[train], data.target[train], groups[train], seed)
        context = TrainingContext(training.recipe, training.device, checkpoints, f"{split}-{seed}")
        fitted = context.finished(partial(ladder.fit, training.name, problem, context))
        rows = data.rows[test]
        score = partial(_score, training.name, fitted.weights, rows, context)
        scores = score(modalities)
        part = Predicted(data.target[test], scores.predicted, data.accounts[test], np.full(int(test.sum()), seed))
        without: list[Without] = []
        if split == splits.HEADLINE_SPLIT and len(modalities) >= missing.LEAST_MODALITIES:
            without += missing.without(score, modalities, rows, scores)
        run = SeedRun(seed, _counts(data, train, test), metrics.all_of(part), dict(fitted.details))
        yield _Trial(run, test, part, scores, without, fitted.weights)


def _score(
    name: str, weights: Arrays, rows: Rows, context: TrainingContext, modalities: Mapping[str, Modality]
) -> Scores:
    return ladder.apply(name, weights, modalities, rows, context)


def _result(split: str, trials: Sequence[_Trial], post_slices: Slices) -> SplitResult:
    pooled = metrics.pooled([trial.part for trial in trials])
    scores = calibration.joined([trial.scores for trial in trials])
    result = summary([trial.run for trial in trials], pooled, calibration.calibration(pooled, scores))
    if split != splits.HEADLINE_SPLIT:
        return result
    rows = np.concatenate([np.flatnonzero(trial.test) for trial in trials])
    return replace(
        result,
        slices=slices.errors(pooled, post_slices.take(rows)),
        missing=missing.curve(pooled, [trial.without for trial in trials if trial.without]),
    )


def _counts(data: Dataset, train: Mask, test: Mask) -> SeedCounts:
    return SeedCounts(
        train_posts=int(train.sum()),
        test_posts=int(test.sum()),
        neither=int((~train & ~test).sum()),
        train_accounts=len(np.unique(data.accounts[train])),
        test_accounts=len(np.unique(data.accounts[test])),
    )


def _predictions(split: str, data: Dataset, trial: _Trial, account_names: AccountNames) -> pa.Table:
    part, rows = trial.part, len(trial.part.true)
    ends = (trial.scores.low, trial.scores.high)
    columns = [
        pa.array([split] * rows, pa.string()),
        pa.array(np.full(rows, trial.run.seed, dtype=np.int32)),
        data.keys.filter(pa.array(trial.test)),
        pa.array(account_names(part.accounts), pa.string()),
        pa.array(part.true),
        pa.array(part.predicted),
        *(pa.nulls(rows, pa.float64()) if end is None else pa.array(end) for end in ends),
    ]
    return pa.Table.from_arrays(columns, schema=models.PREDICTIONS)
