"""The report's section on what a model's step above another is worth, and where and how far it may be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.train.evaluation import gains as evaluation
from postmill.train.evaluation import metrics
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema_splits import (
    Contribution,
    Coverage,
    CoverageRow,
    MissingModality,
    SliceErrors,
    SplitResult,
)
from postmill.train.models.registry import CONTENT_STEP, EXPLAINED
from postmill.train.options import Split
from postmill.train.report.formatting import DASH, number, span
from postmill.train.report.html import INTERVAL_COLUMN, Cell, Table, number_columns, text_columns

_PARTS = {"start": "followers and past, from which trees start", "history": "history, beyond that"}
_DIVISIONS = {"earlier_posts": "earlier posts of the account"}


def tables(gains: Sequence[Gain], models: Sequence[ModelResult]) -> Iterator[Table]:
    """Yield the paired gains, and of the best forecast: calibration, coverage, missing modalities, slices."""
    if gains:
        yield _gains(gains)
    best = max(
        (result for result in models if Split.INFLUENCER in result.splits and result.default and not result.leaks),
        key=lambda result: (result.model == CONTENT_STEP.model, result.headline(Split.INFLUENCER) or -1e9),
        default=None,
    )
    if best is not None:
        result = best.splits[Split.INFLUENCER]
        yield _calibration(best)
        if result.calibration.coverage is not None:
            yield _coverage_by_kind(best.name, result)
        yield _missing(best.name, result.missing or ())
    for model in models:
        explained = model.splits[Split.INFLUENCER].contributions if Split.INFLUENCER in model.splits else None
        if explained and model.model == EXPLAINED:
            yield _contributions(model.name, explained)
    if best is not None:
        for division, slices in (best.splits[Split.INFLUENCER].slices or {}).items():
            if slices:
                yield _slices(best.name, division, slices)


def _gains(gains: Sequence[Gain]) -> Table:
    rows: list[list[Cell]] = [
        [
            f"{gain.model} over {gain.base}",
            gain.split,
            metrics.METRICS[gain.metric].heading,
            number(gain.difference, 3),
            gain.note if gain.interval is None else span(gain.interval, 3),
            number(gain.shuffled, 3),
            DASH if gain.holds is None else "yes" if gain.holds else "no",
        ]
        for gain in gains
    ]
    columns = [
        *text_columns("Step", "Split", "Metric"),
        *number_columns("Gain"),
        INTERVAL_COLUMN,
        *number_columns("Shuffled"),
        *text_columns("Holds"),
    ]
    caption = (
        f"{evaluation.explanation(gains)} The step of leak over metadata is no skill: it is what comments, which come"
        " after publication, would seem to add."
    )
    return Table(caption, columns, rows)


def _calibration(model: ModelResult) -> Table:
    by_split = {split: result.calibration for split, result in model.splits.items()}
    rows: list[list[Cell]] = [
        [split, number(line.slope), number(line.intercept), *_coverage(line.coverage)]
        for split, line in by_split.items()
    ]
    caption = (
        f"Calibration of {model.name}: the straight line from predicted to true (slope 1 and intercept 0 are right),"
        " and how many test posts lie in the 90 % interval that was calibrated on accounts or groups set aside."
    )
    headings = ("Slope", "Intercept", "In the interval", "95 %", "Mean width")
    return Table(caption, [*text_columns("Split"), *number_columns(*headings)], rows)


def _coverage(coverage: Coverage | None) -> list[Cell]:
    if coverage is None:
        return [DASH] * 3
    return [f"{coverage.share:.1%}", span(coverage.interval), number(coverage.width)]


def _coverage_by_kind(name: str, result: SplitResult) -> Table:
    rows: list[list[Cell]] = []
    if result.first_post is not None and result.first_post.coverage is not None:
        counts, first = result.counts, result.first_post.coverage
        as_first = "all, each as a first post"
        rows.append([as_first, counts.test_posts, counts.test_accounts, f"{first.share:.1%}", span(first.interval)])
    for division, kinds in (result.coverage or {}).items():
        rows += [_kind(_DIVISIONS.get(division, division), kind) for kind in kinds]
    caption = (
        f"How many test posts lie in their 90 % interval, by what {name} knew of accounts that it was not trained on. A"
        f" kind is shown from {MIN_ACCOUNTS} accounts and {MIN_POSTS} posts on; that without earlier posts, of which an"
        f" account has but one, from {MIN_ACCOUNTS} accounts on."
    )
    columns = [*text_columns("Posts of"), *number_columns("Posts", "Accounts", "In the interval"), INTERVAL_COLUMN]
    return Table(caption, columns, rows)


def _kind(division: str, kind: CoverageRow) -> list[Cell]:
    share = DASH if kind.share is None else f"{kind.share:.1%}"
    accounts = DASH if kind.accounts is None else kind.accounts
    return [f"{division}: {kind.name}", kind.posts, accounts, share, span(kind.interval)]


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
    return Table(caption, [*text_columns("Taken away"), *number_columns(*(metric.short for metric in shown))], rows)


def _contributions(name: str, explained: Sequence[Contribution]) -> Table:
    total = sum(row.mean for row in explained)
    rows: list[list[Cell]] = [
        [_PARTS.get(row.name, row.name), number(row.mean, 3), span(row.interval, 3), f"{row.mean / total:.0%}"]
        for row in explained
    ]
    caption = (
        f"What moves the predictions of {name} on accounts not trained on: how far, on average, each part takes one"
        " away from what is predicted on average, in units of the target. It is what the model relies on, not what a"
        " change of a post would do."
    )
    headings = (*number_columns("Moves it by"), INTERVAL_COLUMN, *number_columns("Of all"))
    return Table(caption, [*text_columns("Part"), *headings], rows)


def _slices(name: str, division: str, slices: Sequence[SliceErrors]) -> Table:
    measured = [metric for metric in metrics.METRICS.values() if metric.in_slices]
    errors = [metric for metric in measured if metric.lower_is_better]
    scores = [metric for metric in measured if not metric.lower_is_better]
    rows: list[list[Cell]] = [
        [
            row.name,
            row.posts,
            DASH if row.accounts is None else row.accounts,
            *(number(row.metrics.get(metric.name), metric.digits) for metric in errors),
            number(row.bias, 3),
            *(number(row.metrics.get(metric.name), metric.digits) for metric in scores),
        ]
        for row in slices
    ]
    headings = ["Posts", "Accounts", *(m.short for m in errors), "Bias", *(m.short for m in scores)]
    caption = f"Errors of {name} on accounts not trained on by {division}. Bias is predicted less true."
    return Table(caption, [*text_columns(division.capitalize()), *number_columns(*headings)], rows)
