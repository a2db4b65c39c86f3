"""What is said and shown of the study's own models: its split first, then accounts that were not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import ModelResult, ResultRow, rows_of
from postmill.train.models import registry
from postmill.train.options import Split
from postmill.train.report.findings import CLAIM, WEAK, Finding
from postmill.train.report.formatting import number

STUDY_POSTS = 123
"""The posts of the study."""

FIGURE = "Figure 1 of the study, on its own split"
FIGURE_NOTE = (
    "Predicted against true on a random split, as the study shows it: its settings, its split and its models, each with"
    " the target as it is and with the target in standard deviations."
)
MISSING_PICTURES = (
    "Where a post has no picture, the study encodes a black one; here its models learn what stands for a picture that"
    " is absent."
)

_WHERE = {
    Split.RANDOM: "on its own random split",
    Split.INFLUENCER: "on accounts that were not trained on",
}


def findings(results: Sequence[ModelResult]) -> Iterator[Finding]:
    """Yield what the study's recipe comes to: with the target as it is, then with the target standardised.

    A sentence claims only what the intervals of all its models support on every split that it names, so that how many
    models there are gives it no chance.

    Args:
        results: Models of one target; those that are none of the study's are passed over.
    """
    studied = [result for result in results if result.of_study]
    raw = [result for result in studied if registry.is_raw(result.model)]
    others = [result for result in studied if result not in raw]
    if raw:
        yield from _finding(raw, f"{_size(raw[0])} With its target as it is,")
    if others:
        yield from _finding(others, f"{'' if raw else _size(others[0]) + ' '}With its target in standard deviations,")


def steps(posts: int) -> int:
    """Return how many gradient steps the study's recipe takes on four fifths of ``posts``."""
    return math.ceil(posts * 4 / 5 / registry.STUDY_BATCH) * registry.STUDY_EPOCHS


def _size(result: ModelResult) -> str:
    posts = result.metrics.counts.with_target
    return (
        f"At the study's size, {STUDY_POSTS} posts, its recipe takes {steps(STUDY_POSTS):,} gradient steps; on these"
        f" {posts:,} posts it takes {steps(posts):,}."
    )


def _finding(results: Sequence[ModelResult], opening: str) -> Iterator[Finding]:
    told = []
    for split, where in _WHERE.items():
        rows = [row for row in rows_of(results, split) if row.r2 is not None]
        if rows:
            told.append((_verdict(rows), where, "; ".join(f"{row.model} {number(row.r2)}" for row in rows)))
    if not told:
        return
    sentences = [f"{where} {text} (R²: {values})" for (_, text), where, values in told]
    strength = CLAIM if all(settled for (settled, _), _, _ in told) else WEAK
    comments = " They read comments: no forecast." if any(result.leaks for result in results) else ""
    yield Finding(strength, f"{opening} {'; '.join(sentences)}.{comments}")


def _verdict(rows: Sequence[ResultRow]) -> tuple[bool, str]:
    """Return whether the intervals settle it, and how the models of a split do against the mean of the test posts."""
    known = [row[HEADLINE].interval for row in rows]
    intervals = [interval for interval in known if interval is not None]
    each = "it is" if len(rows) == 1 else "each model is"
    if len(intervals) < len(known):
        return False, "no interval can be given, and the numbers describe these posts alone"
    if all(interval.high < 0 for interval in intervals):
        return True, f"{each} worse than the mean of the test posts"
    if all(interval.low > 0 for interval in intervals):
        return True, f"{each} better than the mean of the test posts"
    return False, "not every model can be told from the mean of the test posts" if len(rows) > 1 else (
        "it cannot be told from the mean of the test posts"
    )
