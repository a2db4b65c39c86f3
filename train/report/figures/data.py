"""What the data are: when posts were published, how the target is spread, which categories and languages there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from postmill.shards.run.folder import Run
from postmill.train.evaluation.caveats import Kind
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.report.describe import DataSummary
from postmill.train.report.figures import drawing, months
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.months import Months
from postmill.train.report.figures.said import borne_in_mind, captioned
from postmill.train.report.languages import Languages

MOST_BARS = 15
"""Categories that have a bar of their own."""

_JOINED = (
    f"with fewer than {MIN_ACCOUNTS} accounts or {MIN_POSTS} posts is joined with the next, and its height is the mean"
    " of"
)
_TOGETHER = f"Those with fewer than {MIN_ACCOUNTS} accounts or {MIN_POSTS} posts stand together"


def figures(run: Run, data: DataSummary) -> Iterator[Figure]:
    """Yield what may be shown of the data: nothing of a few accounts.

    Raises:
        PostmillError: A shard cannot be read.
    """
    by_month = months.months(run)
    if by_month:
        yield _months(run, by_month)
    if data.histogram.counts:
        yield _target(run, data)
    if data.categories:
        yield _categories(run, data)
    if data.languages is not None and data.languages.shown:
        yield _languages(run, data.languages)


def _months(run: Run, found: Sequence[Months]) -> Figure:
    total = sum(of.posts for of in found)
    first, last = found[0].start.isoformat()[:7], _last(found[-1])
    most = max(found, key=lambda of: of.posts / of.number)
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import bars

        made = [
            bars.Bar(
                of.start.isoformat(),
                of.end.isoformat(),
                round(of.posts / of.number, 1),
                f"{of.start.isoformat()[:7]} to {_last(of)}: {of.posts:,}"
                if of.number > 1
                else f"{_last(of)}: {of.posts:,}",
            )
            for of in found
        ]
        chart = bars.histogram(made, "time of publication (UTC)", "posts a month")
    return Figure(
        name="months",
        question=Question.DATA,
        title="Posts by month",
        caption=captioned(
            f"{total:,} posts by month of publication. A month {_JOINED} its months.",
            borne_in_mind(run, (), (Kind.INVENTED,)),
        ),
        label=f"{total:,} posts from {first} to {last}; most a month in {_last(most)}.",
        columns=("first month", "last month", "posts"),
        rows=[(of.start.isoformat()[:7], _last(of), of.posts) for of in found],
        chart=chart,
    )


def _last(of: Months) -> str:
    """Return the last month."""
    year, month = (of.end.year, of.end.month - 1) if of.end.month > 1 else (of.end.year - 1, 12)
    return f"{year:04d}-{month:02d}"


def _target(run: Run, data: DataSummary) -> Figure:
    shown, formula = data.histogram, data.definition.formula
    total = sum(shown.counts)
    widths = [b - a for a, b in pairwise(shown.edges)]
    heights = [round(posts * min(widths) / wide, 1) for posts, wide in zip(shown.counts, widths, strict=True)]
    edges = [round(edge, 3) for edge in shown.edges]
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import bars

        made = [
            bars.Bar(a, b, height, f"{a:g} to {b:g}: {posts:,}")
            for (a, b), height, posts in zip(pairwise(edges), heights, shown.counts, strict=True)
        ]
        chart = bars.histogram(made, formula, f"posts per {min(widths):.2g}")
    most = max(range(len(heights)), key=heights.__getitem__)
    return Figure(
        name="target",
        question=Question.DATA,
        title="What is predicted",
        caption=captioned(
            f"{formula} of {total:,} posts, natural logarithm. A bar {_JOINED} bars as wide as the narrowest.",
            borne_in_mind(run, (), (Kind.INVENTED,)),
        ),
        label=f"Histogram of {formula} of {total:,} posts, from {edges[0]:g} to {edges[-1]:g}; most from"
        f" {edges[most]:g} to {edges[most + 1]:g}.",
        columns=("from", "to", "posts"),
        rows=[(a, b, posts) for (a, b), posts in zip(pairwise(edges), shown.counts, strict=True)],
        chart=chart,
    )


def _categories(run: Run, data: DataSummary) -> Figure:
    shown, others = data.categories[:MOST_BARS], data.categories[MOST_BARS:]
    rows = [(one.name, one.posts, one.accounts) for one in shown]
    together = len(others) + data.hidden_categories
    if together:
        posts, accounts = (
            sum(getattr(one, count) for one in (*others, data.hidden)) for count in ("posts", "accounts")
        )
        rows.append((f"{together:,} others" if together > 1 else "another one", posts, accounts))
    return _kinds(run, "categories", "category", "posts", rows)


def _languages(run: Run, found: Languages) -> Figure:
    rows = [(one.words, one.posts, one.accounts) for one in found.shown]
    if found.others:
        rows.append(("others", found.others, found.other_accounts))
    return _kinds(run, "languages", "language", "captions", rows)


def _kinds(run: Run, name: str, kind: str, unit: str, rows: Sequence[tuple[str, int, int]]) -> Figure:
    """Return how many ``unit`` there are of each kind; the last row may be all others."""
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import bars

        said = [f"{posts:,} {unit} of {accounts:,} accounts" for _, posts, accounts in rows]
        chart = bars.named([row[0] for row in rows], [row[1] for row in rows], unit, said)
    return Figure(
        name=name,
        question=Question.DATA,
        title=f"{unit.capitalize()} by {kind}",
        caption=captioned(
            f"{sum(row[1] for row in rows):,} {unit} by {kind}. {_TOGETHER}, with the next larger where one of them"
            " could else be told from the total.",
            borne_in_mind(run, (), (Kind.INVENTED,)),
        ),
        label=f"{unit.capitalize()} by {kind}; most are {rows[0][0]} ({rows[0][1]:,}).",
        columns=(kind, unit, "accounts"),
        rows=rows,
        chart=chart,
    )
