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
from postmill.train.data import splits, target
from postmill.train.data.arrays import Arrays, Floats, Ids, Mask, Rows
from postmill.train.data.dataset import Dataset
from postmill.train.data.hashing import Pseudonyms
from postmill.train.data.modality import Modality
from postmill.train.evaluation import calibration, coverage, metrics, slices
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.probes import control, first_posts, missing
from postmill.train.evaluation.probes.explained import Explained, contributions, explain
from postmill.train.evaluation.probes.missing import Without
from postmill.train.evaluation.schema_splits import SeedCounts, SeedRun, SplitResult
from postmill.train.evaluation.slices import Slices
from postmill.train.evaluation.summary import summary
from postmill.train.models import ladder
from postmill.train.models.checkpoint import Checkpoints
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Problem, Scores
from postmill.train.models.recipes import Recipe


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
        without: The predictions with modalities taken away.
        explained: What each modality adds to them.
        weights: Arrays by name.
    """

    run: SeedRun
    test: Mask
    part: Predicted
    without: Sequence[Without]
    explained: Sequence[Explained]
    weights: Arrays


def evaluate(
    training: TrainingPlan,
    data: Dataset,
    modalities: Mapping[str, Modality],
    post_slices: Slices,
    checkpoints: Checkpoints,
    pseudonyms: Pseudonyms,
    advance: Callable[[int], None],
) -> Evaluation:
    """Train a model once for each split and seed and judge it on the test parts.

    Args:
        training: Which model, and how.
        data: The posts.
        modalities: What the model is shown.
        post_slices: The slices of the same posts as ``data``.
        checkpoints: Where long trainings are kept.
        pseudonyms: What stands for accounts and posts in the predictions. Intervals are over these accounts, so that
            whoever has the predictions can compute them again.
        advance: Called with 1 after each training.
    """
    results: dict[str, SplitResult] = {}
    weights: dict[str, npt.NDArray[Any]] = {}
    accounts = pseudonyms.accounts(data.accounts)
    tables = []
    for split in training.splits:
        trials = []
        for trial in _trials(training, split, data, modalities, checkpoints, accounts):
            trials.append(trial)
            weights.update((f"{split}/{trial.run.seed}/{name}", value) for name, value in trial.weights.items())
            tables.append(_predictions(split, pseudonyms.posts(data.keys.filter(pa.array(trial.test))), trial))
            advance(1)
        results[split] = _result(split, trials, post_slices)
    return Evaluation(results, pa.concat_tables(tables), weights)


def _trials(
    training: TrainingPlan,
    split: str,
    data: Dataset,
    modalities: Mapping[str, Modality],
    checkpoints: Checkpoints,
    accounts: Ids,
) -> Iterator[_Trial]:
    """Train once for each seed; each seed is another split."""
    groups, earlier_posts = data.split_by.groups(split), first_posts.earlier_posts(data)
    for seed in range(training.seeds):
        train, test = splits.divide(data.split_by, split, seed)
        problem = Problem(modalities, data.rows[train], data.target[train], groups[train], seed)
        context = TrainingContext(training.recipe, training.device, checkpoints, f"{split}-{seed}")
        fitted = context.finished(partial(ladder.fit, training.name, problem, context))
        rows = data.rows[test]
        score = partial(_score, training.name, fitted.weights, rows, context)
        scores = score(modalities)
        first = first_posts.scores(score, modalities, scores)
        partner = control.partners(accounts[test], seed)
        part = Predicted(
            true=data.target[test],
            predicted=scores.predicted,
            accounts=accounts[test],
            seeds=np.full(len(rows), seed),
            training_mean=np.full(len(rows), target.fit_scale(problem.target).mean),
            shuffled=control.shuffled(score, modalities, rows, partner, scores),
            low=scores.low,
            high=scores.high,
            first=first.predicted,
            first_low=first.low,
            first_high=first.high,
            earlier_posts=earlier_posts[test],
        )
        without: list[Without] = []
        explained = []
        if split == splits.HEADLINE_SPLIT:
            if len(modalities) >= missing.LEAST_MODALITIES:
                without += missing.without(score, modalities, rows, scores)
            explained.append(explain(training.name, fitted.weights, modalities, rows, accounts[test]))
        run = SeedRun(seed, _counts(data, train, test), metrics.all_of(part), dict(fitted.details))
        yield _Trial(run, test, part, without, explained, fitted.weights)


def _score(
    name: str, weights: Arrays, rows: Rows, context: TrainingContext, modalities: Mapping[str, Modality]
) -> Scores:
    return ladder.apply(name, weights, modalities, rows, context)


def _result(split: str, trials: Sequence[_Trial], post_slices: Slices) -> SplitResult:
    pooled = metrics.pooled([trial.part for trial in trials])
    result = summary([trial.run for trial in trials], pooled, calibration.calibration(pooled))
    if split != splits.HEADLINE_SPLIT:
        return result
    of_posts = post_slices.take(np.concatenate([np.flatnonzero(trial.test) for trial in trials]))
    return replace(
        result,
        slices=slices.errors(pooled, of_posts),
        coverage=coverage.by_kind(pooled, of_posts),
        missing=missing.curve(pooled, [trial.without for trial in trials if trial.without]),
        contributions=contributions([explained for trial in trials for explained in trial.explained]),
    )


def _counts(data: Dataset, train: Mask, test: Mask) -> SeedCounts:
    return SeedCounts(
        train_posts=int(train.sum()),
        test_posts=int(test.sum()),
        neither=int((~train & ~test).sum()),
        train_accounts=len(np.unique(data.accounts[train])),
        test_accounts=len(np.unique(data.accounts[test])),
    )


def _predictions(split: str, keys: pa.Array, trial: _Trial) -> pa.Table:
    """Return the rows of a test part in order of ``keys``: that of the posts themselves would tell which is which."""
    part, rows = trial.part, len(trial.part.true)
    distinct, account = np.unique(part.accounts, return_inverse=True)
    names = pa.array([models.account_name(of) for of in distinct.tolist()], pa.string())
    columns = {
        "split": pa.array([split] * rows, pa.string()),
        "seed": pa.array(np.full(rows, trial.run.seed, dtype=np.int32)),
        "key": keys,
        "account": names.take(pa.array(account)),
        "true": pa.array(part.true),
        "predicted": pa.array(part.predicted),
        "low": _or_null(part.low, rows),
        "high": _or_null(part.high, rows),
        "training_mean": _or_null(part.training_mean, rows),
        "shuffled": _or_null(part.shuffled, rows),
        "first": _or_null(part.first, rows),
        "first_low": _or_null(part.first_low, rows),
        "first_high": _or_null(part.first_high, rows),
        "earlier_posts": _known(part.earlier_posts, rows),
    }
    return pa.table(columns, schema=models.PREDICTIONS).sort_by("key")


def _or_null(values: Floats | None, rows: int) -> pa.Array:
    return pa.nulls(rows, pa.float64()) if values is None else pa.array(values)


def _known(earlier_posts: Rows | None, rows: int) -> pa.Array:
    if earlier_posts is None:
        return pa.nulls(rows, pa.int32())
    return pa.array(earlier_posts.astype(np.int32), mask=earlier_posts == first_posts.NOT_KNOWN)
