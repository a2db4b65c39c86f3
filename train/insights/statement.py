"""What insights are and what they are not, said wherever their numbers stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators.tables import Insights
from postmill.shards.run.folder import Run
from postmill.train.evaluation import cells
from postmill.train.evaluation.caveats import invented
from postmill.train.insights import effects

WHAT_THEY_ARE_NOT = (
    "These are indicators of the tone of what is published and of what is answered, for groups of accounts. They are no"
    " measure of anybody's health or feelings: there is no clinical reference behind them. The posts are curated, and"
    " most are marketing: how a caption sounds is not how its author is.",
    "Tone of content (captions, pictures) and audience response (comments) are two things. The emotion of a picture is"
    " the one that it may evoke in a viewer. No emotion is read from faces.",
    f"No number is of fewer than {cells.MIN_ACCOUNTS} accounts or {cells.MIN_POSTS} posts, and groups that would tell"
    " of fewer by sums and differences are not shown. No number is of one account, no text is quoted, and nobody is"
    " ranked.",
    "Effects are within accounts: what goes with a happier post than the account's others. They are associations, not"
    " what a change of tone would bring. One is claimed where its p-value, adjusted for all indicators of the outcome"
    f" (Holm), is below {effects.ALPHA:g} and placebos dealt anew within accounts are seldom as far from 0.",
)
"""In this order."""


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
    for paragraph in WHAT_THEY_ARE_NOT:
        lines += [paragraph, ""]
    lines += ["## What was judged", "", "| indicator | side | posts with a text | judged |", "|---|---|---|---|"]
    for row in insights.indicators:
        lines.append(f"| {row.name} | {row.side} | {row.texts:,} of {row.posts:,} | {share(row.judged, row.texts)} |")
    lines += ["", "The columns of the tables stand in postmill's docs/insights.md.", ""]
    return "\n".join(lines)


def share(part: int, of: int) -> str:
    """Return ``part`` as a share of ``of``, in percent; a dash of nothing."""
    return f"{part / of:.1%}" if of else "-"
