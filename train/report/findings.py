"""What a run's numbers allow to be said, in sentences chosen by the numbers themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postmill.train.data.target import Definition
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.metrics import HEADLINE, SPEARMAN, WITHIN
from postmill.train.evaluation.optimism import Optimism
from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.models.registry import CONTENT_STEP, LADDER, LEAK_STEP
from postmill.train.options import ModalityName, Split
from postmill.train.report.formatting import number, span

NONE, WEAK, CLAIM = "none", "weak", "claim"
_POWER = 1.96 + 0.84  # quantiles of the normal distribution: 5 % two-sided, and four times in five
_SMALL_EFFECT = 0.1


@dataclass(frozen=True)
class Finding:
    """One sentence of the report.

    Attributes:
        strength: ``claim`` where an interval supports it, ``weak`` where it describes these posts alone, ``none``
            where it says that nothing can be said.
        text: The sentence, plain text.
    """

    strength: str
    text: str


def findings(
    rows: Sequence[ResultRow],
    comparison: Gain | None,
    leaking: Sequence[ModelResult],
    gains: Sequence[Gain] = (),
    optimism: Optimism | None = None,
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
    """
    leaks = {result.name for result in leaking}
    clean = [row for row in rows if row.model not in leaks]
    by_key = {(gain.model, gain.base, gain.split, gain.metric): gain for gain in gains}
    return [
        *(_headline(clean) if clean or not rows else _no_forecast()),
        *_over_history(by_key.get((*CONTENT_STEP, Split.INFLUENCER, HEADLINE))),
        *_order(by_key.get((*CONTENT_STEP, Split.INFLUENCER, WITHIN))),
        *_step(comparison),
        *_optimism(optimism),
        *_leak(rows, leaking, by_key),
    ]


def best(rows: Sequence[ResultRow], split: str) -> ResultRow | None:
    """Return the row of ``split`` that the headline is about: that of fusion, or else of the model with the best R²."""
    of_split = [row for row in rows if row.split == split]
    highest = max(of_split, key=lambda row: row.r2 if row.r2 is not None else -1e9, default=None)
    return next((row for row in of_split if row.rung == CONTENT_STEP.model), highest)


def _headline(rows: Sequence[ResultRow]) -> Iterator[Finding]:
    if not rows:
        yield Finding(NONE, "No model has been trained in this run yet.")
        return
    row = best(rows, Split.INFLUENCER)
    if row is None:
        yield Finding(
            NONE,
            "No model was tested on accounts that it had not seen, so nothing can be said about new accounts.",
        )
        return
    r2, spearman = row[HEADLINE], row[SPEARMAN]
    if r2.interval is None:
        yield Finding(
            NONE,
            f"These data support no claim about engagement: {row.test_posts:,} test posts of {row.test_accounts:,}"
            f" accounts, {r2.note or 'and no interval can be given'}. The numbers below describe these posts alone.",
        )
        if r2.mean is not None and r2.std is not None:
            yield Finding(
                WEAK,
                f"How little they settle: over {row.seeds} ways to divide the same accounts, R² of {row.model} is"
                f" {number(r2.mean)} on average with a standard deviation of {number(r2.std)}.",
            )
        yield from _what_few_posts_show(row.test_posts, row.test_accounts)
        return
    evidence = f"R² {number(r2.value)}, 95 % interval {span(r2.interval)}, {row.test_accounts:,} accounts"
    tested = f"On accounts it was not trained on{_known_of(row.rung)}, {row.model}"
    if r2.interval.low > 0:
        yield Finding(CLAIM, f"{tested} predicts engagement better than the mean does ({evidence}).")
    elif r2.interval.high < 0:
        yield Finding(CLAIM, f"{tested} is worse than the mean of the test posts ({evidence}).")
    else:
        yield Finding(WEAK, f"{tested} cannot be told from predicting the mean ({evidence}).")
    if spearman.interval is not None:
        evidence = f"a rank correlation of {number(spearman.value)}, 95 % interval {span(spearman.interval)}"
        if spearman.interval.low > 0:
            yield Finding(CLAIM, f"It puts their posts in order with {evidence}.")
        elif spearman.interval.high < 0:
            yield Finding(CLAIM, f"It puts their posts in the wrong order, with {evidence}.")
        else:
            yield Finding(WEAK, f"Whether it puts their posts in order is not settled: {evidence}.")


