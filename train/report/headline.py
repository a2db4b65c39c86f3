"""What a run's headline allows to be said: of accounts not trained on, of first posts, and of data that are too few."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.metrics import HEADLINE, SPEARMAN
from postmill.train.evaluation.results import Estimate, ResultRow
from postmill.train.models.registry import CONTENT_STEP, LADDER
from postmill.train.options import ModalityName, Split
from postmill.train.report.figures.figure import Question
from postmill.train.report.finding import NONE, WEAK, Finding, judged
from postmill.train.report.formatting import number, span

_POWER = 1.96 + 0.84  # quantiles of the normal distribution: 5 % two-sided, and four times in five
_SMALL_EFFECT = 0.1


def best(rows: Sequence[ResultRow], split: str) -> ResultRow | None:
    """Return the row of ``split`` that the headline is about: that of fusion, or else of the model with the best R²."""
    of_split = [row for row in rows if row.split == split]
    highest = max(of_split, key=lambda row: row.r2 if row.r2 is not None else -1e9, default=None)
    return next((row for row in of_split if row.rung == CONTENT_STEP.model), highest)


def no_forecast() -> Iterator[Finding]:
    """Say that nothing can be said where every model reads comments."""
    yield Finding(NONE, "Every model of this run reads comments, so nothing here says what can be forecast.")


def headline(rows: Sequence[ResultRow]) -> Iterator[Finding]:
    """Say what the best of ``rows``, those without a leak, is worth on accounts that were not trained on."""
    if not rows:
        yield Finding(NONE, "No model has been trained in this run yet.")
        return
    row = best(rows, Split.INFLUENCER)
    if row is None:
        yield Finding(
            NONE,
            "No model was tested on accounts that it was not trained on, so nothing can be said about other accounts.",
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
        few = _what_few_posts_show(row.test_posts, row.test_accounts)
        yield from (replace(finding, question=Question.CERTAINTY) for finding in few)
        return
    evidence = f"R² {number(r2.value)}, 95 % interval {span(r2.interval)}, {row.test_accounts:,} accounts"
    tested = f"On accounts it was not trained on{_known_of(row.rung)}, {row.model}"
    first = _for_a_first_post(row)
    yield judged(
        r2.interval,
        f"{tested} predicts engagement better than the mean does ({evidence}){first}.",
        f"{tested} is worse than the mean of the test posts ({evidence}){first}.",
        f"{tested} cannot be told from predicting the mean ({evidence}){first}.",
    )
    if spearman.interval is not None:
        evidence = f"a rank correlation of {number(spearman.value)}, 95 % interval {span(spearman.interval)}"
        yield judged(
            spearman.interval,
            f"It puts their posts in order with {evidence}.",
            f"It puts their posts in the wrong order, with {evidence}.",
            f"Whether it puts their posts in order is not settled: {evidence}.",
        )


def _is_shown_past(model: str) -> bool:
    return model in LADDER and ModalityName.HISTORY in LADDER[model].modalities


def _known_of(model: str) -> str:
    return (
        ", of which it knows the earlier posts" if _is_shown_past(model) else ", and of whose past it is shown nothing"
    )


def _for_a_first_post(row: ResultRow) -> str:
    """Return the number that a claim of a model which knows the past is not to be read without."""
    first = row.as_first_posts(HEADLINE)
    if not _is_shown_past(row.rung) or first.value is None:
        return ""
    bounds = "" if first.interval is None else f", 95 % interval {span(first.interval)}"
    return f"; for a first post R² is {number(first.value)}{bounds}"


def first_posts(row: ResultRow | None, gain: Gain | None) -> Iterator[Finding]:
    """Say what is predicted of a new account, of which nothing is known, and whether followers alone do as well."""
    if row is None:
        return
    first = row.as_first_posts(HEADLINE)
    if row[HEADLINE].interval is None or first.interval is None:
        return
    if _is_shown_past(row.rung):  # else the headline says it already
        yield _first_post(row, first, first.interval)
    if gain is None or gain.interval is None:
        return
    evidence = f"difference in R² {number(gain.difference, 3)}, paired 95 % interval {span(gain.interval, 3)}"
    tested = f"On first posts {gain.model}"
    yield judged(
        gain.interval,
        f"{tested} is better than {gain.base} alone: {evidence}.",
        f"{tested} is worse than {gain.base} alone: {evidence}.",
        f"{tested} cannot be told from {gain.base} alone: {evidence}.",
    )


def _first_post(row: ResultRow, first: Estimate, interval: Interval) -> Finding:
    evidence = f"R² {number(first.value)}, 95 % interval {span(interval)}, each test post as if it were a first one"
    tested = f"Of the first post of a new account, of whose past nothing is known, {row.model}"
    return judged(
        interval,
        f"{tested} predicts the engagement better than the mean does ({evidence}).",
        f"{tested} predicts the engagement worse than the mean of the test posts does ({evidence}).",
        f"{tested} cannot be told from predicting the mean ({evidence}).",
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
