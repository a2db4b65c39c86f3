"""What the trained models of a run say of themselves, read back from ``metrics.json`` and the predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shards import manifests, models, parquet
from shards.errors import PostmillError
from shards.run import Run
from train import intervals, metrics, splits
from train.describe_models import ORDER
from train.intervals import Interval
from train.metrics import Predicted

FUSION, HISTORY, LEAK, METADATA = "fusion", "history", "leak", "metadata"
STACK = "stack"
FUSIONS = ("fusion", "fusion-gates", "fusion-transformer", "fusion-film")


@dataclass(frozen=True)
class ModelResult:
    """One trained model.

    Attributes:
        name: Name of its folder, such as ``fusion`` or ``paper-text-mlp``.
        model: Its rung of the ladder.
        recipe: ``postmill`` or ``paper``.
        features: ``default`` or ``paper``.
        metrics: Everything in ``metrics.json``.
    """

    name: str
    model: str
    recipe: str
    features: str
    metrics: Mapping[str, Any]

    @property
    def splits(self) -> Mapping[str, Any]:
        """What it reached, by split."""
        found: Mapping[str, Any] = self.metrics["splits"]
        return found

    @property
    def encoders(self) -> Mapping[str, Any]:
        """The encoders it was shown, by modality."""
        found: Mapping[str, Any] = self.metrics["settings"]["encoders"]
        return found


@dataclass(frozen=True)
class ResultRow:
    """One line of the table of results: a model on a split, over the test posts of all seeds.

    Attributes:
        model: Name of the model's folder.
        split: One of :data:`train.splits.SPLITS`.
        mse, mae, r2, spearman, within: In log space; ``within`` is Spearman within accounts. None where undefined.
        mse_interval, mae_interval, r2_interval, spearman_interval, within_interval: 95 %, over accounts; None where
            there is none.
        note: Why there is no interval of R²; empty where there is one.
        r2_mean, r2_spread: Mean and standard deviation of R² over seeds.
        seeds, test_posts, test_accounts: How much it rests on.
    """

    model: str
    split: str
    mse: float | None
    mae: float | None
    r2: float | None
    r2_interval: Interval | None
    spearman: float | None
    spearman_interval: Interval | None
    note: str
    r2_mean: float | None
    r2_spread: float | None
    seeds: int
    test_posts: int
    test_accounts: int
    within: float | None = None
    within_interval: Interval | None = None
    mse_interval: Interval | None = None
    mae_interval: Interval | None = None


def read_results(run: Run) -> list[ModelResult]:
    """Return the finished models of the run, in the order of the ladder, then those with comments and the paper's.

    Raises:
        PostmillError: A model's ``metrics.json`` cannot be read.
    """
    found = []
    for folder in sorted(run.models.glob("*/")):
        if manifests.done(folder, models.MANIFEST, run.fingerprint) is None:
            continue
        try:
            value = json.loads((folder / models.METRICS_FILE).read_bytes())
            settings = value["settings"]
            found.append(ModelResult(folder.name, settings["model"], settings["recipe"], settings["features"], value))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PostmillError(
                f"cannot be read ({error})",
                place=folder / models.METRICS_FILE,
                hint=f"delete the folder and train again: postmill train {run.word}",
            ) from error
    rungs = {name: rung for rung, name in enumerate(ORDER)}
    return sorted(found, key=lambda m: (m.recipe == "paper", m.features == "paper", rungs.get(m.model, 99), m.name))


def results_table(run: Run) -> list[ResultRow]:
    """Return the table of results: the account-disjoint split first, each in the order of the ladder."""
    results = read_results(run)
    return [row for split in splits.SPLITS for row in rows_of(results, split)]


def rows_of(results: Sequence[ModelResult], split: str) -> list[ResultRow]:
    """Return one row for each model that was judged on ``split``."""
    return [_row(result, split) for result in results if split in result.splits]


def predictions(run: Run, result: ModelResult, split: str) -> Predicted:
    """Return what ``result`` predicted for the test posts of all seeds of ``split``, by seed and then key.

    Raises:
        PostmillError: The table cannot be read.
    """
    path = models.folder(run, result.name) / models.PREDICTIONS_FILE
    try:
        table = parquet.read(path, equal={"split": split})
    except (OSError, pa.ArrowException) as error:
        raise PostmillError(
            f"cannot be read ({error})",
            place=path,
            hint=f"delete the folder and train again: postmill train {run.word}",
        ) from error
    table = table.sort_by([("seed", "ascending"), ("key", "ascending")])
    accounts = np.array([int(name, 16) for name in table["account"].to_pylist()], dtype=np.uint64)
    return Predicted(
        table["true"].to_numpy(), table["predicted"].to_numpy(), accounts, table["seed"].to_numpy().astype(np.int64)
    )


@dataclass(frozen=True)
class Comparison:
    """How much better fusion is than the best model that is no fusion, by R² on the same posts.

    Attributes:
        single: The model fusion is compared with: the best in the table, which favours it.
        difference: R² of fusion minus that of ``single``.
        interval: Paired 95 % interval over accounts, or why there is none.
    """

    single: str
    difference: float
    interval: Interval | str


def compare_fusion(run: Run, results: Sequence[ModelResult], split: str) -> Comparison | None:
    """Compare fusion with the best single model on ``split``; None where either is missing or undefined."""
    comparable = [r for r in results if (r.recipe, r.features) == ("postmill", "default") and _r2(r, split) is not None]
    fusion = next((r for r in comparable if r.model == FUSION), None)
    singles = [r for r in comparable if r.model not in (*FUSIONS, STACK, LEAK)]
    if fusion is None or not singles:
        return None
    best = max(singles, key=lambda r: _r2(r, split) or 0.0)
    ours, theirs = predictions(run, fusion, split), predictions(run, best, split)
    if not np.array_equal(ours.true, theirs.true):
        return None  # they were trained on different states of the run; the report says so
    difference, interval = intervals.difference(ours, theirs, "r2")
    return None if difference is None else Comparison(best.name, difference, interval)


@dataclass(frozen=True)
class Gain:
    """How much one model gains over another on the same test posts of a split.

    Attributes:
        model, base: The two.
        split: The split.
        statistic: One of :data:`train.metrics.NAMES`.
        difference: Of ``model`` less that of ``base``; for errors, negative is better.
        interval: Paired 95 % interval over accounts, or why there is none.
    """

    model: str
    base: str
    split: str
    statistic: str
    difference: float
    interval: Interval | str


PAIRS = ((FUSION, HISTORY), ("boosting", HISTORY), (FUSION, "boosting"), (LEAK, METADATA))
"""The steps of the ladder that are measured: what content adds to an account's past, and what a leak seems to."""

