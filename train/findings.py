"""What a run's numbers allow to be said, in sentences chosen by the numbers themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from train.describe import DataSummary
from train.intervals import Interval
from train.results import FUSION, HISTORY, LEAK, METADATA, Comparison, Gain, ModelResult, ResultRow

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


def number(value: float | None, digits: int = 2) -> str:
    """Return ``value`` with a true minus sign; a dash where it is undefined."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def span(interval: Interval, digits: int = 2) -> str:
    """Return an interval as ``low to high``."""
    return f"{number(interval.low, digits)} to {number(interval.high, digits)}"


def findings(
    rows: Sequence[ResultRow],
    comparison: Comparison | None,
    leaking: Sequence[ModelResult],
    gained: Sequence[Gain] = (),
) -> list[Finding]:
    """Return what can be said, the headline first.

    Args:
        rows: The table of results, all splits.
        comparison: Fusion against the best single model on the account-disjoint split.
        leaking: Models that were shown comments.
        gained: The measured steps of the ladder.
    """
    leaks = {result.name for result in leaking}
    clean = [row for row in rows if row.model not in leaks]
    return [
        *_headline(clean),
        *_over_history(gained),
        *_step(comparison),
        *_optimism(clean),
        *_leak(rows, leaking),
    ]


def _best(rows: Sequence[ResultRow], split: str) -> ResultRow | None:
    own = {row.model: row for row in rows if row.split == split}
    return own.get(FUSION) or max(own.values(), key=lambda row: row.r2 if row.r2 is not None else -1e9, default=None)


def _headline(rows: Sequence[ResultRow]) -> Iterator[Finding]:
    if not rows:
        yield Finding(NONE, "No model has been trained in this run yet.")
        return
    best = _best(rows, "influencer")
    if best is None:
        yield Finding(
            NONE,
            "No model was tested on accounts that it had not seen, so nothing can be said about new accounts.",
        )
        return
    if best.r2_interval is None:
        yield Finding(
            NONE,
            f"These data support no claim about engagement: {best.test_posts:,} test posts of {best.test_accounts:,}"
            f" accounts, {best.note or 'and no interval can be given'}. The numbers below describe these posts alone.",
        )
        if best.r2_mean is not None and best.r2_spread is not None:
            yield Finding(
                WEAK,
                f"How little they settle: over {best.seeds} ways to divide the same accounts, R² of {best.model} is"
                f" {number(best.r2_mean)} on average with a standard deviation of {number(best.r2_spread)}.",
            )
        yield from _what_few_posts_show(best.test_posts, best.test_accounts)
        return
    told = f"R² {number(best.r2)}, 95 % interval {span(best.r2_interval)}, {best.test_accounts:,} accounts"
    if best.r2_interval.low > 0:
        yield Finding(
            CLAIM,
            f"On accounts it was not trained on, {best.model} predicts engagement better than the mean does ({told}).",
        )
    elif best.r2_interval.high < 0:
        yield Finding(
            CLAIM, f"On accounts it was not trained on, {best.model} is worse than the mean of the test posts ({told})."
        )
    else:
        yield Finding(
            WEAK,
            f"On accounts it was not trained on, {best.model} cannot be told from predicting the mean ({told}).",
        )
    if best.spearman_interval is not None:
        yield Finding(
            CLAIM if best.spearman_interval.low > 0 else WEAK,
            f"It puts the posts of new accounts in order with a rank correlation of {number(best.spearman)}"
            f" (95 % interval {span(best.spearman_interval)}).",
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


def _over_history(gained: Sequence[Gain]) -> Iterator[Finding]:
    for gain in gained:
        if (gain.model, gain.base, gain.split, gain.statistic) != (FUSION, HISTORY, "influencer", "r2"):
            continue
        if isinstance(gain.interval, str):
            yield Finding(NONE, f"What content adds to an account's history cannot be said: {gain.interval}.")
            continue
        told = f"difference in R² {number(gain.difference)}, paired 95 % interval {span(gain.interval)}"
        if gain.interval.low > 0:
            yield Finding(CLAIM, f"Caption, picture and metadata add to what an account's earlier posts tell: {told}.")
        elif gain.interval.high < 0:
            yield Finding(CLAIM, f"Fusion is worse than an account's earlier posts and followers alone: {told}.")
        else:
            yield Finding(
                WEAK, f"Whether caption, picture and metadata add to an account's earlier posts is not settled: {told}."
            )


def _step(comparison: Comparison | None) -> Iterator[Finding]:
    if comparison is None or isinstance(comparison.interval, str):
        return
    told = f"difference in R² {number(comparison.difference)}, paired 95 % interval {span(comparison.interval)}"
    if comparison.interval.low > 0:
        text, strength = f"Fusion adds to the best single model, {comparison.single}: {told}.", CLAIM
    elif comparison.interval.high < 0:
        text, strength = f"Fusion is worse than the best single model, {comparison.single}: {told}.", CLAIM
    else:
        text, strength = f"Fusion cannot be told from the best single model, {comparison.single}: {told}.", WEAK
    yield Finding(strength, text)


def _optimism(rows: Sequence[ResultRow]) -> Iterator[Finding]:
    known, disjoint = _best(rows, "random"), _best(rows, "influencer")
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
        shown = by_key.get((result.name, "influencer")) or by_key.get((result.name, "random"))
        if shown is None or shown.r2 is None:
            continue
        base = METADATA if result.model == LEAK else result.model
        clean = by_key.get((base, shown.split)) if result.recipe == "postmill" else None
        against = f", against {number(clean.r2)} for {clean.model} without them," if clean is not None else ""
        yield Finding(
            WEAK,
            f"{result.name} reads the comments, which are written after publication and are part of what is predicted:"
            f" its R² of {number(shown.r2)}{against} is no forecast.",
        )


def limits(data: DataSummary, rows: Sequence[ResultRow], results: Sequence[ModelResult]) -> list[str]:
    """Return what this run cannot show, in sentences that apply to it."""
    said = [
        "Association, not cause: nothing here says what a change of caption or picture would do.",
        "Public posts of influencers alone. Engagement is not well-being, and no part of this report measures the"
        " well-being of anyone.",
    ]
    if not data.complete:
        said.append(
            f"{data.planned_shards - data.shards:,} of {data.planned_shards:,} post shards are not done: which posts"
            " are missing depends on the order of the archive."
        )
    if rows and all(row.split != "influencer" for row in rows):
        said.append("Every number here is from a random split, which flatters.")
    stand_ins = sorted({e["stand_in_for"] for r in results for e in r.encoders.values() if e["stand_in_for"]})
    if stand_ins:
        said.append(
            f"Stand-in encoders were used for {_listed(stand_ins)}: the numbers are not those of the paper's models."
        )
    if any("metadata" in result.encoders for result in results):
        said.append(
            "Counts of followers, followees and posts were taken when the list of accounts was crawled, after most"
            " posts were published: a small look ahead in the metadata."
        )
    if any("sentiment" in result.encoders for result in results):
        said.append("Sentiment models read English; other languages count as what English words in them happen to say.")
    return said


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
