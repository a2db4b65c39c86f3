"""Figures of what brings a difference in tone, word by word, and of hashtags that come and go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from postmill.shards.indicators.tables import HashtagRow, Insights, ShiftRow, WordRow
from postmill.train.evaluation.results import Estimate
from postmill.train.report.figures import drawing
from postmill.train.report.figures.figure import Figure, Question
from postmill.train.report.figures.said import captioned, in_words, rounded
from postmill.train.report.formatting import number
from postmill.train.report.tone import words

MOST_WORDS, MOST_HASHTAGS = 16, 20
"""Bars of a difference, and hashtags, those that rise and those that fall together."""


def figures(insights: Insights, mind: str) -> Iterator[Figure]:
    """Yield the words behind differences, and the hashtags, where there are any.

    Args:
        insights: The tables.
        mind: What is to be borne in mind of all of them.
    """
    shifts = [(of, _strongest(of, insights.words)) for of in insights.shifts]
    if drawn := [(of, parts) for of, parts in shifts if parts]:
        yield _words(drawn, insights, mind)
    if insights.hashtags:
        yield _hashtags(insights.hashtags, mind)


def _strongest(shift: ShiftRow, found: Sequence[WordRow]) -> list[WordRow]:
    parts = [word for word in found if word.shift == shift.shift]
    return sorted(parts, key=lambda word: -abs(word.contribution))[:MOST_WORDS]


def _title(of: ShiftRow, sides: Mapping[str, str]) -> str:
    side = sides.get(of.indicator, of.indicator)
    return f"{side}, {of.division}: {of.high_group} over {of.low_group} ({of.language})"


def _without(of: ShiftRow, sides: Mapping[str, str]) -> str:
    rest = (
        "and too few words to leave any out"
        if of.without_strongest is None
        else f"{number(of.without_strongest, 3)} without its three strongest words"
    )
    return f"{_title(of, sides)}: {in_words(_estimate(of), 3)}, {rest}"


def _estimate(of: ShiftRow) -> Estimate:
    return Estimate(of.difference, words.interval(of.low, of.high), of.note)


def _words(shifts: Sequence[tuple[ShiftRow, list[WordRow]]], insights: Insights, mind: str) -> Figure:
    labels = words.labels(insights.indicators)
    sides = {row.name: row.side for row in insights.indicators}
    leading = shifts[0][0]
    chart = paper = None
    if drawing.available():
        from postmill.train.report.figures.charts import shift

        parts = [
            shift.Part(
                str(of.shift),
                word.word,
                rounded(word.contribution, 4) or 0.0,
                {"brings": number(word.contribution, 4), "its own tone": number(word.tone)},
            )
            for of, found in shifts
            for word in found
        ]
        title = "what the word brings to the difference"
        chart = shift.shift(parts, title, {str(of.shift): _title(of, sides) for of, _ in shifts}, "Difference: ")
        paper = shift.shift([part for part in parts if part.choice == str(leading.shift)], title)
    return Figure(
        name="tone-words",
        question=Question.TONE,
        title="Which words make the difference",
        caption=captioned(
            f"Of {labels.get(leading.indicator, leading.indicator)}: what words of a published list bring to the"
            " difference of two groups, the strongest first (Dodds et al., 2011). A difference that hangs on"
            " three words tells of these words.",
            "; ".join(_without(of, sides) for of, _ in shifts[:4]) + ".",
            "Intervals are 95 %, over accounts." if any(of.low is not None for of, _ in shifts) else "",
            mind,
        ),
        label=f"Words behind {len(shifts):,} differences. {_without(leading, sides)}; strongest:"
        f" {', '.join(word.word for word in shifts[0][1][:3])}.",
        columns=(
            *("difference", "language", "difference in tone", "95 % low", "95 % high", "without the three strongest"),
            *("word", "its own tone", "brings", "share in the lower", "share in the higher"),
        ),
        rows=[
            (
                *(_title(of, sides), of.language, rounded(of.difference, 4), rounded(of.low, 4), rounded(of.high, 4)),
                *(rounded(of.without_strongest, 4), word.word, rounded(word.tone), rounded(word.contribution, 5)),
                *(rounded(word.low_share, 6), rounded(word.high_share, 6)),
            )
            for of, found in shifts
            for word in found
        ],
        chart=chart,
        paper=paper,
    )


def _hashtags(found: Sequence[HashtagRow], mind: str) -> Figure:
    shown = sorted(found, key=lambda of: -abs(of.change))[:MOST_HASHTAGS]
    shown = sorted(shown, key=lambda of: -of.change)
    chart = None
    if drawing.available():
        from postmill.train.report.figures.charts import forest

        marks = [
            forest.Mark(
                f"#{of.hashtag}",
                "",
                _change(of),
                told={"earlier": f"{of.early_share:.2%}", "later": f"{of.late_share:.2%}"},
            )
            for of in shown
        ]
        low = min([mark.estimate.value or 0.0 for mark in marks] + [of.low * 100 for of in shown if of.low is not None])
        axis = forest.Axis("change in the share of posts, percentage points", {"no change": 0.0}, low=_floor(low))
        chart = forest.forest(marks, axis)
    rising = [of for of in shown if of.change > 0]
    return Figure(
        name="tone-hashtags",
        question=Question.TONE,
        title="Hashtags that rise and fall",
        caption=captioned(
            "Change in the share of posts with a hashtag from the earlier to the later half of the posts, of hashtags"
            " of enough accounts and posts. Accounts that come and go change it as well as accounts that change.",
            "Lines are 95 % intervals over accounts." if any(of.low is not None for of in shown) else "",
            mind,
        ),
        label=f"{len(rising):,} hashtags that rise and {len(shown) - len(rising):,} that fall, from"
        f" {'#' + shown[0].hashtag} to {'#' + shown[-1].hashtag}.",
        columns=(
            "hashtag",
            "earlier share",
            "later share",
            "change",
            "95 % low",
            "95 % high",
            "earlier posts",
            "later posts",
        ),
        rows=[
            (
                *(f"#{of.hashtag}", rounded(of.early_share, 5), rounded(of.late_share, 5), rounded(of.change, 5)),
                *(rounded(of.low, 5), rounded(of.high, 5), of.early_posts, of.late_posts),
            )
            for of in found
        ],
        chart=chart,
    )


def _change(of: HashtagRow) -> Estimate:
    bounds = words.interval(of.low, of.high)
    scaled = None if bounds is None else type(bounds)(bounds.low * 100, bounds.high * 100)
    return Estimate(of.change * 100, scaled)


def _floor(low: float) -> float:
    return round(low - 0.05 * abs(low) - 0.01, 3)
