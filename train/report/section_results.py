"""The report's tables and figures of what the models reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from postmill.shards.run.folder import Run
from postmill.train.evaluation import metrics, results
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import Estimate, ModelResult, ResultRow
from postmill.train.options import Split
from postmill.train.report import plots, study
from postmill.train.report.formatting import number, span
from postmill.train.report.html import INTERVAL_COLUMN, Cell, Table, TableColumn
from postmill.train.report.plots import ForestMark

_TIMES = (
    " The cut lies after four fifths of the posts in time; both splits by time test on the posts after it, so their"
    " rows can be compared post by post."
)


@dataclass(frozen=True)
class SplitWords:
    """What the page calls a split, and what it says of it."""

    title: str
    note: str


SPLIT_WORDS: Mapping[Split, SplitWords] = {
    Split.INFLUENCER: SplitWords(
        "Accounts not trained on, their past known",
        "The headline. Accounts are kept apart: a model has not been trained on the author, but history and what builds"
        " on it know the author's earlier posts. As a first post: the same test posts when nothing is known of that"
        f" past, as of a new account; there {BASELINE} is the baseline.",
    ),
    Split.RANDOM: SplitWords(
        "Random split: optimistic",
        "The paper's split. The author of almost every test post is in the training part too, so a model can recognise"
        " accounts and repeat what they usually get: it says nothing about accounts it has not met.",
    ),
    Split.TIME: SplitWords(
        "Later posts: all that was trained on was published before",
        "How a model does that was trained once and then used: the world and the accounts move on." + _TIMES,
    ),
    Split.TIME_INFLUENCER: SplitWords(
        "Later posts of accounts not trained on, their past known: the hardest",
        "Neither the account nor the time was trained on." + _TIMES,
    ),
}
SHUFFLED_COLUMN = TableColumn("shuffled", soft=True)
"""What the metric before it is when all of a post but its account's history is that of another post of the account."""

_CSS = {Split.INFLUENCER: "disjoint", Split.RANDOM: "mixed"}
"""The splits that are drawn, and the class of their marks."""


_CONTROL = (
    "Order within accounts is to be compared with what is left of it when all of a post but its account's history is"
    " that of another post of the account (shuffled), not with 0."
)


@dataclass(frozen=True)
class SplitPart:
    """A split's table; where no model was judged on it, None and the reasons."""

    title: str
    table: Table | None
    reasons: str = ""


@dataclass(frozen=True)
class ResultsSection:
    """The chart of both drawn splits, as SVG, and each split's table."""

    chart: str
    splits: Sequence[SplitPart]


@dataclass(frozen=True)
class Scatter:
    """Predicted against true of one model, as SVG, and how many posts are in no hexagon that is drawn."""

    model: str
    headline: str
    svg: str
    left_out: int


@dataclass(frozen=True)
class ScatterGroup:
    """The figures of one split; folded away unless they are of the headline split, or the study's own.

    Attributes:
        title: What they are of.
        plots: One a model.
        folded: Whether only the title is shown.
        note: What is said of them where the title is shown beside them; empty where it is not.
    """

    title: str
    plots: Sequence[Scatter]
    folded: bool
    note: str = ""


def section(rows: Sequence[ResultRow], models: Sequence[ModelResult]) -> ResultsSection:
    """Return the chart and the tables of all splits."""
    return ResultsSection(_chart(rows), [_split(split, words, rows, models) for split, words in SPLIT_WORDS.items()])


def headline_chart(rows: Sequence[ResultRow]) -> str:
    """Return the headline split as SVG: each model with the past known and as a first post; empty without that split.

    A line stands where the model lies that first posts are compared with.
    """
    shown = [row for row in rows if row.split == Split.INFLUENCER]
    if not shown:
        return ""
    marks = [[_mark(row[HEADLINE], "disjoint"), _mark(row.as_first_posts(HEADLINE), "first")] for row in shown]
    baseline = next((row.as_first_posts(HEADLINE).value for row in shown if row.rung == BASELINE), None)
    label = "R² of each model on accounts not trained on, their past known and as the first post of a new account"
    return plots.forest([row.label for row in shown], marks, _lowest(marks), 1.0, label, baseline)


