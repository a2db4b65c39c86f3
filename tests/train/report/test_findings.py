"""The sentences of the report follow its numbers, and claim only what an interval supports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.intervals import Inference, Interval
from postmill.train.evaluation.optimism import Optimism
from postmill.train.evaluation.results import Estimate, ModelResult, ResultRow
from postmill.train.models.registry import CONTENT_STEP
from postmill.train.report import findings, headline
from postmill.train.report.finding import Finding
from postmill.train.report.formatting import number, span
from tests.train.evaluation.stated import METRICS, SETTINGS

LEAK = ModelResult("leak", replace(METRICS, settings=replace(SETTINGS, model="leak"), leak="comments"))
ABOVE, ACROSS, BELOW = Interval(0.02, 0.2), Interval(-0.02, 0.2), Interval(-0.2, -0.02)


def row(
    split: str = "influencer",
    r2: float = 0.3,
    interval: tuple[float, float] | None = (0.1, 0.4),
    order: tuple[float, float] | None = (0.4, 0.6),
    note: str = "",
    model: str = "fusion",
    first: tuple[float, float] | None = (0.01, 0.09),
) -> ResultRow:
    ends = [None if pair is None else Interval(*pair) for pair in (interval, order, first)]
    estimates = {"r2": Estimate(r2, ends[0], note, mean=0.3, std=0.05), "spearman": Estimate(0.5, ends[1])}
    as_first = {"r2": Estimate(0.05, ends[2])}
    return ResultRow(
        model, split, estimates, seeds=5, test_posts=1_000, test_accounts=60, first_post=as_first, rung=model
    )


def gain(
    interval: Interval | None,
    holds: bool | None = True,
    step: tuple[str, str] = CONTENT_STEP,
    metric: str = "r2",
    shuffled: float | None = -0.05,
) -> Gain:
    difference = 0.1 if interval is None else (interval.low + interval.high) / 2
    p = None if interval is None else 0.01
    return Gain(*step, "influencer", metric, difference, shuffled, interval, p, holds, "" if interval else "too few")


def optimism(flattered: float, value: float, interval: Interval | None) -> Optimism:
    return Optimism("fusion", "random", flattered, value, Inference(flattered - value, interval))


def said(found: Sequence[Finding], text: str) -> list[Finding]:
    return [finding for finding in found if text in finding.text]


@pytest.mark.parametrize(
    ("rows", "strength", "text", "denied"),
    [
        ([row()], "claim", "predicts engagement better than the mean does", "cannot be told"),
        ([row(interval=(-0.1, 0.4))], "weak", "cannot be told from predicting the mean", "predicts engagement better"),
        ([row(r2=-0.3, interval=(-0.5, -0.1))], "claim", "is worse than the mean", "predicts engagement better"),
        ([row(interval=None, order=None, note="too few")], "none", "support no claim", "better than the mean"),
        ([row()], "claim", "It puts their posts in order", "not settled"),
        ([row(order=(-0.1, 0.3))], "weak", "Whether it puts their posts in order is not settled", "It puts"),
        ([row(order=(-0.4, -0.1))], "claim", "in the wrong order", "posts in order"),
        ([row()], "claim", "it was not trained on, of which it knows the earlier posts, fusion", "is shown nothing"),
        ([row()], "claim", "60 accounts); for a first post R² is 0.05, 95 % interval 0.01 to 0.09.", ""),
        ([row(first=(-0.1, 0.2))], "claim", "; for a first post R² is 0.05, 95 % interval −0.10 to 0.20.", ""),  # noqa: RUF001
        ([row(first=None)], "claim", "; for a first post R² is 0.05.", "new account"),
        ([row(model="metadata")], "claim", "and of whose past it is shown nothing, metadata predicts", "earlier posts"),
        ([row(model="metadata")], "claim", "metadata predicts", "first post"),  # it is the same number
        ([row(split="random")], "none", "nothing can be said about other accounts", "better than"),
        ([], "none", "No model has been trained", "better than"),
    ],
)
def test_the_headline_follows_its_intervals(rows: list[ResultRow], strength: str, text: str, denied: str) -> None:
    sentences = findings.findings(rows, None, [])
    assert [finding.strength for finding in said(sentences, text)] == [strength]
    assert not denied or not said(sentences, denied)
    if strength == "none":
        assert all(finding.strength != "claim" for finding in sentences)


@pytest.mark.parametrize(
    ("first", "strength", "text"),
    [
        ((0.01, 0.09), "claim", "fusion predicts the engagement better than the mean does (R² 0.05"),
        ((-0.02, 0.09), "weak", "fusion cannot be told from predicting the mean (R² 0.05"),
        ((-0.3, -0.1), "claim", "fusion predicts the engagement worse than the mean of the test posts does (R² 0.05"),
        (None, "", ""),
    ],
)
def test_a_first_post_follows_its_own_interval(first: tuple[float, float] | None, strength: str, text: str) -> None:
    found = said(findings.findings([row(first=first)], None, []), "Of the first post of a new account")
    assert [finding.strength for finding in found] == ([strength] if strength else [])
    assert not strength or f"of whose past nothing is known, {text}" in found[0].text


@pytest.mark.parametrize(
    ("interval", "strength", "text"),
    [
        (ABOVE, "claim", "fusion is better than followers alone"),
        (ACROSS, "weak", "fusion cannot be told from followers alone"),
        (BELOW, "claim", "fusion is worse than followers alone"),
        (None, "", ""),
    ],
)
def test_first_posts_are_compared_with_followers(interval: Interval | None, strength: str, text: str) -> None:
    step = gain(interval, None, ("fusion", "followers"))
    found = said(findings.findings([row()], None, [], first_posts=step), "On first posts")
    assert [finding.strength for finding in found] == ([strength] if strength else [])
    assert not strength or f"On first posts {text}: difference in R²" in found[0].text


def test_every_claim_about_accounts_not_trained_on_says_what_was_known_of_them() -> None:
    steps = [gain(end, True, metric=metric) for end in (ABOVE, BELOW) for metric in ("r2", "within_account")]
    comparisons = [gain(end, None, ("fusion", "boosting")) for end in (ABOVE, BELOW)]
    first = gain(ABOVE, None, ("fusion", "followers"))
    for step, comparison in ((step, comparison) for step in steps for comparison in comparisons):
        found = findings.findings([row()], comparison, [], [step], first_posts=first)
        claims = [finding.text for finding in found if finding.strength == "claim"]
        known = "knows the earlier posts", "whose earlier posts are known", "first post", "It puts their posts"
        assert len(claims) == 6 and all(any(words in text for words in known) for text in claims), claims


@pytest.mark.parametrize(
    ("interval", "strength", "text"),
    [
        (ABOVE, "claim", "predicts better than the same network"),
        (ACROSS, "weak", "is not settled"),
        (BELOW, "claim", "predicts worse than the same network"),
        (None, "none", "cannot be said: too few"),
    ],
)
def test_what_content_adds_follows_its_interval(interval: Interval | None, strength: str, text: str) -> None:
    # Asked before anything was measured, it is judged by its own interval, whatever else was compared.
    sentences = findings.findings([row()], None, [], [gain(interval, holds=None if interval is None else False)])
    (finding,) = said(sentences, text)
    assert finding.strength == strength
    assert interval is None or "with content shuffled within accounts −0.050" in finding.text  # noqa: RUF001


@pytest.mark.parametrize(
    ("interval", "holds", "strength", "text"),
    [
        (ABOVE, True, "claim", "beyond what its past and they, shuffled, do"),
        (ABOVE, False, "weak", "in order is not settled"),  # of so many gains, one in twenty is above 0 by chance
        (ACROSS, False, "weak", "in order is not settled"),
        (BELOW, True, "claim", "in better order when caption, picture and metadata"),
        (None, None, "", ""),
    ],
)
def test_order_within_accounts_has_to_hold_among_all(
    interval: Interval | None, holds: bool | None, strength: str, text: str
) -> None:
    sentences = findings.findings([row()], None, [], [gain(interval, holds, metric="within_account")])
    found = said(sentences, "of one account")
    assert [finding.strength for finding in found] == ([strength] if strength else [])
    assert not strength or text in found[0].text


@pytest.mark.parametrize(
    ("interval", "strength", "text"),
    [
        (ABOVE, "claim", "fusion is better than the best model that is none, boosting"),
        (ACROSS, "weak", "Fusion cannot be told from the best model that is none, boosting"),
        (BELOW, "claim", "fusion is worse than the best model that is none, boosting"),
    ],
)
def test_fusion_against_the_best_other_model(interval: Interval, strength: str, text: str) -> None:
    sentences = findings.findings([row()], gain(interval, None, ("fusion", "boosting")), [])
    assert [finding.strength for finding in said(sentences, text)] == [strength]
    assert not said(findings.findings([row()], gain(None, None, ("fusion", "boosting")), []), "best model")


def test_what_a_random_split_adds_is_said_where_it_adds_and_there_is_something() -> None:
    (finding,) = said(findings.findings([row()], None, [], (), optimism(0.7, 0.3, Interval(0.2, 0.6))), "random split")
    assert finding.strength == "claim" and "R² 0.70 of fusion instead of 0.30" in finding.text
    assert "the model has met these" in finding.text


@pytest.mark.parametrize(
    "found",
    [
        None,
        optimism(0.75, 0.66, None),  # ten accounts: no interval, no claim
        optimism(0.75, 0.66, Interval(-0.1, 0.3)),
        optimism(0.3, 0.4, Interval(-0.2, -0.01)),
    ],
)
def test_a_random_split_that_is_not_seen_to_flatter_is_not_explained(found: Optimism | None) -> None:
    assert not said(findings.findings([row()], None, [], (), found), "random split")


@pytest.mark.parametrize("flattered", [0.0, -0.02])
def test_a_model_that_is_no_better_than_the_mean_remembers_nothing(flattered: float) -> None:
    found = optimism(flattered, -0.18, Interval(0.05, 0.3))
    (finding,) = said(findings.findings([row()], None, [], (), found), "random split")
    assert "no better than the mean of the test posts" in finding.text and "has met" not in finding.text


@pytest.mark.parametrize(
    ("interval", "holds", "text"),
    [
        (ABOVE, True, "So much they would seem to add to metadata"),
        (ABOVE, False, "is not settled here"),
        (ACROSS, False, "is not settled here"),
        (BELOW, True, "Here it does worse than metadata without them"),
        (None, None, "is no forecast."),
    ],
)
def test_a_leak_is_said_to_add_only_what_it_adds(interval: Interval | None, holds: bool | None, text: str) -> None:
    rows = [row(), row(model="leak", r2=-1.17), row(model="metadata", r2=-0.3)]
    sentences = findings.findings(rows, None, [LEAK], [gain(interval, holds, ("leak", "metadata"))])
    (finding,) = said(sentences, "leak reads the comments")
    assert finding.strength == "weak" and text in finding.text and "R² of −1.17 is no forecast" in finding.text  # noqa: RUF001
    assert ("would seem to add" in finding.text) == (interval in (ABOVE, ACROSS))
    assert "upper bound" not in finding.text


def test_ten_accounts_claim_nothing() -> None:
    rows = [row(interval=None, order=None, note="too few", first=None), row(model="leak", interval=None, order=None)]
    gains = [gain(None, None, metric=metric) for metric in ("r2", "spearman", "within_account")]
    comparison = gain(None, None, ("fusion", "boosting"))
    sentences = findings.findings(rows, comparison, [LEAK], gains, optimism(0.75, 0.66, None))
    assert {finding.strength for finding in sentences} == {"none", "weak"}
    assert sentences[0].strength == "none" and "support no claim" in sentences[0].text


def test_a_detectable_correlation_is_shown_four_times_in_five() -> None:
    random, count = np.random.default_rng(0), 60
    planted = headline.detectable(count)
    assert planted is not None
    x, noise = random.normal(size=(2, 20_000, count))
    y = planted * x + np.sqrt(1 - planted**2) * noise
    x, y = (side - side.mean(axis=1, keepdims=True) for side in (x, y))
    correlations = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    shown = np.abs(np.arctanh(correlations)) * np.sqrt(count - 3) > 1.96
    assert shown.mean() == pytest.approx(0.8, abs=0.02)
    assert headline.needed(planted) in (count, count + 1) and headline.detectable(4) is None


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (-0.001, "0.00"), (-0.25, "−0.25"), (1.0, "1.00")])  # noqa: RUF001
def test_numbers_are_written_for_people(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_an_interval_is_written_from_low_to_high_or_a_dash() -> None:
    assert span(Interval(-0.25, 1.0)) == "−0.25 to 1.00" and span(None) == "–"  # noqa: RUF001
