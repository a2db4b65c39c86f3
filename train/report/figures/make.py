"""All figures of a run's report, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.shards.run.folder import Run
from postmill.train.evaluation.results import ModelResult
from postmill.train.report.describe import DataSummary
from postmill.train.report.figures import losses, predicted, quality
from postmill.train.report.figures.figure import Figure


def figures(run: Run, data: DataSummary, models: Sequence[ModelResult]) -> list[Figure]:
    """Return every figure that there are numbers for.

    Args:
        run: The run.
        data: Its data (:func:`.describe.summarise`).
        models: Its models of one target, of :func:`.results.by_target`; there may be none.

    Raises:
        PostmillError: A table of predictions or a shard cannot be read.
    """
    return list(_all(run, data, models))


def _all(run: Run, data: DataSummary, models: Sequence[ModelResult]) -> Iterator[Figure]:
    yield from losses.figures(run, data, models)
    if models:
        yield from quality.figures(run, models)
        yield from predicted.figures(run, models)
