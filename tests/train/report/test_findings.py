"""The sentences of the report follow its numbers, and claim only what an interval supports."""

from __future__ import annotations

import numpy as np
import pytest

from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate, ResultRow
from postmill.train.report import findings
from postmill.train.report.formatting import number, span


def row(
    split: str = "influencer",
    r2: float = 0.3,
    interval: tuple[float, float] | None = (0.1, 0.4),
    order: tuple[float, float] | None = (0.4, 0.6),
    note: str = "",
) -> ResultRow:
    ends = [None if pair is None else Interval(*pair) for pair in (interval, order)]
    estimates = {"r2": Estimate(r2, ends[0], note, mean=0.3, std=0.05), "spearman": Estimate(0.5, ends[1])}
    return ResultRow("fusion", split, estimates, seeds=5, test_posts=1_000, test_accounts=60)


def gain(difference: float, interval: Interval) -> Gain:
    return Gain("fusion", "followers", "influencer", "r2", difference, interval, "")


@pytest.mark.parametrize(
    ("rows", "comparison", "strength", "text"),
    [
        ([row()], None, "claim", "predicts engagement better than the mean does"),
        ([row(interval=(-0.1, 0.4))], None, "weak", "cannot be told from predicting the mean"),
        ([row(r2=-0.3, interval=(-0.5, -0.1))], None, "claim", "is worse than the mean"),
        ([row(interval=None, order=None, note="too few")], None, "none", "support no claim"),
        ([row(), row(split="random", r2=0.7)], None, "weak", "R² 0.70 instead of 0.30"),
        (
            [row()],
            gain(0.1, Interval(0.02, 0.2)),
            "claim",
            "adds to the best single",
        ),
        (
            [row()],
            gain(0.1, Interval(-0.02, 0.2)),
            "weak",
            "cannot be told from the best single",
        ),
        ([row()], gain(-0.1, Interval(-0.2, -0.02)), "claim", "worse than the best single model"),
        ([row(split="random")], None, "none", "nothing can be said about new accounts"),
        ([], None, "none", "No model has been trained"),
    ],
)
def test_sentences_follow_the_numbers(rows: list[ResultRow], comparison: Gain | None, strength: str, text: str) -> None:
    sentences = findings.findings(rows, comparison, [])
    assert any(text in finding.text and finding.strength == strength for finding in sentences)
    if strength == "none":
        assert all(finding.strength != "claim" for finding in sentences)


def test_a_detectable_correlation_is_shown_four_times_in_five() -> None:
    random, count = np.random.default_rng(0), 60
    planted = findings.detectable(count)
    assert planted is not None
    x, noise = random.normal(size=(2, 20_000, count))
    y = planted * x + np.sqrt(1 - planted**2) * noise
    x, y = (side - side.mean(axis=1, keepdims=True) for side in (x, y))
    correlations = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    shown = np.abs(np.arctanh(correlations)) * np.sqrt(count - 3) > 1.96
    assert shown.mean() == pytest.approx(0.8, abs=0.02)
    assert findings.needed(planted) in (count, count + 1) and findings.detectable(4) is None


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (-0.001, "0.00"), (-0.25, "−0.25"), (1.0, "1.00")])  # noqa: RUF001
def test_numbers_are_written_for_people(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_an_interval_is_written_from_low_to_high_or_a_dash() -> None:
    assert span(Interval(-0.25, 1.0)) == "−0.25 to 1.00" and span(None) == "–"  # noqa: RUF001
