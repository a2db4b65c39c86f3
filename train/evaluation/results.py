"""What the trained models of a run reached, read back from ``metrics.json`` and the predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats import custody, models
from postmill.shards.run import manifests, parquet, regular
from postmill.shards.run.checked import anew
from postmill.shards.run.folder import Run
from postmill.shards.run.temporary import TEMPORARY
from postmill.shards.runtime.errors import PostmillError
from postmill.train.data.arrays import Floats
from postmill.train.data.target import Definition
from postmill.train.evaluation import metrics, serialise
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.probes import first_posts
from postmill.train.evaluation.schema import EncoderUse, ModelMetrics
from postmill.train.evaluation.schema_splits import FirstPost, SplitResult
from postmill.train.models import registry
from postmill.train.options import FeatureSet, RecipeName, TargetName


@dataclass(frozen=True)
class ModelResult:
    """One trained model.

    Attributes:
        name: Name of its folder, such as ``fusion`` or ``paper-text-mlp``.
        metrics: Everything in ``metrics.json``.
    """

    name: str
    metrics: ModelMetrics

    @property
    def model(self) -> str:
        """Its rung of the ladder."""
        return self.metrics.settings.model

    @property
    def definition(self) -> Definition:
        """What it predicts."""
        return self.metrics.settings.definition

    @property
    def of_study(self) -> bool:
        """Whether it is one of the study's, with its recipe."""
        return self.recipe == RecipeName.PAPER

    @property
    def recipe(self) -> str:
        """``postmill`` or ``paper``."""
        return self.metrics.settings.recipe

    @property
    def features(self) -> str:
        """``default`` or ``paper``."""
        return self.metrics.settings.features

    @property
    def splits(self) -> Mapping[str, SplitResult]:
        """What it reached, by split."""
        return self.metrics.splits

    @property
    def encoders(self) -> Mapping[str, EncoderUse]:
        """The encoders it was shown, by modality."""
        return self.metrics.settings.encoders

    @property
    def leaks(self) -> bool:
        """Whether it was shown what exists only after publication."""
        return self.metrics.leak is not None

    @property
    def default(self) -> bool:
        """Whether recipe and features are the project's own, so that it can be compared with the other models."""
        return (self.recipe, self.features) == (RecipeName.POSTMILL, FeatureSet.DEFAULT)

    def headline(self, split: str) -> float | None:
        """Return :data:`.metrics.HEADLINE` on ``split``; None where it is undefined or was not measured."""
        return self.splits[split].pooled.get(metrics.HEADLINE) if split in self.splits else None


@dataclass(frozen=True)
class Estimate:
    """One metric of a model on a split.

    Attributes:
        value: Over the test posts of all seeds, in log space; None where undefined.
        interval: 95 %, over accounts; None where there is none.
        note: Why there is none; empty where there is one.
        mean, std: Over seeds; None where undefined.
        shuffled: The same when the posts' content is shuffled; None where the metric is not judged by that.
    """

    value: float | None
    interval: Interval | None = None
    note: str = ""
    mean: float | None = None
    std: float | None = None
    shuffled: float | None = None


@dataclass(frozen=True)
class ResultRow:
    """One line of the table of results: a model on a split, over the test posts of all seeds.

    Attributes:
        model: Name of the model's folder.
        split: One of :class:`.options.Split`.
        estimates: By the names of :data:`.metrics.METRICS`.
        seeds, test_posts, test_accounts: How much they rest on.
        first_post: Likewise, of the same posts as if each were its account's first; empty where that was not asked.
        leaks: Whether the model was shown what exists only after publication.
        rung: The model of the ladder, where recipe and features are the project's own; else empty.
    """

    model: str
    split: str
    estimates: Mapping[str, Estimate]
    seeds: int
    test_posts: int
    test_accounts: int
    first_post: Mapping[str, Estimate] = field(default_factory=dict)
    leaks: bool = False
    rung: str = ""

    def __getitem__(self, metric: str) -> Estimate:
        """Return the estimate of ``metric``, undefined where the model was not measured by it."""
        return self.estimates.get(metric, Estimate(None))

    @property
    def label(self) -> str:
        """The model's name, with what makes it no forecast."""
        return f"{self.model} (sees comments)" if self.leaks else self.model

    def as_first_posts(self, metric: str) -> Estimate:
        """Return the estimate of ``metric`` for first posts, undefined where that was not asked."""
        return self.first_post.get(metric, Estimate(None))

    @property
    def r2(self) -> float | None:
        """R² over the test posts of all seeds."""
        return self[metrics.R2].value


def read_results(run: Run) -> list[ModelResult]:
    """Return the finished models of the run, in the order of the ladder, then those with comments and the paper's.

    Raises:
        PostmillError: A model's ``metrics.json`` cannot be read.
    """
    results = []
    for folder in regular.folders(run.models, TEMPORARY):
        if models.manifest(run, folder.name) is None:
            continue
        content = models.read_file(run, folder.name, models.METRICS_FILE)
        try:
            results.append(ModelResult(folder.name, serialise.validate_json(ModelMetrics, content)))
        except ValueError as error:
            raise _unreadable(run, folder.name, folder / models.METRICS_FILE, error) from error
    return sorted(results, key=_order)


