"""The tables of insights, computed: an encoder's columns are kept for no longer than they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from shlex import quote
from typing import TypeVar

import numpy as np

from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators import lexica
from postmill.shards.indicators.indicator import Side
from postmill.shards.indicators.tables import EffectRow, IndicatorRow, Insights, ShiftRow, ToneRow, WordRow
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress
from postmill.train.data.arrays import Floats
from postmill.train.evaluation import cells
from postmill.train.insights import columns, effects, guard, hashtags, posts, shifts, tone
from postmill.train.insights.columns import Measured
from postmill.train.insights.effects import WithinEffect
from postmill.train.insights.guard import Division
from postmill.train.insights.posts import Posts
from postmill.train.insights.shifts import WordList
from postmill.train.insights.tone import Suppression

ENGAGEMENT, COMMENT_TONE = "engagement", "comment tone"
DIGITS = 4
"""Significant ones of what is written: more would tell of single posts when a few are added."""

Row = TypeVar("Row", bound=object)


def insights(run: Run, encoders: Sequence[Encoder], progress: Progress, earlier: Insights | None = None) -> Insights:
    """Return all tables of ``run`` by what ``encoders``, which have done all post shards, say.

    Args:
        run: The run.
        encoders: One at least.
        progress: Told of each encoder.
        earlier: The tables that were made before.

    Raises:
        UsageError: Post shards are missing, few posts are others than those of ``earlier``, or the word lists are not
            those that the encoder used.
        PostmillError: A shard is damaged.
    """
    with progress.track("insights: reading the posts", None):
        of_run = posts.load(run)
    if earlier is not None:
        _check_change(run, of_run, earlier)
    with progress.track("insights", len(encoders) + 1, "steps") as advance:
        response = _comment_tone(run, encoders, of_run)
        languages = _languages(run, encoders, of_run)
        divisions = (*of_run.divisions, *languages)
        suppression = Suppression(divisions, of_run.accounts, () if earlier is None else earlier.tone)
        indicator_rows: list[IndicatorRow] = []
        tone_rows: list[ToneRow] = []
        found: dict[str, list[WithinEffect]] = {ENGAGEMENT: [], COMMENT_TONE: []}
        shift_rows: list[tuple[ShiftRow, list[WordRow]]] = []
        for encoder in encoders:
            measured = columns.read(run, encoder, of_run.finished)
            for number, indicator in enumerate(measured.indicators):
                name = measured.name(indicator)
                indicator_rows.append(_indicator_row(measured, number))
                told = measured.told(number)
                tone_rows += tone.rows(name, told, divisions, of_run.accounts, suppression)
                if indicator.side is Side.CONTENT:
                    values = measured.values[number].astype(np.float64)
                    for outcome, numbers in ((ENGAGEMENT, of_run.engagement), (COMMENT_TONE, response)):
                        if numbers is not None:
                            effect = effects.within_effect(name, numbers, values, of_run.accounts, of_run.taken_at, 0)
                            found[outcome].append(effect)
            shift_rows += _shifts(run, measured, of_run, divisions, tone_rows, len(shift_rows))
            advance(1)
        named = hashtags.rows(run, of_run) if guard.may_show(of_run.accounts) else []
        advance(1)
    return Insights(
        indicators=tuple(indicator_rows),
        tone=tuple(map(rounded, tone_rows)),
        effects=tuple(
            rounded(_effect_row(outcome, each)) for outcome, of in found.items() for each in effects.judged(of)
        ),
        shifts=tuple(rounded(row) for row, _ in shift_rows),
        words=tuple(rounded(word) for _, words in shift_rows for word in words),
        hashtags=tuple(map(rounded, named)),
    )


def _check_change(run: Run, of_run: Posts, earlier: Insights) -> None:
    """Refuse tables that few posts tell from those made before.

    Raises:
        UsageError: They do.
    """
    change = abs(of_run.number - earlier.indicators[0].posts) if earlier.indicators else 0
    if 0 < change < cells.MIN_POSTS:
        raise UsageError(
            f"the run has {change:,} posts more or fewer than when its insights were made, and whoever has those could "
            f"tell of so few from the difference: fewer than {cells.MIN_POSTS}",
            place=run.insights,
            hint=f"keep those; or, if nobody else has them, make them anew: rm -r -- {quote(str(run.insights))} && "
            f"postmill insights {run.word}",
        )


def _comment_tone(run: Run, encoders: Sequence[Encoder], of_run: Posts) -> Floats | None:
    """Return how pleasant the comments of each post are, in standard deviations within accounts; None where not told.

    Of several encoders that tell it, one made for comments comes before others, and a model before a stand-in.
    """
    for encoder in sorted(
        encoders, key=lambda of: (of.encoder != "emotion-comments", of.stand_in_for != "", of.folder)
    ):
        measured = columns.read(run, encoder, of_run.finished)
        number = columns.pleasantness(measured, Side.RESPONSE)
        if number is not None:
            values = measured.values[number].astype(np.float64)
            spread = effects.spread_within(values, of_run.accounts)
            return values / spread if spread > 0 else None
    return None


def _languages(run: Run, encoders: Sequence[Encoder], of_run: Posts) -> tuple[Division, ...]:
    """Return the division by language of the caption, from the first encoder of content that tells it; or nothing."""
    for encoder in encoders:
        if columns.LANGUAGE in encoder.scalars and encoder.available_before_publication:
            told = columns.read(run, encoder, of_run.finished).languages
            if told is not None:
                return (posts.named("language", told[0], told[1]),)
    return ()


def _indicator_row(measured: Measured, number: int) -> IndicatorRow:
    indicator, values = measured.indicators[number], measured.values[number]
    return IndicatorRow(
        name=measured.name(indicator),
        encoder=measured.encoder.folder,
        column=indicator.column,
        label=indicator.label,
        side=indicator.side.value,
        kind=indicator.kind.value,
        low=indicator.low,
        high=indicator.high,
        threshold=indicator.threshold,
        pleasantness=indicator.pleasantness,
        stand_in_for=measured.encoder.stand_in_for,
        posts=len(values),
        texts=int(measured.texts.sum()),
        judged=int((~np.isnan(values)).sum()),
    )


def _effect_row(outcome: str, effect: WithinEffect) -> EffectRow:
    low, high = effect.interval or (None, None)
    return EffectRow(
        outcome=outcome,
        indicator=effect.name,
        posts=effect.posts,
        accounts=effect.accounts,
        slope=effect.slope,
        low=low,
        high=high,
        p=effect.p,
        p_adjusted=effect.p_adjusted,
        placebo_p=effect.placebo_p,
        claimed=effect.claimed,
        note=effect.note,
    )


def _shifts(
    run: Run,
    measured: Measured,
    of_run: Posts,
    divisions: Sequence[Division],
    tone_rows: Sequence[ToneRow],
    before: int,
) -> Iterator[tuple[ShiftRow, list[WordRow]]]:
    """Yield the word shifts of an encoder that keeps the words it found, numbered from ``before`` on."""
    if columns.WORDS not in measured.encoder.scalars:
        return
    number = next(n for n, indicator in enumerate(measured.indicators) if indicator.pleasantness)
    name, judged = measured.name(measured.indicators[number]), ~np.isnan(measured.values[number])
    known = _word_list(run, measured.encoder)
    batches = shifts.words_of(run, measured.encoder, of_run)
    for division in divisions:
        compared = shifts.pairs(tone_rows, name, division) if division.name in shifts.DIVISIONS else []
        for groups in compared:
            found = shifts.shift(before, name, division, groups, batches, known, of_run.accounts, judged)
            if found is not None:
                before += 1
                yield found


def _word_list(run: Run, encoder: Encoder) -> WordList:
    """Return the word list that ``encoder`` looked words up in.

    Raises:
        UsageError: The one that is installed is another.
    """
    known = lexica.load()
    if known.sha256 != encoder.weights_sha256:
        raise UsageError(
            f"{encoder.folder} was made with other word lists than those that are installed",
            place=run.embeddings / encoder.folder,
            hint=f"install those that it names, {encoder.revision}, or encode again into a new folder",
        )
    entries = [(code, word, happiness) for code, of in known.entries.items() for word, happiness in of]
    return WordList(
        [word for _, word, _ in entries],
        [code for code, _, _ in entries],
        np.array([happiness for _, _, happiness in entries], dtype=np.float64),
    )


def rounded(row: Row) -> Row:
    """Return a row with its numbers to :data:`DIGITS` significant digits."""
    changes: Mapping[str, float] = {
        field.name: float(f"{value:.{DIGITS}g}")
        for field in fields(row)  # type: ignore[arg-type]
        if type(value := getattr(row, field.name)) is float
    }
    return replace(row, **changes)  # type: ignore[type-var]
