"""How good predictions are: on accounts that were not trained on, and on every split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.shards.run.folder import Run
from postmill.train.evaluation import metrics, results
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.probes.first_posts import BASELINE
from postmill.train.evaluation.results import Estimate, ModelResult, ResultRow
from postmill.train.options import Split
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure, Question, Value
from postmill.train.report.figures.said import (
    SPLITS,
    borne_in_mind,
    captioned,
    ends,
    in_words,
    intervals,
    rounded,
)
from postmill.train.report.formatting import number

PAST, FIRST = "its past known", "as a first post"
_R2_AXIS = "R² (1: perfect, 0: the mean)"
_OFF = "An arrow head at the end of the axis marks a number beyond it, which stands beside it."


def figures(run: Run, models: Sequence[ModelResult]) -> Iterator[Figure]:
    """Yield how good ``models``, of one target, are; nothing where no model has been judged."""
    rows = [row for split in Split for row in results.rows_of(models, split) if row.r2 is not None]
    if any(row.split == Split.INFLUENCER for row in rows):
        yield _headline(run, models, [row for row in rows if row.split == Split.INFLUENCER])
    if rows:
        yield _splits(run, models, rows)


def _headline(run: Run, models: Sequence[ModelResult], rows: Sequence[ResultRow]) -> Figure:
    both = [(row, name, of) for row in rows for name, of in _past_and_first(row) if of.value is not None]
    baseline = next((row.as_first_posts(HEADLINE).value for row in rows if row.rung == BASELINE), None)
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [forest.Mark(row.label, name, of, told=_rests_on(row)) for row, name, of in both]
        lines = {"R² 0: the mean of the test posts": 0.0}
        if baseline is not None and baseline > forest.LOWEST:
            lines["the baseline of first posts"] = baseline
        chart = forest.forest(marks, forest.Axis(_R2_AXIS, lines))
    posts, accounts = rows[0].test_posts, rows[0].test_accounts
    compared = (
        ""
        if baseline is None
        else f" The broken line is {BASELINE} on first posts ({number(baseline)}), which these are to be compared with."
    )
    return Figure(
        name="headline",
        question=Question.QUALITY,
        title="R² on accounts that were not trained on",
        caption=captioned(
            f"R² of {_target(models)} on {posts:,} test posts of {accounts:,} accounts that no model was trained on:"
            f" with the earlier posts of the account known to the models that are shown them, and each post as if it"
            f" were the first of a new account, of which nothing is known.{compared}",
            intervals([of for _, _, of in both]),
            _OFF if _any_off([of for _, _, of in both]) else "",
            borne_in_mind(run, models),
        ),
        label=captioned(
            f"R² of {len(rows):,} models on accounts not trained on, with the past known and as a first post.",
            _extremes(rows),
        ),
        columns=("model", "mark", "R²", "95 % low", "95 % high", "test posts", "test accounts"),
        rows=[
            (row.label, name, rounded(of.value), *ends(of), row.test_posts, row.test_accounts) for row, name, of in both
        ],
        chart=chart,
    )


def _splits(run: Run, models: Sequence[ModelResult], rows: Sequence[ResultRow]) -> Figure:
    tabulated = metrics.tabulated()
    # The headline first: it is what is shown until another is chosen.
    shown = sorted(tabulated, key=lambda metric: metric.name != HEADLINE)
    all_of = [(row, metric, row[metric.name]) for metric in shown for row in _by_model(rows)]
    all_of = [(row, metric, of) for row, metric, of in all_of if of.value is not None]
    chart = paper = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(row.label, SPLITS[Split(row.split)], of, metric.name, told=_rests_on(row))
            for row, metric, of in all_of
        ]
        lines = {"0": 0.0}
        choices = {metric.name: metric.heading for metric in shown}
        title = "value (of errors, lower is better)"
        chart = forest.forest(marks, forest.Axis(title, lines), choices, "Shown: ")
        of_headline = [mark for mark in marks if mark.choice == HEADLINE]
        paper = forest.forest(of_headline, forest.Axis(_R2_AXIS, lines))
    seeds = max(row.seeds for row in rows)
    return Figure(
        name="splits",
        question=Question.QUALITY,
        title="Held-out posts by split",
        caption=captioned(
            f"{metrics.METRICS[HEADLINE].heading} of {_target(models)} on the test posts of {seeds:,}"
            f" {'seed' if seeds == 1 else 'seeds'}, by how posts were divided into a training and a test part; the"
            " numbers of this figure hold the other metrics. On a random split a model has met the accounts that it is"
            " tested on.",
            intervals([of for _, _, of in all_of]),
            _OFF if _any_off([of for _, metric, of in all_of if metric.name == HEADLINE]) else "",
            borne_in_mind(run, models),
        ),
        label=captioned(f"R² of each model on {len({row.split for row in rows}):,} splits.", _extremes(rows)),
        columns=("metric", "model", "split", "value", "95 % low", "95 % high", "test posts", "test accounts"),
        rows=[
            (metric.heading, row.label, row.split, rounded(of.value), *ends(of), row.test_posts, row.test_accounts)
            for row, metric, of in all_of
        ],
        chart=chart,
        paper=paper,
    )


def _by_model(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return rows of one model together, models and splits in the order in which they come."""
    order = {model: place for place, model in enumerate(dict.fromkeys(row.model for row in rows))}
    return sorted(rows, key=lambda row: order[row.model])


def _past_and_first(row: ResultRow) -> Iterator[tuple[str, Estimate]]:
    yield PAST, row[HEADLINE]
    yield FIRST, row.as_first_posts(HEADLINE)


def _rests_on(row: ResultRow) -> dict[str, str | int]:
    return {"test posts": f"{row.test_posts:,}", "test accounts": f"{row.test_accounts:,}"}


def _any_off(estimates: Sequence[Estimate]) -> bool:
    return any(of.value is not None and of.value < -1 for of in estimates)


def _extremes(rows: Sequence[ResultRow]) -> str:
    """Return which forecast is highest and which lowest on the split of the first row."""
    of_split = [row for row in rows if row.split == rows[0].split and row.r2 is not None and not row.leaks]
    if len(of_split) < 2:
        return "".join(f"{row.label}: R² {in_words(row[HEADLINE])}." for row in of_split)
    ordered: list[tuple[Value, ResultRow]] = sorted(((row.r2, row) for row in of_split), key=lambda pair: pair[0] or 0)
    low, high = ordered[0][1], ordered[-1][1]
    return (
        f"Highest is {high.label} with {in_words(high[HEADLINE])}, lowest {low.label} with {in_words(low[HEADLINE])}."
    )


def _target(models: Sequence[ModelResult]) -> str:
    return models[0].definition.formula