def inputs(run: Run, results: Sequence[ModelResult]) -> dict[str, str]:
    """Return what is stated of ``results`` by what is made from them: a hash of the files of each model."""
    made = ((result.name, models.manifest(run, result.name)) for result in results)
    return {custody.model_input(name): manifests.contents_hash(model) for name, model in made if model is not None}


def _order(result: ModelResult) -> tuple[bool, bool, int, str]:
    as_paper = result.recipe == RecipeName.PAPER, result.features == FeatureSet.PAPER
    return *as_paper, registry.position(result.model, result.recipe), result.name


def by_target(results: Sequence[ModelResult]) -> dict[Definition, list[ModelResult]]:
    """Return the models by what they predict, the usual target first: none is compared with one of another target."""

    def order(definition: Definition) -> tuple[int, bool, float]:
        weight = definition.comment_weight
        return list(TargetName).index(definition.name), weight != 1, weight

    first = {of.formula: of for of in sorted({result.definition for result in results}, key=order, reverse=True)}
    grouped = {of: [result for result in results if result.definition.formula == of.formula] for of in first.values()}
    return dict(sorted(grouped.items(), key=lambda item: order(item[0])))


def rows_of(results: Sequence[ModelResult], split: str) -> list[ResultRow]:
    """Return one row for each model that was judged on ``split``."""
    return [
        row(result.name, split, result.splits[split], result.model if result.default else "", leaks=result.leaks)
        for result in results
        if split in result.splits
    ]


def row(model: str, split: str, result: SplitResult, rung: str = "", *, leaks: bool = False) -> ResultRow:
    """Return the line of the table that says what ``model``, which may leak, reached on ``split``."""
    shuffled = {} if result.shuffled is None else result.shuffled
    judged_by_it = {metric.name for metric in metrics.METRICS.values() if metric.has_control}
    return ResultRow(
        model=model,
        split=split,
        estimates={
            name: Estimate(
                value=value,
                interval=result.interval.get(name),
                note=result.notes.get(name, ""),
                mean=result.mean.get(name),
                std=result.std.get(name),
                shuffled=shuffled.get(name) if name in judged_by_it else None,
            )
            for name, value in result.pooled.items()
        },
        seeds=len(result.seeds),
        test_posts=result.counts.test_posts,
        test_accounts=result.counts.test_accounts,
        first_post={} if result.first_post is None else _of_first_posts(result.first_post),
        leaks=leaks,
        rung=rung,
    )


def _of_first_posts(first: FirstPost) -> dict[str, Estimate]:
    return {
        name: Estimate(value, first.interval.get(name), first.notes.get(name, ""))
        for name, value in first.pooled.items()
    }


def predictions(run: Run, result: ModelResult, split: str) -> Predicted:
    """Return what ``result`` predicted for the test posts of all seeds of ``split``, by seed and then key.

    Raises:
        PostmillError: The table cannot be read.
    """
    content = models.read_file(run, result.name, models.PREDICTIONS_FILE)
    try:
        return of_predictions(parquet.parsed(content), split)
    except (KeyError, ValueError, pa.ArrowException) as error:
        path = models.folder(run, result.name) / models.PREDICTIONS_FILE
        raise _unreadable(run, result.name, path, error) from error


def of_predictions(table: pa.Table, split: str) -> Predicted:
    """Return the test posts of all seeds of ``split`` from a table of :data:`.formats.models.PREDICTIONS`.

    What ``metrics.json`` states of them can be computed again: :func:`.intervals.of_metric` gives a metric with its
    interval, of what :func:`.metrics.as_first_posts` makes of them too, and :func:`.comparing.infer` a gain. They stand
    in order of seed and then key, so those of two models pair.

    Raises:
        KeyError, ValueError, ArrowException: It is no such table.
    """
    table = table.filter(pc.equal(table["split"], split)).sort_by([("seed", "ascending"), ("key", "ascending")])
    return Predicted(
        true=table["true"].to_numpy(),
        predicted=table["predicted"].to_numpy(),
        accounts=np.array([int(name, 16) for name in table["account"].to_pylist()], dtype=np.uint64),
        seeds=table["seed"].to_numpy().astype(np.int64),
        training_mean=_unless_null(table["training_mean"]),
        shuffled=_unless_null(table["shuffled"]),
        low=_unless_null(table["low"]),
        high=_unless_null(table["high"]),
        first=_unless_null(table["first"]),
        first_low=_unless_null(table["first_low"]),
        first_high=_unless_null(table["first_high"]),
        earlier_posts=pc.fill_null(table["earlier_posts"], first_posts.NOT_KNOWN).to_numpy().astype(np.int64),
    )


def _unless_null(column: pa.ChunkedArray) -> Floats | None:
    return None if column.null_count else column.to_numpy()


def _unreadable(run: Run, name: str, path: object, error: Exception) -> PostmillError:
    return PostmillError(
        f"cannot be read ({error})",
        place=path,
        hint=anew(models.folder(run, name) / f"{models.MANIFEST}.json", models.command(run, name)),
    )
