"""Figures of tone: by month, by group, what goes with it within accounts, by which words, and which hashtags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from postmill.shards.indicators.indicator import Side
from postmill.shards.indicators.tables import ALL, EffectRow, IndicatorRow, Insights, ToneRow
from postmill.shards.run.folder import Run
from postmill.train.evaluation.caveats import Kind
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.evaluation.results import Estimate
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.said import borne_in_mind, captioned, ends, in_words, interval_words, rounded
from postmill.train.report.tone import differences, words
from postmill.train.report.tone.words import SIDES, estimate, unit

_MONTH = "month"
_COLOURS: Mapping[str, str] = {Side.CONTENT: "accent", Side.RESPONSE: "other"}
_GROUPS = f"Groups are shown from {MIN_ACCOUNTS} accounts and {MIN_POSTS} posts on, and none that others would tell."
_INTERVALS = "Lines are 95 % intervals over accounts."
_TWO_THINGS = "Content and response are measured on scales of their own: compare how they go, not how high they are."
_OUTCOMES: Mapping[str, tuple[str, str, str]] = {  # name, title, and what the outcome is
    "engagement": ("tone-engagement", "Engagement and tone, within accounts", "engagement, in natural logarithms"),
    "comment tone": (
        *("tone-response", "Tone of the comments and tone of the post, within accounts"),
        "the comments' tone, in its own standard deviations",
    ),
}


def figures(run: Run, insights: Insights) -> Iterator[Figure]:
    """Yield every figure that there are numbers for; none where nothing may be shown."""
    mind = borne_in_mind(run, (), (Kind.INVENTED,))
    for side in (Side.CONTENT, Side.RESPONSE):
        if chosen := _shown(insights, side, lambda row: row.division == _MONTH):
            yield _by_month(side, chosen, insights, mind)
    for side in (Side.CONTENT, Side.RESPONSE):
        if chosen := _shown(insights, side, lambda row: row.division not in (_MONTH, ALL)):
            yield _by_group(side, chosen, insights, mind)
    for outcome in _OUTCOMES:
        effects = [row for row in insights.effects if row.outcome == outcome and row.slope is not None]
        if effects:
            yield _effects(outcome, effects, insights, mind)
    yield from differences.figures(insights, mind)


_Rows = list[tuple[IndicatorRow, list[ToneRow]]]


def _shown(insights: Insights, side: str, wanted: Callable[[ToneRow], bool]) -> _Rows:
    found = []
    for indicator in words.first(insights.indicators, side):
        rows = [
            row for row in insights.tone if row.indicator == indicator.name and row.value is not None and wanted(row)
        ]
        if rows:
            found.append((indicator, rows))
    return found


def _choices(chosen: _Rows, labels: Mapping[str, str]) -> dict[str, str]:
    return {indicator.name: f"{labels[indicator.name]} ({unit(indicator)})" for indicator, _ in chosen}


def _by_month(side: str, chosen: _Rows, insights: Insights, mind: str) -> Figure:
    labels = words.labels(insights.indicators)
    leading, months = chosen[0]
    chart = paper = None
    if drawing.available():
        from postmill.train.report.figures.charts import timeline

        moments = [
            timeline.Moment(
                indicator.name,
                f"{row.group[:7]}-01",
                rounded(row.value) or 0.0,
                *ends(estimate(row)),
                {
                    "months": row.group,
                    "number": words.told(row.value, indicator),
                    "interval": interval_words(estimate(row)),
                    "posts": f"{row.posts:,}",
                },
            )
            for indicator, rows in chosen
            for row in rows
        ]
        shown = [of for of in moments if of.choice == leading.name]
        choices = _choices(chosen, labels)
        chart = timeline.timeline(moments, "mean, or share of posts", _COLOURS[side], choices, "Indicator: ")
        paper = timeline.timeline(shown, choices[leading.name], _COLOURS[side])
    low, high = (choose(months, key=lambda row: row.value or 0.0) for choose in (min, max))
    return Figure(
        name=f"tone-months-{side}",
        question=Question.TONE,
        title=f"{SIDES[side]} by month",
        caption=captioned(
            f"Of {words.OF_SIDE[side]}: {labels[leading.name]} by month of publication; the numbers of this figure hold"
            f" the other indicators. Months of fewer than {MIN_ACCOUNTS} accounts or {MIN_POSTS} posts are joined"
            " with the next.",
            _INTERVALS,
            _TWO_THINGS,
            mind,
        ),
        label=f"{labels[leading.name]} of {words.OF_SIDE[side]}, {unit(leading)}, over {len(months):,} stretches of"
        f" time: lowest {words.told(low.value, leading)} in {low.group}, highest {words.told(high.value, leading)} in"
        f" {high.group}.",
        columns=("indicator", "unit", "months", "posts", "accounts", "value", "95 % low", "95 % high"),
        rows=[
            (labels[of.name], unit(of), row.group, row.posts, row.accounts, rounded(row.value), *ends(estimate(row)))
            for of, rows in chosen
            for row in rows
        ],
        chart=chart,
        paper=paper,
    )


def _by_group(side: str, chosen: _Rows, insights: Insights, mind: str) -> Figure:
    labels = words.labels(insights.indicators)
    leading, groups = chosen[0]
    chart = paper = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(_group(row), "", estimate(row), indicator.name, told={"posts": f"{row.posts:,}"})
            for indicator, rows in chosen
            for row in rows
        ]
        choices = _choices(chosen, labels)
        shown = [mark for mark in marks if mark.choice == leading.name]
        chart = forest.forest(marks, forest.Axis("mean, or share of posts", {}), choices, "Indicator: ")
        paper = forest.forest(shown, forest.Axis(choices[leading.name], {}))
    hidden = sum(row.value is None and row.division not in (_MONTH, ALL) for row in insights.tone)
    low, high = (choose(groups, key=lambda row: row.value or 0.0) for choose in (min, max))
    return Figure(
        name=f"tone-groups-{side}",
        question=Question.TONE,
        title=f"{SIDES[side]} by category, followers and language",
        caption=captioned(
            f"Of {words.OF_SIDE[side]}: {labels[leading.name]} by group; the numbers of this figure hold the other"
            " indicators. Groups differ in much beside their tone, and word lists of several languages are not one"
            " scale.",
            _GROUPS if hidden else "",
            _INTERVALS,
            mind,
        ),
        label=f"{labels[leading.name]} of {words.OF_SIDE[side]}, {unit(leading)}, of {len(groups):,} groups: lowest"
        f" {words.told(low.value, leading)} ({_group(low)}), highest {words.told(high.value, leading)}"
        f" ({_group(high)}).",
        columns=("indicator", "unit", "division", "group", "posts", "accounts", "value", "95 % low", "95 % high"),
        rows=[
            (
                *(labels[of.name], unit(of), row.division, row.group, row.posts, row.accounts),
                *(rounded(row.value), *ends(estimate(row))),
            )
            for of, rows in chosen
            for row in rows
        ],
        chart=chart,
        paper=paper,
    )


def _group(row: ToneRow) -> str:
    return f"{row.division}: {row.group}"


def _effects(outcome: str, effects: Sequence[EffectRow], insights: Insights, mind: str) -> Figure:
    labels = words.labels(insights.indicators)
    name, title, what = _OUTCOMES[outcome]
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(
                labels.get(row.indicator, row.indicator),
                "",
                slope(row),
                hollow=not row.claimed,
                told={"claimed": "yes" if row.claimed else "no", "posts": f"{row.posts:,}"},
            )
            for row in effects
        ]
        chart = forest.forest(marks, forest.Axis(f"{what}, per sd of the indicator", {"no difference": 0.0}))
    claimed = [row for row in effects if row.claimed]
    judged = sum(row.p is not None for row in effects)
    return Figure(
        name=name,
        question=Question.TONE,
        title=title,
        caption=captioned(
            f"How much higher {what}, is per standard deviation of an indicator, posts of one account compared"
            " with each other, hour, season and trend taken out. Association: a third thing may be behind both.",
            _INTERVALS,
            f"Filled marks are claimed: told from 0 when all {judged:,} are judged at once (Holm, 5 %), and farther"
            " from 0 than all but one in twenty placebos."
            if claimed
            else f"No mark is filled: none of {judged:,} is told from 0 when all are judged at once (Holm, 5 %).",
            mind,
        ),
        label=captioned(
            f"Slopes of {len(effects):,} indicators; {len(claimed):,} are claimed.",
            " ".join(f"{labels.get(row.indicator, row.indicator)} {in_words(slope(row), 3)}." for row in claimed[:4]),
        ),
        columns=(
            *("indicator", "posts", "accounts", "slope", "95 % low", "95 % high"),
            *("p", "p of all at once", "share of placebos as far", "claimed"),
        ),
        rows=[
            (
                *(labels.get(row.indicator, row.indicator), row.posts, row.accounts, rounded(row.slope, 4)),
                *(rounded(row.low, 4), rounded(row.high, 4), rounded(row.p, 4), rounded(row.p_adjusted, 4)),
                *(rounded(row.placebo_p, 4), "yes" if row.claimed else "no"),
            )
            for row in effects
        ],
        chart=chart,
    )


def slope(row: EffectRow) -> Estimate:
    """Return an effect as figures and tables have it."""
    return Estimate(row.slope, words.interval(row.low, row.high), row.note)
