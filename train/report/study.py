"""What is said and shown of the study's own models: its split first, then accounts that were not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

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
    parts, settled = [], True
    for split, where in _WHERE.items():
        clauses = []
        for trained in (True, False):  # the two that the study trained, then what it announced
            rows = rows_of([result for result in results if _is_trained(result) == trained], split)
            known = [row for row in rows if row.r2 is not None]
            if known:
                verdict = _verdict(known)
                clauses.append(verdict.text)
                settled &= verdict.settled or not trained
        if clauses:
            parts.append(f"{where}, {', and '.join(clauses)}")
    if parts:
        leaking = [result.name for result in results if result.leaks]
        comments = f" {' and '.join(leaking)} read comments, so theirs is no forecast." if leaking else ""
        yield Finding(CLAIM if settled else WEAK, f"{opening} {'; '.join(parts)}.{comments}")


def _is_trained(result: ModelResult) -> bool:
    return not result.model.startswith(registry.CONTENT_STEP.model)


class _Verdict(NamedTuple):
    """How models of a split do against the mean of the test posts, and whether their intervals settle it."""

    text: str
    settled: bool


def _verdict(rows: Sequence[ResultRow]) -> _Verdict:
    names = " and ".join(f"{row.model} (R² {number(row.r2)})" for row in rows)
    intervals = [row[HEADLINE].interval for row in rows]
    known = [interval for interval in intervals if interval is not None]
    is_, has, its = (
        ("is", "has", "its number describes") if len(rows) == 1 else ("are", "have", "their numbers describe")
    )
    if len(known) < len(intervals):
        return _Verdict(f"{names} {has} no interval, and {its} these posts alone", settled=False)
    for compared, agree in (
        ("worse than", all(interval.high < 0 for interval in known)),
        ("better than", all(interval.low > 0 for interval in known)),
    ):
        if agree:
            return _Verdict(f"{names} {is_} {compared} the mean of the test posts", settled=True)
    told = "cannot be told from" if len(rows) == 1 else "cannot both be told from"
    return _Verdict(f"{names} {told} the mean of the test posts", settled=False)
