"""What a run's numbers allow to be said, in sentences chosen by the numbers themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from postmill.train.data.target import Definition
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.metrics import HEADLINE, WITHIN
from postmill.train.evaluation.optimism import Optimism
from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.models.registry import CONTENT_STEP, LEAK_STEP
from postmill.train.options import Split
from postmill.train.report import headline
from postmill.train.report.figures.figure import Question
from postmill.train.report.finding import CLAIM, NONE, WEAK, Finding, judged
from postmill.train.report.formatting import number, span

_KNOWN = "On accounts not trained on, whose earlier posts are known"


def findings(
    rows: Sequence[ResultRow],
    comparison: Gain | None,
    leaking: Sequence[ModelResult],
    gains: Sequence[Gain] = (),
    optimism: Optimism | None = None,
    first_posts: Gain | None = None,
) -> list[Finding]:
    """Return what can be said, the headline first.

    What content adds by :data:`.metrics.HEADLINE` was asked before anything was measured, and is judged by its own
    interval, as is what stands in no table of gains; what any other gain says has to hold among all of them.

    Args:
        rows: The table of results, all splits, of models of one target.
        comparison: Fusion against the best model that is none, on the account-disjoint split.
        leaking: Models that were shown comments.
        gains: The measured steps of the ladder.
        optimism: The best model's random split against its headline split.
        first_posts: What it gains on first posts over the model that those are compared with.
    """
    leaks = {result.name for result in leaking}
    clean = [row for row in rows if row.model not in leaks]
    by_key = {(gain.model, gain.base, gain.split, gain.metric): gain for gain in gains}
    return [
        *(headline.headline(clean) if clean or not rows else headline.no_forecast()),
        *headline.first_posts(headline.best(clean, Split.INFLUENCER), first_posts),
        *(
            replace(finding, question=Question.GAINS)
            for finding in _adding(rows, comparison, leaking, by_key, optimism)
        ),
    ]


def in_short(found: Sequence[Finding]) -> str:
    """Return what is said of findings on the first screen; empty where that is the first of them itself."""
    return " ".join(finding.short for finding in found if finding.short)


def _adding(
    rows: Sequence[ResultRow],
    comparison: Gain | None,
    leaking: Sequence[ModelResult],
    by_key: Mapping[tuple[str, str, str, str], Gain],
    optimism: Optimism | None,
) -> Iterator[Finding]:
    yield from _over_history(by_key.get((*CONTENT_STEP, Split.INFLUENCER, HEADLINE)))
    yield from _order(by_key.get((*CONTENT_STEP, Split.INFLUENCER, WITHIN)))
    yield from _step(comparison)
    yield from _optimism(optimism)
    yield from _leak(rows, leaking, by_key)


_CONTENT = "caption, picture and metadata (the hour among them)"
_SHOWN = "fusion, shown caption, picture and metadata too,"
_THE_SAME = "the same network that is shown the past alone"


def _over_history(gain: Gain | None) -> Iterator[Finding]:
    if gain is None:
        return
    if gain.interval is None:
        text = f"What content adds to an account's history cannot be said: {gain.note}."
        yield Finding(NONE, text, short=text)
        return
    evidence = (
        f"difference in R² {number(gain.difference, 3)}, paired 95 % interval {span(gain.interval, 3)}{_shuffled(gain)}"
    )
    judgement = judged(
        gain.interval,
        f"{_KNOWN}, {_SHOWN} predicts better than {_THE_SAME}: {evidence}.",
        f"{_KNOWN}, {_SHOWN} predicts worse than {_THE_SAME}: {evidence}.",
        f"Whether caption, picture and metadata add to an account's earlier posts is not settled: {evidence}.",
    )
    change = (
        f"add {number(gain.difference, 3)} to" if gain.difference > 0 else f"take {number(-gain.difference, 3)} from"
    )
    short = (
        f"Where an account's past is known, caption, picture and metadata {change} the R² of the same network without"
        f" them, {gain.base} (95 % interval {span(gain.interval, 3)}"
        f"{', which settles nothing' if judgement.strength == WEAK else ''})."
    )
    yield replace(judgement, short=short)


def _order(gain: Gain | None) -> Iterator[Finding]:
    if gain is None or gain.interval is None:
        return
    bounds = f"95 % interval {span(gain.interval, 3)}{_shuffled(gain)}"
    evidence = f"difference in rank correlation {number(gain.difference, 3)}, {bounds}"
    if not gain.holds:
        text, strength = f"Whether {_CONTENT} put the posts of one account in order is not settled", WEAK
    elif gain.difference > 0:
        text, strength = (
            f"{_KNOWN}, {_CONTENT} put the posts of one account in order beyond what its past and they, shuffled, do",
            CLAIM,
        )
    else:
        text = f"{_KNOWN}, the posts of one account are in better order when {_CONTENT} are shuffled"
        strength = CLAIM
    yield Finding(strength, f"{text}: {evidence}.")


def _shuffled(gain: Gain) -> str:
    return "" if gain.shuffled is None else f"; with content shuffled within accounts {number(gain.shuffled, 3)}"


def _step(comparison: Gain | None) -> Iterator[Finding]:
    if comparison is None or comparison.interval is None:
        return
    evidence = (
        f"difference in R² {number(comparison.difference, 3)}, paired 95 % interval {span(comparison.interval, 3)}"
    )
    other = f"the best model that is none, {comparison.base}"
    yield judged(
        comparison.interval,
        f"{_KNOWN}, fusion is better than {other}: {evidence}.",
        f"{_KNOWN}, fusion is worse than {other}: {evidence}.",
        f"Fusion cannot be told from {other}: {evidence}.",
    )


def _optimism(found: Optimism | None) -> Iterator[Finding]:
    """Say what a random split would have made believe, where it would have, and where it says anything at all."""
    if found is None or found.inference.interval is None:
        return
    interval = found.inference.interval
    evidence = f"difference {number(found.flattered - found.value, 3)}, paired 95 % interval {span(interval, 3)}"
    if interval.low > 0 and found.flattered > 0:
        yield Finding(
            CLAIM,
            f"A random split of the same posts would have said R² {number(found.flattered)} of {found.model} instead of"
            f" {number(found.value)} ({evidence}). What it adds is not skill on other accounts: the model has met"
            " these.",
        )
    elif interval.low > 0:
        yield Finding(
            CLAIM,
            f"Even on a random split, which is easier ({evidence}), {found.model} is no better than the mean of the"
            f" test posts: R² {number(found.flattered)}.",
        )


def _leak(
    rows: Sequence[ResultRow], leaking: Sequence[ModelResult], gains: Mapping[tuple[str, str, str, str], Gain]
) -> Iterator[Finding]:
    by_key = {(row.model, row.split): row for row in rows}
    for result in leaking:
        shown = by_key.get((result.name, Split.INFLUENCER)) or by_key.get((result.name, Split.RANDOM))
        if shown is None or shown.r2 is None:
            continue
        is_step = result.default and result.model == LEAK_STEP.model
        gain = gains.get((*LEAK_STEP, shown.split, HEADLINE)) if is_step else None
        yield Finding(
            WEAK,
            f"{result.name} reads the comments, which are written after publication and"
            f" {_comments_are(result.definition)}: its R² of {number(shown.r2)} is no forecast.{_seems_to_add(gain)}",
            short=f"{result.name} reads comments, so its R² of {number(shown.r2)} is no forecast.",
        )


def _comments_are(definition: Definition) -> str:
    likes, comments = definition.weights
    if not comments:
        return "grow with what is predicted"
    return "are part of what is predicted" if likes else "are themselves what is predicted"


def _seems_to_add(gain: Gain | None) -> str:
    if gain is None or gain.interval is None:
        return ""
    evidence = f"difference in R² {number(gain.difference, 3)}, paired 95 % interval {span(gain.interval, 3)}"
    if not gain.holds:
        return f" Whether comments would seem to add to {gain.base} is not settled here: {evidence}."
    if gain.difference > 0:
        return f" So much they would seem to add to {gain.base}: {evidence}."
    return f" Here it does worse than {gain.base} without them, so these comments tell little: {evidence}."
