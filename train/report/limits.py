"""What a run cannot show, in the sentences that apply to it."""

from __future__ import annotations

from collections.abc import Sequence

from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.options import ModalityName, Split
from postmill.train.report import study
from postmill.train.report.describe import DataSummary


def limits(data: DataSummary, rows: Sequence[ResultRow], models: Sequence[ModelResult]) -> list[str]:
    """Return what this run cannot show, in sentences that apply to it."""
    sentences = [
        "Association, not cause: nothing here says what a change of caption or picture would do.",
        "Public posts of influencers alone. Engagement is not well-being, and no part of this report measures the"
        " well-being of anyone.",
    ]
    if not data.complete:
        sentences.append(
            f"{data.planned_shards - data.shards:,} of {data.planned_shards:,} post shards are not done: which posts"
            " are missing depends on the order of the archive."
        )
    if rows and all(row.split != Split.INFLUENCER for row in rows):
        sentences.append("Every number here is from a random split, which flatters.")
    if any(result.of_study and ModalityName.IMAGE in result.encoders for result in models):
        sentences.append(study.MISSING_PICTURES)
    if any(ModalityName.METADATA in result.encoders for result in models):
        sentences.append(
            "Counts of followers, followees and posts were taken when the list of accounts was crawled, after most"
            " posts were published: a small look ahead in the metadata."
        )
    if any(ModalityName.SENTIMENT in result.encoders for result in models):
        sentences.append(
            "Sentiment models read English; other languages count as what English words in them happen to say."
        )
    return sentences
