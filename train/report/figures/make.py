"""All figures of a run's report, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.shards.indicators.tables import Insights
from postmill.shards.run.folder import Run
from postmill.train.evaluation import gains as evaluation
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.results import ModelResult
from postmill.train.report.describe import DataSummary
from postmill.train.report.figures import certainty, data, gains, losses, predicted, quality
from postmill.train.report.figures.figure import Figure
from postmill.train.report.tone import pictures


def figures(
    run: Run,
    summary: DataSummary,
    models: Sequence[ModelResult],
    measured: Sequence[Gain] | None = None,
    insights: Insights | None = None,
) -> list[Figure]:
    """Return every figure that there are numbers for, in the order of :class:`.figure.Question`.

    Args:
        run: The run.
        summary: Its data (:func:`.describe.summarise`).
        models: Its models of one target, of :func:`.results.by_target`; there may be none.
        measured: Their gains (:func:`.gains.gains`), where these are known already.
        insights: Its tables of tone; None where there are none.

    Raises:
        PostmillError: A table of predictions or a shard cannot be read.
    """
    return list(_all(run, summary, models, measured, insights))


def _all(
    run: Run,
    summary: DataSummary,
    models: Sequence[ModelResult],
    measured: Sequence[Gain] | None,
    insights: Insights | None,
) -> Iterator[Figure]:
    yield from data.figures(run, summary)
    yield from losses.figures(run, summary, models)
    if models:
        yield from quality.figures(run, models)
        yield from predicted.figures(run, models)
        yield from gains.figures(run, models, evaluation.gains(run, models) if measured is None else measured)
        yield from certainty.figures(run, models)
    if insights is not None:
        yield from pictures.figures(run, insights)
