"""Invented tables of tone, for tests of what shows them, and an encoder whose columns they could be of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from postmill.shards.formats import custody, plan, posts
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.indicators import tables
from postmill.shards.indicators.indicator import INDICATORS, Indicator, Kind, Side, described, indicators_of
from postmill.shards.indicators.tables import (
    EffectRow,
    HashtagRow,
    IndicatorRow,
    Insights,
    ShiftRow,
    ToneRow,
    WordRow,
)
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from tests.train.conftest import encoder, write_embeddings

HAPPINESS = Indicator("happiness", "happiness", Side.CONTENT, Kind.SCORE, 1, 9, pleasantness=True)
JOY = Indicator("joy", "joy", Side.CONTENT, Kind.PROBABILITY, threshold=0.5)
ANSWERED = Indicator("happiness", "happiness", Side.RESPONSE, Kind.SCORE, 1, 9, pleasantness=True)
CONTENT, RESPONSE = "emotion.lists", "emotion-comments.lists"
TOO_FEW = "not shown: too few"


def encode_tone(run: Run) -> None:
    """Let an encoder of captions and one of comments tell the tone of every post, the same of all."""
    shards = plan.counts(run).shards
    number = sum(posts.read_records(run, shard, ["key"]).num_rows for shard in range(shards))
    for folder, indicators in ((CONTENT, (HAPPINESS, JOY)), (RESPONSE, (ANSWERED,))):
        made = encoder(
            folder.partition(".")[0],
            0,
            model="lists",
            scalars=tuple(of.column for of in indicators),
            stand_in_for="a-model-of-emotion",
            available_before_publication=folder == CONTENT,
            preprocessing={INDICATORS: described(indicators)},
        )
        columns = {of.column: [0.5 * (of.low + of.high)] * number for of in indicators}
        write_embeddings(run, made, None, np.ones(number, dtype=bool), columns)


def put(run: Run, insights: Insights) -> None:
    """Publish tables of tone as made from what is there."""
    shards = tuple(posts.done_shards(run, plan.counts(run).shards))
    with publish.unit(run.insights, tables.UNIT, run.fingerprint) as unit:
        tables.put(unit, insights, {})
        unit.file(tables.STATEMENT_FILE).write(b"# Tone\n")
        unit.inputs[custody.RECORDS_INPUT] = custody.contents(run.posts, shards, custody.RECORDS)
        for of in encoders_of(run):
            if indicators_of(of):
                folder = run.embeddings / of.folder
                unit.inputs[custody.embeddings_input(of.folder)] = custody.contents(folder, shards, custody.EMBEDDINGS)
        custody.put_shards(unit, shards)


def _indicators() -> tuple[IndicatorRow, ...]:
    rows = []
    for folder, of in ((CONTENT, HAPPINESS), (CONTENT, JOY), (RESPONSE, ANSWERED)):
        words = (f"{folder}/{of.column}", folder, of.column, of.label, str(of.side), str(of.kind))
        scale = (of.low, of.high, of.threshold, of.pleasantness)
        rows.append(IndicatorRow(*words, *scale, "a-model-of-emotion", 900, 800, 640))
    return tuple(rows)


def invented(category: str = "food", hashtags: Sequence[str] = ("summer", "winter", "#<b>")) -> Insights:
    """Tables with something of everything."""
    indicators = _indicators()
    tone: list[ToneRow] = []
    for place, of in enumerate(indicators):
        level, step = (0.3, 0.05) if of.kind == Kind.PROBABILITY else (5.5 + place, 0.25)
        groups = [("all", "all"), *(("month", f"2019-{month:02d}") for month in range(1, 6))]
        groups += [("month", "2019-06 to 2019-08"), ("category", category), ("category", "travel")]
        groups += [("followers", "1,000 to 10,000"), ("language", "en"), ("language", "de")]
        for number, (division, group) in enumerate(groups):
            value = level + step * np.sin(number)
            bounds = (None, None) if group == "de" else (value - step / 2, value + step / 2)
            note = "fewer than 40 accounts" if group == "de" else ""
            tone.append(ToneRow(of.name, division, group, 120 + number, 30, float(value), *bounds, note))
        tone.append(ToneRow(of.name, "category", "", 17, None, None, None, None, TOO_FEW))
    happy, joy, _ = (of.name for of in indicators)
    return Insights(
        indicators,
        tuple(tone),
        (
            EffectRow("engagement", happy, 600, 45, 0.1234, 0.08, 0.16, 1e-5, 2e-5, 0.005, True, ""),
            EffectRow("engagement", joy, 600, 45, -0.01, -0.05, 0.03, 0.6, 0.6, 0.55, False, ""),
            EffectRow("comment tone", happy, 600, 45, 0.3, 0.2, 0.4, 1e-6, 2e-6, 0.005, True, ""),
            EffectRow("comment tone", joy, 40, 12, None, None, None, None, None, None, False, "too few"),
        ),
        (
            ShiftRow(0, happy, "category", "travel", category, "en", 0.21, 0.11, 0.31, 0.08, ""),
            ShiftRow(1, happy, "month", "2019-01", "2019-05", "en", 0.05, None, None, None, "too few accounts"),
        ),
        tuple(
            WordRow(shift, word, 5 + size * 30, size, 0.001, 0.002)
            for shift in (0, 1)
            for word, size in (("love", 0.09), ("hate", -0.02), ("sun", 0.04), ("rain", 0.01 * (shift + 1)))
        ),
        tuple(
            HashtagRow(name, 0.02 * n, 0.01 * n * n, 0.01 * n * n - 0.02 * n, -0.02, 0.03, 120, 130)
            for n, name in enumerate(hashtags, 1)
        ),
    )


def suppressed() -> Insights:
    """Tables of so few accounts that nothing is told."""
    indicators = _indicators()
    return Insights(
        indicators,
        tuple(ToneRow(of.name, "all", "", 80, None, None, None, None, TOO_FEW) for of in indicators),
        tuple(
            EffectRow(outcome, of.name, 80, 10, None, None, None, None, None, None, False, "too few")
            for outcome in ("engagement", "comment tone")
            for of in indicators[:2]
        ),
    )
