"""How far predictions may be trusted: their intervals, their level, how much a division changes, what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from postmill.shards.run.folder import Run
from postmill.train.evaluation import results
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import Estimate, ModelResult
from postmill.train.evaluation.schema_splits import SplitResult
from postmill.train.models.registry import CONTENT_STEP
from postmill.train.options import ModalityName, Split
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.said import SPLITS, borne_in_mind, captioned, ends, intervals, rounded
from postmill.train.report.formatting import number

_DIVISIONS = {"earlier_posts": "earlier posts", "followers": "followers"}
_WITHOUT: Mapping[str, str] = {ModalityName.IMAGE: "picture", ModalityName.TEXT: "caption"}


def figures(run: Run, models: Sequence[ModelResult]) -> Iterator[Figure]:
    """Yield what is known of the best forecast on accounts not trained on, and of all models how much divisions matter.

    The best is fusion where it is there, else the model with the highest R²; none where there is no forecast.
    """
    best = max(
        (result for result in models if Split.INFLUENCER in result.splits and result.default and not result.leaks),
        key=lambda result: (result.model == CONTENT_STEP.model, result.headline(Split.INFLUENCER) or -1e9),
        default=None,
    )
    if best is not None:
        result = best.splits[Split.INFLUENCER]
        if result.calibration.coverage is not None:
            yield _coverage(run, best, result)
        if result.calibration.bins:
            yield _calibration(run, best, result)
        if result.missing:
            yield _missing(run, best, result)
    rows = [row for split in Split for row in results.rows_of(models, split) if row[HEADLINE].std is not None]
    if rows:
        order = {model: place for place, model in enumerate(dict.fromkeys(row.model for row in rows))}
        yield _divisions(run, models, sorted(rows, key=lambda row: order[row.model]))


def _coverage(run: Run, model: ModelResult, result: SplitResult) -> Figure:
    all_of = result.calibration.coverage
    assert all_of is not None
    counts = result.counts
    rows: list[tuple[str, int, int | None, Estimate]] = [
        ("all", counts.test_posts, counts.test_accounts, Estimate(all_of.share, all_of.interval))
    ]
    if result.first_post is not None and (first := result.first_post.coverage) is not None:
        of_first = Estimate(first.share, first.interval)
        rows.append(("all, as first posts", counts.test_posts, counts.test_accounts, of_first))
    for division, kinds in (result.coverage or {}).items():
        name = _DIVISIONS.get(division, division)
        rows += [
            (f"{name}: {kind.name}", kind.posts, kind.accounts, Estimate(kind.share, kind.interval))
            for kind in kinds
            if kind.share is not None
        ]
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(name, "", of, told={"test posts": f"{posts:,}", "test accounts": f"{accounts or 0:,}"})
            for name, posts, accounts, of in rows
        ]
        title = "test posts in their 90 % interval"
        chart = forest.forest(marks, forest.Axis(title, {"90 %": all_of.nominal}, high=1.0, percent=True))
    return Figure(
        name="coverage",
        question=Question.CERTAINTY,
        title="How many posts lie in their 90 % interval",
        caption=captioned(
            f"Share of test posts, of accounts not trained on, that lie in the 90 % interval of their own prediction by"
            f" {model.name}, by what was known of the account; the line is where it should be. Kinds are shown from"
            f" {MIN_ACCOUNTS} accounts and {MIN_POSTS} posts on, that without earlier posts from {MIN_ACCOUNTS}"
            " accounts on.",
            intervals([of for *_, of in rows]),
            borne_in_mind(run, [model]),
        ),
        label=f"Of all test posts {all_of.share:.1%} lie in the 90 % interval of {model.name}; "
        + ", ".join(f"{name} {of.value:.1%}" for name, *_, of in rows[1:] if of.value is not None)
        + ".",
        columns=("test posts", "posts", "accounts", "share in the interval", "95 % low", "95 % high"),
        rows=[(name, posts, accounts, rounded(of.value), *ends(of)) for name, posts, accounts, of in rows],
        chart=chart,
    )


def _calibration(run: Run, model: ModelResult, result: SplitResult) -> Figure:
    line = result.calibration
    points = [(rounded(of.predicted) or 0.0, rounded(of.true) or 0.0, of.posts) for of in line.bins]
    formula = model.definition.formula
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import curve

        ends_of = [value for x, y, _ in points for value in (x, y)]
        low, high = min(ends_of), max(ends_of)
        margin = 0.08 * ((high - low) or 1.0)
        chart = curve.calibration(points, round(low - margin, 2), round(high + margin, 2), formula)
    return Figure(
        name="calibration",
        question=Question.CERTAINTY,
        title="Whether predictions are too high or too low",
        caption=captioned(
            f"Mean prediction by {model.name} and mean true {formula} of test posts of accounts not trained on, in"
            f" {len(points):,} equal parts by their prediction; on the broken line both are equal. The straight line"
            f" through all posts has slope {number(line.slope)} and intercept {number(line.intercept)} (1 and 0 are"
            " right).",
            borne_in_mind(run, [model]),
        ),
        label=f"Mean true against mean predicted of {len(points):,} parts of the posts; slope {number(line.slope)}.",
        columns=("mean predicted", "mean true", "posts"),
        rows=points,
        chart=chart,
    )


def _missing(run: Run, model: ModelResult, result: SplitResult) -> Figure:
    whole = next((row for row in result.missing or () if not row.share), None)
    start = None if whole is None else rounded(whole.metrics.get(HEADLINE))
    rows = [
        (row.modality, row.share, value)
        for row in result.missing or ()
        if (value := rounded(row.metrics.get(HEADLINE))) is not None
    ]
    interval = result.interval.get(HEADLINE)
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import curve

        begun = [] if start is None else [(name, 0.0, start) for name in dict.fromkeys(name for name, *_ in rows)]
        points = [
            curve.Point(_WITHOUT.get(name, name), share, value, f"{number(value, 3)} where {share:.0%} lack it")
            for name, share, value in sorted({*rows, *begun}, key=lambda row: _order(row, rows))
        ]
        chart = curve.curves(points, "test posts without it", "R²")
    return Figure(
        name="missing",
        question=Question.CERTAINTY,
        title="What is left when something is missing",
        caption=captioned(
            f"R² of {model.name} on accounts not trained on when a share of the test posts is shown without one part;"
            " without history each is predicted as if it were its account's first. Of pictures, shares in between were"
            " measured too. What is left has no interval of its own.",
            ""
            if interval is None
            else f"With nothing missing R² is {number(result.pooled.get(HEADLINE))}, 95 % interval"
            f" {number(interval.low)} to {number(interval.high)}.",
            borne_in_mind(run, [model]),
        ),
        label=f"R² of {model.name} with nothing missing {number(start)}; "
        + ", ".join(f"without {_WITHOUT.get(name, name)} {number(value)}" for name, share, value in rows if share == 1)
        + ".",
        columns=("without", "share of test posts", "R²"),
        rows=rows,
        chart=chart,
    )


def _order(row: tuple[str, float, float], rows: Sequence[tuple[str, float, float]]) -> tuple[int, float]:
    names = list(dict.fromkeys(name for name, *_ in rows))
    return names.index(row[0]), row[1]


def _divisions(run: Run, models: Sequence[ModelResult], rows: Sequence[results.ResultRow]) -> Figure:
    spread = []
    for row in rows:
        mean, std = row[HEADLINE].mean, row[HEADLINE].std
        if mean is not None and std is not None:
            spread.append((row, mean, std))
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(row.label, SPLITS[Split(row.split)], Estimate(mean, Interval(mean - std, mean + std)))
            for row, mean, std in spread
        ]
        axis = forest.Axis("R², mean of the divisions", {"the mean of the test posts": 0.0}, span="mean ± sd")
        chart = forest.forest(marks, axis)
    seeds = max(row.seeds for row in rows)
    widest = max(spread, key=lambda of: of[2])
    return Figure(
        name="divisions",
        question=Question.CERTAINTY,
        title="How much it matters how posts were divided",
        caption=captioned(
            f"R² of {models[0].definition.formula} over {seeds:,} ways to divide the posts into a training and a test"
            " part: the mean, and lines of one standard deviation to each side. It is not an interval: divisions share"
            " posts, and each tests few accounts.",
            borne_in_mind(run, models),
        ),
        label=f"R² over {seeds:,} divisions of each model; the widest standard deviation is {number(widest[2])}"
        f" ({widest[0].label}, {SPLITS[Split(widest[0].split)]}).",
        columns=("model", "split", "mean R²", "standard deviation", "divisions"),
        rows=[(row.label, row.split, rounded(mean), rounded(std), row.seeds) for row, mean, std in spread],
        chart=chart,
    )
