"""The section of tone: what may be said, what the indicators are, and what none of them is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.shards.indicators.indicator import Side
from postmill.shards.indicators.tables import ALL, IndicatorRow, Insights
from postmill.shards.run.folder import Run
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.insights import statement
from postmill.train.report.figure_view import FigureView
from postmill.train.report.figures.figure import Question
from postmill.train.report.figures.said import in_words
from postmill.train.report.finding import CLAIM, NONE, WEAK, Finding
from postmill.train.report.formatting import DASH, number, span
from postmill.train.report.html import Cell, Measured, Table, TableColumn, number_columns, text_columns
from postmill.train.report.section import Command, Note, Section
from postmill.train.report.tone import pictures, words
from postmill.train.report.tone.current import Tone
from postmill.train.report.tone.words import SIDES

HEADING = "Tone of content and audience response"
FEW = (
    f"Nothing may be told of the tone of so few: a number is of {MIN_ACCOUNTS} accounts and {MIN_POSTS} posts at the"
    " least, and there is none."
)
MOST_FINDINGS = 3
"""Of each outcome."""

_LISTS = (
    "Word lists stand in for models: happiness is labMT (CC BY-NC-SA 4.0), valence, arousal and dominance are the norms"
    " of Warriner et al. (research that is not commercial), emotions are EmoLex (research only), emoji the ranks of"
    " Novak et al. (CC BY-SA 4.0). A list knows no negation and no irony."
)
_OUTCOMES = {  # in words, and in which unit
    "engagement": ("engagement", "in natural logarithms"),
    "comment tone": ("the tone of its comments", "of its own standard deviations"),
}


def section(run: Run, tone: Tone, figures: Sequence[FigureView]) -> Section:
    """Return the section.

    Args:
        run: The run.
        tone: Its tables, or what makes them.
        figures: Those of :mod:`.pictures`.
    """
    if tone.insights is None:
        commands = [Command("Have tone told of every post, put it together, and show it here", tone.command)]
        return Section(
            Question.TONE, HEADING, Finding(NONE, tone.why), commands=commands, notes=[Note("", statement.BOUNDS)]
        )
    insights = tone.insights
    if not may_show(insights):
        return Section(Question.TONE, HEADING, Finding(NONE, FEW), notes=[Note("", statement.BOUNDS)])
    return Section(
        Question.TONE,
        HEADING,
        answer(insights),
        findings=list(findings(insights)),
        figures=figures,
        notes=[Note("What this is, and what it is not", [*statement.BOUNDS, *_of_indicators(insights)])],
        tables=list(tables(insights)),
    )


def may_show(insights: Insights) -> bool:
    """Say whether there is any number at all that may be told."""
    return any(row.value is not None for row in insights.tone)


def answer(insights: Insights) -> Finding:
    """Return the tone of all posts, of content and of response apart, and how many effects are claimed."""
    told = [text for side in (Side.CONTENT, Side.RESPONSE) if (text := _whole(insights, side))]
    known = [row for row in insights.effects if row.slope is not None]
    claimed = [row for row in known if row.claimed]
    if known:
        told.append(
            f"Within accounts {len(claimed):,} of {len(known):,} slopes of engagement and of the comments' tone are"
            " told from 0."
        )
    return Finding(CLAIM if claimed else WEAK, " ".join(told))


def _whole(insights: Insights, side: str) -> str:
    for of in words.first(insights.indicators, side):
        for row in insights.tone:
            if (row.indicator, row.division) == (of.name, ALL) and row.value is not None:
                label = words.labels(insights.indicators)[of.name]
                told = words.with_interval(row, of)
                return f"{SIDES[side]}: {label} {told} ({words.unit(of)}), {row.posts:,} posts."
    return ""


def findings(insights: Insights) -> Iterator[Finding]:
    """Yield what is claimed within accounts, the strongest first."""
    labels = words.labels(insights.indicators)
    claimed = [row for row in insights.effects if row.claimed and row.slope is not None]
    claimed.sort(key=lambda row: -abs(row.slope or 0.0))
    shown = [row for outcome in _OUTCOMES for row in [of for of in claimed if of.outcome == outcome][:MOST_FINDINGS]]
    for row in shown:
        label = labels.get(row.indicator, row.indicator)
        way = "higher" if (row.slope or 0.0) > 0 else "lower"
        outcome, unit = _OUTCOMES[row.outcome]
        yield Finding(
            CLAIM,
            f"{label[:1].upper()}{label[1:]}: where a post has more than others of its account, {outcome} is {way}:"
            f" {in_words(pictures.slope(row), 3)} {unit} per standard deviation, over {row.accounts:,} accounts.",
            Question.TONE,
        )
    if len(claimed) > len(shown):
        yield Finding(CLAIM, f"{len(claimed) - len(shown):,} more stand in the table.", Question.TONE)


def _of_indicators(insights: Insights) -> Iterator[str]:
    encoders = {of.encoder: of for of in insights.indicators}
    if any(name.startswith("image") for name in encoders):
        yield statement.EVOKED
    if any(name.startswith("emotion") and of.stand_in_for for name, of in encoders.items()):
        yield _LISTS
    for name, of in encoders.items():
        if of.stand_in_for:
            yield f"Stand-in: {name} in place of {of.stand_in_for}."
    yield "A text with too little to go by gets no number: the table of indicators says how many were judged."


def tables(insights: Insights) -> Iterator[Table]:
    """Yield what was measured with its coverage, and every effect."""
    yield _indicators(insights)
    if insights.effects:
        yield _effects(insights)


def _indicators(insights: Insights) -> Table:
    labels = words.labels(insights.indicators)
    whole = {row.indicator: row for row in insights.tone if row.division == ALL and row.value is not None}
    rows: list[list[Cell]] = []
    for of in (row for side in (Side.CONTENT, Side.RESPONSE) for row in words.first(insights.indicators, side)):
        row = whole.get(of.name)
        value: Cell = DASH if row is None else _value(of, row.value, row.low, row.high)
        rows.append([labels[of.name], SIDES[of.side], of.encoder, words.unit(of), of.texts, _share(of), value])
    columns = [
        *text_columns("Indicator", "Side", "Encoder", "Told as"),
        *number_columns("Posts to judge", "Judged"),
        TableColumn("All posts", beside="95 % interval"),
    ]
    caption = (
        "What was measured of which posts: those that have what the encoder reads, the share of them that it gives a"
        " number, and their tone. Probabilities count from the threshold of their encoder on."
    )
    return Table("tone-indicators", "Indicators of tone, and what they could judge", caption, columns, rows)


def _value(of: IndicatorRow, value: float | None, low: float | None, high: float | None) -> Measured:
    return Measured(words.told(value, of), words.bounds(low, high, of) or DASH)


def _share(of: IndicatorRow) -> str:
    return f"{of.judged / of.texts:.0%}" if of.texts else DASH


def _effects(insights: Insights) -> Table:
    labels = words.labels(insights.indicators)
    rows: list[list[Cell]] = [
        [
            *(labels.get(row.indicator, row.indicator), row.outcome, row.posts, row.accounts),
            DASH if row.slope is None else Measured(number(row.slope, 3), span(words.interval(row.low, row.high), 3)),
            *(number(row.p_adjusted, 3), number(row.placebo_p, 3), "yes" if row.claimed else "no", row.note),
        ]
        for row in insights.effects
    ]
    columns = [
        *text_columns("Indicator", "Outcome"),
        *number_columns("Posts", "Accounts"),
        TableColumn("Slope", beside="95 % interval"),
        *number_columns("p of all at once", "Placebos as far"),
        *text_columns("Claimed", "Note"),
    ]
    caption = (
        "Posts of one account compared with each other, per standard deviation of the indicator. Claimed is what Holm's"
        " rule tells from 0 among all indicators of the outcome, at 5 %, and at most one in twenty placebos exceeds."
    )
    return Table("tone-effects", "What goes with tone within accounts", caption, columns, rows)