def figures(run: Run, models: Sequence[ModelResult]) -> Iterator[ScatterGroup]:
    """Yield predicted against true of every model that is shown anything, for each split that is drawn.

    The study's models on the study's split are its figure 1: first where there are no others.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    own = [result for result in models if result.of_study and Split.RANDOM in result.splits]
    if own and all(result.of_study for result in models):
        yield _study_figure(run, own)
    for split in _CSS:
        shown = [r for r in models if split in r.splits and r.encoders and not (r in own and split == Split.RANDOM)]
        if shown:
            yield ScatterGroup(SPLIT_WORDS[split].title, list(_scatters(run, shown, split)), split != Split.INFLUENCER)
        if split == Split.INFLUENCER and own and not all(result.of_study for result in models):
            yield _study_figure(run, own)


def _study_figure(run: Run, models: Sequence[ModelResult]) -> ScatterGroup:
    plots = list(_scatters(run, models, Split.RANDOM, beyond=1.0))
    return ScatterGroup(study.FIGURE, plots, folded=False, note=study.FIGURE_NOTE)


def _split(split: Split, words: SplitWords, rows: Sequence[ResultRow], models: Sequence[ModelResult]) -> SplitPart:
    shown = [row for row in rows if row.split == split]
    if shown:
        return SplitPart(words.title, _table(words, shown))
    reasons = {result.metrics.settings.splits_left_out.get(split, "not asked for") for result in models}
    return SplitPart(words.title, None, "; ".join(sorted(reasons)))


def _table(words: SplitWords, rows: Sequence[ResultRow]) -> Table:
    missing = "; ".join(sorted({row[HEADLINE].note for row in rows if row[HEADLINE].note}))
    seeds = max(row.seeds for row in rows)
    over = f"{seeds} splits" if seeds > 1 else "one split"
    tested = f"{rows[0].test_posts:,} test posts of {rows[0].test_accounts:,} accounts over {over}."
    caption = f"{words.note} {tested} {_CONTROL}" + (f" No interval: {missing}." if missing else "")
    return Table(caption, list(_columns()), [list(_cells(row)) for row in rows], title=words.title, css="wide")


def _columns() -> Iterator[TableColumn]:
    yield TableColumn("Model", numeric=False)
    for metric in metrics.tabulated():
        yield TableColumn(metric.short)
        if not metric.lower_is_better:
            yield INTERVAL_COLUMN
        if metric.has_control:
            yield SHUFFLED_COLUMN
    yield TableColumn(f"{metrics.METRICS[HEADLINE].short} as a first post")
    yield INTERVAL_COLUMN
    yield TableColumn(f"{metrics.METRICS[HEADLINE].short} by split, mean ± sd")


def _cells(row: ResultRow) -> Iterator[Cell]:
    yield row.label
    for metric in metrics.tabulated():
        yield number(row[metric.name].value, metric.digits)
        if not metric.lower_is_better:
            yield span(row[metric.name].interval)
        if metric.has_control:
            yield number(row[metric.name].shuffled, metric.digits)
    first, headline = row.as_first_posts(HEADLINE), row[HEADLINE]
    yield number(first.value)
    yield span(first.interval)
    yield number(headline.mean) + (f" ± {number(headline.std)}" if headline.std is not None else "")


def _chart(rows: Sequence[ResultRow]) -> str:
    names = list(dict.fromkeys(row.label for row in rows))
    by_key = {(row.label, row.split): row[HEADLINE] for row in rows}
    marks = [[_mark(by_key.get((name, split), Estimate(None)), css) for split, css in _CSS.items()] for name in names]
    return plots.forest(names, marks, _lowest(marks), 1.0, "R² of each model on both splits")


def _lowest(marks: Sequence[Sequence[ForestMark]]) -> float:
    """Return where the axis begins: below every mark and end of an interval, but no lower than -1."""
    ends = [value for pair in marks for mark in pair for value in (mark.value, mark.low) if value is not None]
    return max(-1.0, min([-0.1, *ends]) - 0.03)


def _mark(of: Estimate, css: str) -> ForestMark:
    low, high = of.interval or (None, None)
    return ForestMark(of.value, low, high, css)


def _scatters(run: Run, models: Sequence[ModelResult], split: Split, beyond: float = 0.0) -> Iterator[Scatter]:
    """Yield the figures of a split on one pair of axes: what is true, and predictions up to ``beyond`` times its range
    outside; what is farther off is drawn at the edge."""
    shown = [(result, results.predictions(run, result, split)) for result in models]
    least, most = min(part.true.min() for _, part in shown), max(part.true.max() for _, part in shown)
    margin = beyond * (most - least)
    low = float(np.floor(min(least, max(least - margin, min(part.predicted.min() for _, part in shown)))))
    high = float(np.ceil(max(most, min(most + margin, max(part.predicted.max() for _, part in shown)))))
    for result, part in shown:
        label = f"Predicted against true engagement, {result.name}, {split} split, {len(part.true):,} posts"
        drawn = plots.density(part.true, part.predicted, low, high, label)
        yield Scatter(result.name, f"R² {number(result.headline(split))}", drawn.svg, drawn.left_out)