GAINS = ("r2", "spearman", metrics.WITHIN)


def gains(run: Run, results: Sequence[ModelResult]) -> list[Gain]:
    """Return the steps of :data:`PAIRS` on every split that both models were judged on.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    named = {result.model: result for result in results if (result.recipe, result.features) == ("postmill", "default")}
    found = []
    for model, base in PAIRS:
        for split in splits.SPLITS:
            if any(name not in named or split not in named[name].splits for name in (model, base)):
                continue
            ours, theirs = (predictions(run, named[name], split) for name in (model, base))
            if not np.array_equal(ours.true, theirs.true):
                continue  # they were trained on different states of the run; the report says so
            for statistic in GAINS:
                difference, interval = intervals.difference(ours, theirs, statistic)
                if difference is not None:
                    found.append(Gain(model, base, split, statistic, difference, interval))
    return found


def _r2(result: ModelResult, split: str) -> float | None:
    found: float | None = result.splits[split]["pooled"]["r2"] if split in result.splits else None
    return found


def _row(result: ModelResult, split: str) -> ResultRow:
    held = result.splits[split]
    bounds = {name: None if pair is None else Interval(*pair) for name, pair in held["interval"].items()}
    return ResultRow(
        model=result.name,
        split=split,
        mse=held["pooled"]["mse"],
        mae=held["pooled"]["mae"],
        r2=held["pooled"]["r2"],
        r2_interval=bounds["r2"],
        spearman=held["pooled"]["spearman"],
        spearman_interval=bounds["spearman"],
        note=held["interval_note"].get("r2", ""),
        r2_mean=held["mean"]["r2"],
        r2_spread=held["spread"]["r2"],
        seeds=len(held["seeds"]),
        test_posts=held["counts"]["test_posts"],
        test_accounts=held["counts"]["test_accounts"],
        within=held["pooled"][metrics.WITHIN],
        within_interval=bounds[metrics.WITHIN],
        mse_interval=bounds["mse"],
        mae_interval=bounds["mae"],
    )
