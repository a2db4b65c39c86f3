"""What a step of the ladder is worth: two models compared on the same test posts, with paired intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from postmill.shards.run.folder import Run
from postmill.train.evaluation import intervals, metrics
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import ModelResult, predictions
from postmill.train.models import registry
from postmill.train.options import Split


@dataclass(frozen=True)
class Gain:
    """How much one model gains over another on the same test posts of a split.

    Attributes:
        model, base: The two.
        split: The split.
        metric: One of :data:`.metrics.METRICS`.
        difference: Of ``model`` less that of ``base``; for errors, negative is better.
        interval: Paired 95 %, over accounts; None where there is none.
        note: Why there is none; empty where there is one.
    """

    model: str
    base: str
    split: str
    metric: Annotated[str, Field(alias="statistic")]
    difference: float
    interval: Interval | None
    note: str


def measured() -> list[str]:
    """Return the metrics that gains are measured in: those of the tables in which higher is better."""
    return [metric.name for metric in metrics.tabulated() if not metric.lower_is_better]


def gains(run: Run, results: Sequence[ModelResult]) -> list[Gain]:
    """Return the steps of :data:`.registry.STEPS` on every split that both models were judged on.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    named = {result.model: result for result in results if result.default}
    return [
        gain
        for model, base in registry.STEPS
        if model in named and base in named
        for split in Split
        for gain in _gains(run, named[model], named[base], split, measured())
    ]


def compare_fusion(run: Run, results: Sequence[ModelResult], split: str) -> Gain | None:
    """Return by how much fusion is better than the best model that is no fusion, by R², on ``split``.

    The best in the table is taken, which favours it. None where either is missing or undefined.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    comparable = [result for result in results if result.default and result.headline(split) is not None]
    fusion = next((result for result in comparable if result.model == registry.CONTENT_STEP.model), None)
    singles = [result for result in comparable if _is_single(result.model)]
    if fusion is None or not singles:
        return None
    best = max(singles, key=lambda result: result.headline(split) or 0.0)
    return next(_gains(run, fusion, best, split, [metrics.HEADLINE]), None)


def _is_single(model: str) -> bool:
    return model not in registry.LADDER or registry.LADDER[model].is_single


def _gains(run: Run, model: ModelResult, base: ModelResult, split: str, names: Sequence[str]) -> Iterator[Gain]:
    if split not in model.splits or split not in base.splits:
        return
    ours, theirs = predictions(run, model, split), predictions(run, base, split)
    if not (np.array_equal(ours.true, theirs.true) and np.array_equal(ours.accounts, theirs.accounts)):
        return  # they were trained on different states of the run; the report says so
    for name in names:
        difference, bounds = intervals.paired_difference(ours, theirs, name)
        if difference is not None:
            interval, note = (bounds, "") if isinstance(bounds, Interval) else (None, bounds)
            yield Gain(model.model, base.model, split, name, difference, interval, note)
