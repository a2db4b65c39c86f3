"""What insights are and what they are not, said wherever their numbers stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators.tables import Insights
from postmill.shards.run.folder import Run
from postmill.train.evaluation import cells
from postmill.train.evaluation.caveats import invented
from postmill.train.insights import effects

BOUNDS = (
    "There is no clinical reference here: no number is a symptom, and nothing measures how anyone feels.",
    "Posts of influencers are curated, mostly to sell something: this is the tone of what people choose to show.",
    "Groups alone, never a person: no account has a number, and groups that would tell of few are not shown.",
    "Content and response are two things: a caption and a picture exist before publication, comments are an outcome and"
    " never a predictor.",
)
"""What every rendering says of all numbers, in this order."""

EVOKED = "Of pictures it is the emotion that they may evoke in a viewer; no face is read."

_TABLES = (
    f"No number is of fewer than {cells.MIN_ACCOUNTS} accounts or {cells.MIN_POSTS} posts, or of posts of which one"
    " account has more than half; no text is quoted, and nobody is ranked.",
    "Effects are within accounts: what goes with a happier post than the account's others. They are associations, not"
    " what a change of tone would bring. One is claimed where its p-value, adjusted for all indicators of the outcome"
    f" (Holm), is below {effects.ALPHA:g} and placebos dealt anew within accounts are seldom as far from 0.",
)


def caveats(run: Run, encoders: Sequence[Encoder]) -> Iterator[str]:
    """Yield what else is to be borne in mind of the numbers of ``encoders``."""
    if run.invented:
        yield invented("The data are")
    for encoder in encoders:
        if encoder.stand_in_for:
            yield f"Stand-in: {encoder.encoder} was judged by {encoder.model} in place of {encoder.stand_in_for}."


def readme(run: Run, encoders: Sequence[Encoder], insights: Insights) -> str:
    """Return the text that lies beside the tables, as Markdown."""
    lines = ["# Tone of content and audience response", ""]
    lines += [f"- {text}" for text in caveats(run, encoders)]
    lines += ["", "## What these are, and what they are not", ""]
    lines += [f"- {text}" for text in (*BOUNDS, EVOKED, *_TABLES)]
    lines += ["", "## What was judged", "", "| indicator | side | posts with a text | judged |", "|---|---|---|---|"]
    for row in insights.indicators:
        lines.append(f"| {row.name} | {row.side} | {row.texts:,} of {row.posts:,} | {share(row.judged, row.texts)} |")
    lines += ["", "The columns of the tables stand in postmill's docs/insights.md.", ""]
    return "\n".join(lines)


def share(part: int, of: int) -> str:
    """Return ``part`` as a share of ``of``, in percent; a dash of nothing."""
    return f"{part / of:.1%}" if of else "-"
