"""Intervals: those of a bootstrap done post by post, over accounts, and paired where two models are compared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from postmill.train.evaluation import intervals, metrics
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.measures import Predicted
from tests.train.evaluation.drawn import clustered, judged, random_posts, resampled
from tests.train.evaluation.oracles import ORACLES

DRAWS = 60


def bootstrap(part: Predicted, statistic: Callable[[Predicted], float | None]) -> list[float]:
    """The ends of a 95 % percentile interval over accounts, from copies of their posts."""
    accounts = len(np.unique(part.accounts))
    random = np.random.default_rng(intervals._SEED)
    drawn = []
    for _ in range(DRAWS):
        times = np.bincount(random.integers(accounts, size=accounts), minlength=accounts)
        drawn.append(statistic(resampled(part, times)))
    return np.quantile([value for value in drawn if value is not None], [0.025, 0.975]).tolist()


@pytest.mark.parametrize("name", ORACLES)
def test_an_interval_is_that_of_a_bootstrap_done_by_hand(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(intervals, "REPLICATES", DRAWS)
    part = random_posts(8)
    interval = intervals.interval(part, name)
    assert isinstance(interval, Interval)
    assert list(interval) == pytest.approx(bootstrap(part, ORACLES[name]), abs=1e-9)


def test_the_interval_of_a_mean_is_that_of_a_bootstrap_done_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "REPLICATES", DRAWS)
    part = random_posts(9)
    interval = intervals.of_mean(part.true, part.accounts)
    assert isinstance(interval, Interval)
    assert list(interval) == pytest.approx(bootstrap(part, lambda again: float(np.mean(again.true))), abs=1e-9)


def test_the_interval_covers_the_truth_about_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "REPLICATES", 200)
    drawn = [intervals.interval(clustered(seed), "r2") for seed in range(60)]
    covered = sum(isinstance(i, Interval) and i.low <= 0.625 <= i.high for i in drawn)
    assert covered >= 50  # 57 expected of 60; percentile intervals are a little narrow


def test_too_few_accounts_or_posts_give_no_interval() -> None:
    few = np.repeat(np.arange(intervals.MIN_ACCOUNTS - 1), 20)
    assert intervals.interval(judged(np.arange(len(few)), few, few), "r2") == intervals.TOO_FEW_ACCOUNTS
    many = np.arange(intervals.MIN_POSTS - 1)
    assert intervals.interval(judged(many, many, many), "r2") == intervals.TOO_FEW_POSTS
    enough = np.repeat(np.arange(intervals.MIN_ACCOUNTS), intervals.MIN_POSTS // intervals.MIN_ACCOUNTS)
    assert isinstance(intervals.interval(judged(np.arange(len(enough)), enough, enough), "r2"), Interval)


def test_a_metric_that_is_undefined_has_no_interval() -> None:
    part = clustered(4)
    level = Predicted(part.true, np.full(len(part.true), 2.0), part.accounts, part.seeds)
    assert intervals.interval(level, "spearman") == intervals.UNDEFINED


def test_drawing_posts_instead_of_accounts_would_be_too_sure() -> None:
    part = clustered(1)
    ours = intervals.interval(part, "r2")
    naive = intervals.interval(judged(part.true, part.predicted), "r2")
    assert isinstance(ours, Interval) and isinstance(naive, Interval)
    assert ours.high - ours.low > 1.5 * (naive.high - naive.low)


def test_a_paired_difference_is_surer_than_the_parts() -> None:
    part = clustered(2)
    random = np.random.default_rng(0)
    worse = Predicted(
        part.true, part.predicted + random.normal(scale=0.3, size=len(part.true)), part.accounts, part.seeds
    )
    gap, interval = intervals.paired_difference(part, worse, "r2")
    single = intervals.interval(part, "r2")
    assert isinstance(interval, Interval) and isinstance(single, Interval)
    assert gap == pytest.approx(metrics.value(part, "r2") - metrics.value(worse, "r2"))  # type: ignore[operator]
    assert interval.low > 0
    assert interval.high - interval.low < single.high - single.low
    none, same = intervals.paired_difference(part, part, "r2")
    assert none == 0 and same == Interval(0.0, 0.0)


def test_a_paired_difference_is_that_of_a_bootstrap_done_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "REPLICATES", DRAWS)
    better = random_posts(5)
    worse = Predicted(better.true, better.predicted * 0.5 + 2, better.accounts, better.seeds)
    _, interval = intervals.paired_difference(better, worse, "mse")

    def gap(again: Predicted) -> float | None:
        high, low = ORACLES["mse"](again), ORACLES["mse"](judged(again.true, again.predicted * 0.5 + 2))
        return None if high is None or low is None else high - low

    assert isinstance(interval, Interval) and list(interval) == pytest.approx(bootstrap(better, gap), abs=1e-9)


def test_a_paired_difference_needs_the_same_posts() -> None:
    with pytest.raises(ValueError, match="same test posts"):
        intervals.paired_difference(clustered(1), clustered(2), "r2")


def test_intervals_are_the_same_every_time() -> None:
    assert intervals.interval(clustered(3), "spearman") == intervals.interval(clustered(3), "spearman")