def _no_forecast() -> Iterator[Finding]:
    yield Finding(NONE, "Every model of this run reads comments, so nothing here says what can be forecast.")


def _known_of(model: str) -> str:
    is_shown_past = model in LADDER and ModalityName.HISTORY in LADDER[model].modalities
    return " but whose earlier posts it is shown" if is_shown_past else ""


def detectable(count: int) -> float | None:
    """Return the correlation that ``count`` independent pairs show four times in five, at 5 %, two-sided.

    By Fisher's transformation (1921), whose standard error is 1 / sqrt(count - 3); None for fewer than five.
    """
    return math.tanh(_POWER / math.sqrt(count - 3)) if count >= 5 else None


def needed(correlation: float) -> int:
    """Return how many independent pairs show ``correlation`` four times in five: the other way round."""
    return math.ceil((_POWER / math.atanh(correlation)) ** 2 + 3)


def _what_few_posts_show(posts: int, accounts: int) -> Iterator[Finding]:
    """Say what so few posts can show, and how far they are from what they cannot."""
    yield Finding(
        WEAK,
        "They can show that every step works on these posts, from archive to table, and what the posts are like: the"
        " data are described below.",
    )
    within, between = detectable(posts), detectable(accounts)
    if within is None:
        return
    text = (
        f"They cannot show effects as small as content has. Even if all {posts:,} posts were independent, a correlation"
        f" of {number(within)} would be missed one time in five, and smaller ones more often; one of"
        f" {number(_SMALL_EFFECT, 1)} takes {needed(_SMALL_EFFECT):,} posts."
    )
    if between is not None:
        text += (
            f" Posts of an account are alike, and of accounts there are only {accounts:,}: what sets accounts apart"
            f" shows from a correlation of {number(between)} on."
        )
    yield Finding(NONE, text)


def _over_history(gain: Gain | None) -> Iterator[Finding]:
    if gain is None:
        return
    if gain.interval is None:
        yield Finding(NONE, f"What content adds to an account's history cannot be said: {gain.note}.")
        return
    evidence = (
        f"difference in R² {number(gain.difference, 3)}, paired 95 % interval {span(gain.interval, 3)}{_shuffled(gain)}"
    )
    if gain.interval.low > 0:
        text, strength = "Fusion, shown caption, picture and metadata too, predicts better than history", CLAIM
    elif gain.interval.high < 0:
        text, strength = "Fusion, shown caption, picture and metadata too, predicts worse than history", CLAIM
    else:
        text, strength = "Whether caption, picture and metadata add to an account's earlier posts is not settled", WEAK
    yield Finding(strength, f"{text}: {evidence}.")


def _order(gain: Gain | None) -> Iterator[Finding]:
    if gain is None or gain.interval is None:
        return
    bounds = f"95 % interval {span(gain.interval, 3)}{_shuffled(gain)}"
    evidence = f"difference in rank correlation {number(gain.difference, 3)}, {bounds}"
    if not gain.holds:
        text, strength = "Whether content puts the posts of one account in order is not settled", WEAK
    elif gain.difference > 0:
        text, strength = (
            "Content puts the posts of one account in order beyond what the past and shuffled content do",
            CLAIM,
        )
    else:
        text, strength = "The posts of one account are in better order when their content is shuffled", CLAIM
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
    if comparison.interval.low > 0:
        yield Finding(CLAIM, f"Fusion is better than {other}: {evidence}.")
    elif comparison.interval.high < 0:
        yield Finding(CLAIM, f"Fusion is worse than {other}: {evidence}.")
    else:
        yield Finding(WEAK, f"Fusion cannot be told from {other}: {evidence}.")


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
            f" {number(found.value)} ({evidence}). What it adds is not skill on new accounts: the model has met these.",
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
