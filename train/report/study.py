"""What is said and shown of the study's own models: its split first, then accounts that were not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from postmill.train.evaluation.metrics import HEADLINE
from postmill.train.evaluation.results import ModelResult, ResultRow, rows_of
from postmill.train.models import registry
from postmill.train.options import Split
from postmill.train.report.finding import CLAIM, WEAK, Finding
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

    A sentence claims only what the intervals of both models that the study trained support on every split that it
    names, so that how many there are gives chance nothing to choose from.

    Args:
        results: Models of one target; those that are none of the study's are passed over.
    """
    studied = [result for result in results if result.of_study]
    raw = [result for result in studied if registry.is_raw(result.model)]
    others = [result for result in studied if result not in raw]
    if raw:
        yield from _finding(raw, f"{_size(raw[0])} With the target as it is,")
    if others:
        yield from _finding(others, f"{'' if raw else _size(others[0]) + ' '}With the target in standard deviations,")


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
    of_splits = {split: [row for row in rows_of(results, split) if row.r2 is not None] for split in _WHERE}
    rows = [row for of_split in of_splits.values() for row in of_split]
    if not rows:
        return
    notes = sorted({row[HEADLINE].note or "not for every model" for row in rows if row[HEADLINE].interval is None})
    parts, settled = [], not notes
    for split, of_split in of_splits.items():
        if of_split and notes:
            parts.append(f"R² {_WHERE[split]} is {_listed([f'{number(row.r2)} ({row.model})' for row in of_split])}")
        elif of_split:
            verdicts = [_verdict(models) for models in _trained_and_announced(results, of_split) if models]
            parts.append(f"{_WHERE[split]}, {', and '.join(verdict.text for verdict in verdicts)}")
            settled &= verdicts[0].settled
    text = f"{opening} {'; '.join(parts)}."
    if notes:
        text += f" No interval: {'; '.join(notes)}. These numbers describe these posts alone."
    if leaking := [result.name for result in results if result.leaks]:
        text += f" {_listed(leaking)} read comments, so theirs is no forecast."
    yield Finding(CLAIM if settled else WEAK, text)


def _trained_and_announced(
    results: Sequence[ModelResult], rows: Sequence[ResultRow]
) -> tuple[list[ResultRow], list[ResultRow]]:
    """Return the rows of the models that the study trained, and those of what it announced."""
    announced = {result.name for result in results if result.model.startswith(registry.CONTENT_STEP.model)}
    return [row for row in rows if row.model not in announced], [row for row in rows if row.model in announced]


class _Verdict(NamedTuple):
    """How models of a split do against the mean of the test posts, and whether their intervals settle it."""

    text: str
    settled: bool


def _verdict(rows: Sequence[ResultRow]) -> _Verdict:
    names = _listed([f"{row.model} (R² {number(row.r2)})" for row in rows])
    intervals = [interval for row in rows if (interval := row[HEADLINE].interval) is not None]
    for compared, agree in (
        ("worse than", all(interval.high < 0 for interval in intervals)),
        ("better than", all(interval.low > 0 for interval in intervals)),
    ):
        if agree:
            are = "is" if len(rows) == 1 else "are"
            return _Verdict(f"{names} {are} {compared} the mean of the test posts", settled=True)
    told = "cannot be told from" if len(rows) == 1 else "cannot both be told from"
    return _Verdict(f"{names} {told} the mean of the test posts", settled=False)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
