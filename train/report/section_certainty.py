"""How sure it is: calibration, coverage of the intervals, and where errors lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.train.evaluation import metrics
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.evaluation.schema_splits import Coverage, CoverageRow, SliceErrors, SplitResult
from postmill.train.options import Split
from postmill.train.report.finding import CLAIM, NONE, WEAK, Finding
from postmill.train.report.formatting import DASH, number, span
from postmill.train.report.html import Cell, Measured, Table, TableColumn, number_columns, text_columns
from postmill.train.report.section_gains import best_forecast

_DIVISIONS = {"earlier_posts": "earlier posts of the account"}


def answer(row: ResultRow | None, models: Sequence[ModelResult]) -> Finding:
    """Return how sure the headline is, in a sentence: its accounts, its divisions, and how often intervals hold."""
    if row is None:
        return Finding(NONE, "Nothing was measured on accounts that were not trained on.")
    headline = row[HEADLINE]
    spread = ""
    if headline.mean is not None and headline.std is not None:
        spread = (
            f" R² of {row.model} is {number(headline.value)} over all its test posts; by each of {row.seeds} ways to"
            f" divide the accounts {number(headline.mean)} on average, standard deviation {number(headline.std)}."
        )
    if headline.interval is None:
        return Finding(NONE, f"Not at all: {headline.note or 'no interval can be given'}.{spread}")
    best = best_forecast(models)
    held = None if best is None else best.splits[Split.INFLUENCER].calibration.coverage
    holds = "" if held is None or best is None else _holds(best.name, held)
    return Finding(
        CLAIM,
        f"Every 95 % interval is over {row.test_accounts:,} accounts, for others of the same kind.{spread}{holds}",
    )


def _holds(name: str, held: Coverage) -> str:
    bounds = "" if held.interval is None else f", 95 % interval {_percent(held.interval)}"
    return f" The 90 % interval of a single prediction of {name} held {held.share:.1%} of the posts{bounds}."


def _percent(interval: Interval) -> str:
    return f"{interval.low:.1%} to {interval.high:.1%}"


def findings(models: Sequence[ModelResult]) -> Iterator[Finding]:
    """Yield how often the interval of a prediction holds, of all posts and of those as first posts."""
    best = best_forecast(models)
    if best is None:
        return
    result = best.splits[Split.INFLUENCER]
    first = None if result.first_post is None else result.first_post.coverage
    if first is not None:
        bounds = "" if first.interval is None else f" (95 % interval {_percent(first.interval)})"
        yield Finding(
            WEAK,
            f"As first posts, of which nothing is known, {first.share:.1%} of the test posts{bounds} lie in the 90 %"
            f" interval of {best.name}, which is {number(first.width)} wide on average in units of the target.",
        )


def tables(models: Sequence[ModelResult]) -> Iterator[Table]:
    """Yield calibration, coverage by what was known, and errors by kind of post, of the best forecast."""
    best = best_forecast(models)
    if best is None:
        return
    result = best.splits[Split.INFLUENCER]
    yield _calibration(best)
    if result.calibration.coverage is not None:
        yield _coverage_by_kind(best.name, result)
    for division, slices in (result.slices or {}).items():
        if slices:
            yield _slices(best.name, division, slices)


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
    columns = [
        *text_columns("Split"),
        *number_columns("Slope", "Intercept"),
        TableColumn("In the interval", beside="95 % interval"),
        *number_columns("Mean width"),
    ]
    return Table("calibration", "Calibration", caption, columns, rows)


def _coverage(coverage: Coverage | None) -> list[Cell]:
    if coverage is None:
        return [DASH] * 2
    return [Measured(f"{coverage.share:.1%}", span(coverage.interval)), number(coverage.width)]


def _coverage_by_kind(name: str, result: SplitResult) -> Table:
    rows: list[list[Cell]] = []
    if result.first_post is not None and result.first_post.coverage is not None:
        counts, first = result.counts, result.first_post.coverage
        share = Measured(f"{first.share:.1%}", span(first.interval))
        rows.append(["all, each as a first post", counts.test_posts, counts.test_accounts, share])
    for division, kinds in (result.coverage or {}).items():
        rows += [_kind(_DIVISIONS.get(division, division), kind) for kind in kinds]
    caption = (
        f"How many test posts lie in their 90 % interval, by what {name} knew of accounts that it was not trained on. A"
        f" kind is shown from {MIN_ACCOUNTS} accounts and {MIN_POSTS} posts on; that without earlier posts, of which an"
        f" account has but one, from {MIN_ACCOUNTS} accounts on."
    )
    columns = [
        *text_columns("Posts of"),
        *number_columns("Posts", "Accounts"),
        TableColumn("In the interval", beside="95 % interval"),
    ]
    return Table("coverage", "How often the intervals of predictions hold", caption, columns, rows)


def _kind(division: str, kind: CoverageRow) -> list[Cell]:
    share = DASH if kind.share is None else Measured(f"{kind.share:.1%}", span(kind.interval))
    accounts = DASH if kind.accounts is None else kind.accounts
    return [f"{division}: {kind.name}", kind.posts, accounts, share]


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
    columns = [*text_columns(division.capitalize()), *number_columns(*headings)]
    return Table(f"errors-by-{division}", f"Errors by {division}", caption, columns, rows)
