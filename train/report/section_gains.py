"""What adds to an account's past, and what leaks: the paired gains, and what moves predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.train.evaluation import gains as evaluation
from postmill.train.evaluation import metrics
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema_splits import Contribution, MissingModality
from postmill.train.models.registry import CONTENT_STEP, EXPLAINED
from postmill.train.options import Split
from postmill.train.report.formatting import DASH, number, span
from postmill.train.report.html import Cell, Measured, Table, TableColumn, number_columns, text_columns

_PARTS = {"start": "followers and past, from which trees start", "history": "history, beyond that"}


def best_forecast(models: Sequence[ModelResult]) -> ModelResult | None:
    """Return the forecast that probes are of: fusion, or else the model with the best R² on the headline split."""
    return max(
        (result for result in models if Split.INFLUENCER in result.splits and result.default and not result.leaks),
        key=lambda result: (result.model == CONTENT_STEP.model, result.headline(Split.INFLUENCER) or -1e9),
        default=None,
    )


def tables(gains: Sequence[Gain], models: Sequence[ModelResult]) -> Iterator[Table]:
    """Yield the paired gains, what moves predictions, and what is lost without a part."""
    if gains:
        yield _gains(gains)
    for model in models:
        explained = model.splits[Split.INFLUENCER].contributions if Split.INFLUENCER in model.splits else None
        if explained and model.model == EXPLAINED:
            yield _contributions(model.name, explained)
    best = best_forecast(models)
    if best is not None:
        yield _missing(best.name, best.splits[Split.INFLUENCER].missing or ())


def _gains(gains: Sequence[Gain]) -> Table:
    rows: list[list[Cell]] = [
        [
            f"{gain.model} over {gain.base}",
            gain.split,
            metrics.METRICS[gain.metric].heading,
            Measured(number(gain.difference, 3), gain.note if gain.interval is None else span(gain.interval, 3)),
            number(gain.shuffled, 3),
            DASH if gain.holds is None else "yes" if gain.holds else "no",
        ]
        for gain in gains
    ]
    columns = [
        *text_columns("Step", "Split", "Metric"),
        TableColumn("Gain", beside="95 % interval"),
        *number_columns("Shuffled"),
        *text_columns("Holds"),
    ]
    caption = (
        f"{evaluation.explanation(gains)} The step of leak over metadata is no skill: it is what comments, which come"
        " after publication, would seem to add."
    )
    return Table("steps", f"All {len(gains)} steps, on every split", caption, columns, rows)


def _missing(name: str, curve: Sequence[MissingModality]) -> Table:
    shown = [metric for metric in metrics.METRICS.values() if metric.in_missing]
    rows: list[list[Cell]] = [
        [
            f"{row.modality}, {row.share:.0%} of posts" if row.share else "nothing taken away",
            *(number(row.metrics.get(metric.name), metric.digits) for metric in shown),
        ]
        for row in curve
    ]
    caption = (
        f"What {name} loses on accounts not trained on when test posts are not shown a part. Without history each is"
        " predicted as if it were its account's first post."
    )
    columns = [*text_columns("Taken away"), *number_columns(*(metric.short for metric in shown))]
    return Table("missing", "What is lost without a part", caption, columns, rows)


def _contributions(name: str, explained: Sequence[Contribution]) -> Table:
    total = sum(row.mean for row in explained)
    rows: list[list[Cell]] = [
        [
            _PARTS.get(row.name, row.name),
            Measured(number(row.mean, 3), span(row.interval, 3)),
            f"{row.mean / total:.0%}" if total else DASH,
        ]
        for row in explained
    ]
    caption = (
        f"What moves the predictions of {name} on accounts not trained on: how far, on average, each part takes one"
        " away from what is predicted on average, in units of the target. It is what the model relies on, not what a"
        " change of a post would do."
    )
    columns = [*text_columns("Part"), TableColumn("Moves it by", beside="95 % interval"), *number_columns("Of all")]
    return Table("contributions", f"What {name} relies on", caption, columns, rows)
