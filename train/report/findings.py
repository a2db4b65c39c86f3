"""What a run's numbers allow to be said, in sentences chosen by the numbers themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.metrics import HEADLINE, SPEARMAN
from postmill.train.evaluation.results import ModelResult, ResultRow
from postmill.train.models.registry import CONTENT_STEP, LEAK_STEP
from postmill.train.options import ModalityName, RecipeName, Split
from postmill.train.report.describe import DataSummary
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
) -> list[Finding]:
    """Return what can be said, the headline first.

    Args:
        rows: The table of results, all splits.
        comparison: Fusion against the best single model on the account-disjoint split.
        leaking: Models that were shown comments.
        gains: The measured steps of the ladder.
    """
    leaks = {result.name for result in leaking}
    clean = [row for row in rows if row.model not in leaks]
    return [
        *_headline(clean),
        *_over_history(gains),
        *_step(comparison),
        *_optimism(clean),
        *_leak(rows, leaking),
    ]


def _best(rows: Sequence[ResultRow], split: str) -> ResultRow | None:
    by_model = {row.model: row for row in rows if row.split == split}
    best = max(by_model.values(), key=lambda row: row.r2 if row.r2 is not None else -1e9, default=None)
    return by_model.get(CONTENT_STEP.model, best)


def _headline(rows: Sequence[ResultRow]) -> Iterator[Finding]:
    if not rows:
        yield Finding(NONE, "No model has been trained in this run yet.")
        return
    best = _best(rows, Split.INFLUENCER)
    if best is None:
        yield Finding(
            NONE,
            "No model was tested on accounts that it had not seen, so nothing can be said about new accounts.",
        )
        return
    r2, spearman = best[HEADLINE], best[SPEARMAN]
    if r2.interval is None:
        yield Finding(
            NONE,
            f"These data support no claim about engagement: {best.test_posts:,} test posts of {best.test_accounts:,}"
            f" accounts, {r2.note or 'and no interval can be given'}. The numbers below describe these posts alone.",
        )
        if r2.mean is not None and r2.std is not None:
            yield Finding(
                WEAK,
                f"How little they settle: over {best.seeds} ways to divide the same accounts, R² of {best.model} is"
                f" {number(r2.mean)} on average with a standard deviation of {number(r2.std)}.",
            )
        yield from _what_few_posts_show(best.test_posts, best.test_accounts)
        return
    evidence = f"R² {number(r2.value)}, 95 % interval {span(r2.interval)}, {best.test_accounts:,} accounts"
    if r2.interval.low > 0:
        yield Finding(
            CLAIM,
            f"On accounts it was not trained on, {best.model} predicts engagement better than the mean does"
            f" ({evidence}).",
        )
    elif r2.interval.high < 0:
        yield Finding(
            CLAIM,
            f"On accounts it was not trained on, {best.model} is worse than the mean of the test posts ({evidence}).",
        )
    else:
        yield Finding(
            WEAK,
            f"On accounts it was not trained on, {best.model} cannot be told from predicting the mean ({evidence}).",
        )
    if spearman.interval is not None:
        yield Finding(
            CLAIM if spearman.interval.low > 0 else WEAK,
            f"It puts the posts of new accounts in order with a rank correlation of {number(spearman.value)}"
            f" (95 % interval {span(spearman.interval)}).",
        )


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


def _over_history(gains: Sequence[Gain]) -> Iterator[Finding]:
    for gain in gains:
        if (gain.model, gain.base, gain.split, gain.metric) != (*CONTENT_STEP, Split.INFLUENCER, HEADLINE):
            continue
        if gain.interval is None:
            yield Finding(NONE, f"What content adds to an account's history cannot be said: {gain.note}.")
            continue
        evidence = f"difference in R² {number(gain.difference)}, paired 95 % interval {span(gain.interval)}"
        if gain.interval.low > 0:
            yield Finding(
                CLAIM, f"Caption, picture and metadata add to what an account's earlier posts tell: {evidence}."
            )
        elif gain.interval.high < 0:
            yield Finding(CLAIM, f"Fusion is worse than an account's earlier posts and followers alone: {evidence}.")
        else:
            yield Finding(
                WEAK,
                f"Whether caption, picture and metadata add to an account's earlier posts is not settled: {evidence}.",
            )


def _step(comparison: Gain | None) -> Iterator[Finding]:
    if comparison is None or comparison.interval is None:
        return
    evidence = f"difference in R² {number(comparison.difference)}, paired 95 % interval {span(comparison.interval)}"
    if comparison.interval.low > 0:
        text, strength = f"Fusion adds to the best single model, {comparison.base}: {evidence}.", CLAIM
    elif comparison.interval.high < 0:
        text, strength = f"Fusion is worse than the best single model, {comparison.base}: {evidence}.", CLAIM
    else:
        text, strength = f"Fusion cannot be told from the best single model, {comparison.base}: {evidence}.", WEAK
    yield Finding(strength, text)


def _optimism(rows: Sequence[ResultRow]) -> Iterator[Finding]:
    known, disjoint = _best(rows, Split.RANDOM), _best(rows, Split.INFLUENCER)
    if known is None or disjoint is None or known.r2 is None or disjoint.r2 is None or known.model != disjoint.model:
        return
    if known.r2 > disjoint.r2 + 0.05:
        yield Finding(
            WEAK,
            f"A random split of the same posts would have said R² {number(known.r2)} instead of {number(disjoint.r2)}."
            " What it adds is not skill: the model has met the accounts and remembers what they usually get.",
        )


def _leak(rows: Sequence[ResultRow], leaking: Sequence[ModelResult]) -> Iterator[Finding]:
    by_key = {(row.model, row.split): row for row in rows}
    for result in leaking:
        shown = by_key.get((result.name, Split.INFLUENCER)) or by_key.get((result.name, Split.RANDOM))
        if shown is None or shown.r2 is None:
            continue
        base = LEAK_STEP.base if result.model == LEAK_STEP.model else result.model
        clean = by_key.get((base, shown.split)) if result.recipe == RecipeName.POSTMILL else None
        against = f", against {number(clean.r2)} for {clean.model} without them," if clean is not None else ""
        yield Finding(
            WEAK,
            f"{result.name} reads the comments, which are written after publication and are part of what is predicted:"
            f" its R² of {number(shown.r2)}{against} is no forecast.",
        )


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
    stand_ins = sorted({use.stand_in_for for result in models for use in result.encoders.values() if use.stand_in_for})
    if stand_ins:
        sentences.append(
            f"Stand-in encoders were used for {_listed(stand_ins)}: the numbers are not those of the paper's models."
        )
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


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
