"""Intervals: those of a textbook's jackknife, over accounts, paired where two models are compared, and they cover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from postmill.train.evaluation import intervals, metrics
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.measures import Predicted
from tests.train.evaluation.drawn import clustered, judged, random_posts, without
from tests.train.evaluation.oracles import ORACLES


def jackknife(
    part: Predicted, statistic: Callable[[Predicted], float | None], groups: list[list[int]], shared: float = 0.0
) -> list[float]:
    """A number, the ends of its interval, and its p, from pseudo-values (Tukey, 1958), whose variance is more."""
    whole, n = statistic(part), len(groups)
    assert whole is not None
    left = [statistic(without(part, group)) for group in groups]
    pseudo = np.array([n * whole - (n - 1) * one for one in left if one is not None])
    assert len(pseudo) == n
    squares = (pseudo - pseudo.mean()) ** 2
    freedom = squares.sum() ** 2 / (squares**2).sum()
    error = stats.sem(pseudo) * (1 + shared) ** 0.5
    low, high = stats.t.interval(0.95, freedom, loc=pseudo.mean(), scale=error)
    p = 2 * stats.t.cdf(-abs(pseudo.mean() / error), freedom)
    return [whole, min(low, whole), max(high, whole), p]


def on_logarithms(statistic: Callable[[Predicted], float | None]) -> Callable[[Predicted], float | None]:
    return lambda part: float(np.log(statistic(part) or np.nan))


def alone(part: Predicted) -> list[list[int]]:
    return [[account] for account in np.unique(part.accounts).tolist()]


def told(inference: intervals.Inference) -> list[float]:
    assert inference.value is not None and inference.interval is not None and inference.p is not None
    assert inference.note == "" and inference.interval.low <= inference.value <= inference.interval.high
    return [inference.value, *inference.interval, inference.p]


ERRORS = [name for name, metric in metrics.METRICS.items() if metric.lower_is_better]


@pytest.mark.parametrize("name", ERRORS)
def test_the_interval_of_an_error_is_that_of_its_logarithm(name: str) -> None:
    part = random_posts(8)
    inference = intervals.of_metric(part, name)
    assert inference.interval is not None and inference.p is None
    ends = np.log([inference.value, *inference.interval])  # type: ignore[list-item]
    assert ends == pytest.approx(jackknife(part, on_logarithms(ORACLES[name]), alone(part))[:3])


def test_predictions_without_an_error_have_an_interval_too() -> None:
    part = clustered(1)
    exact = intervals.of_metric(replace(part, predicted=part.true), "mse")
    assert (exact.value, exact.interval) == (0.0, Interval(0.0, 0.0))
    but_one = replace(part, predicted=np.where(part.accounts == 3, part.predicted, part.true))
    inference = intervals.of_metric(but_one, "mse")
    assert inference.interval is not None and inference.interval.low <= inference.value <= inference.interval.high


@pytest.mark.parametrize("name", [name for name in ORACLES if name not in ERRORS])
def test_an_interval_is_that_of_a_jackknife_done_by_hand(name: str) -> None:
    part = random_posts(8)
    assert told(intervals.of_metric(part, name)) == pytest.approx(jackknife(part, ORACLES[name], alone(part)))


def test_the_interval_of_a_mean_is_that_of_a_jackknife_done_by_hand() -> None:
    part = random_posts(9)
    expected = jackknife(part, lambda left: float(np.mean(left.true)), alone(part))
    assert told(intervals.of_mean(part.true, part.accounts)) == pytest.approx(expected)


def test_the_mean_of_one_post_an_account_has_the_standard_error_of_statistics() -> None:
    values = np.random.default_rng(1).normal(size=150)
    inference = intervals.of_mean(values, np.arange(150, dtype=np.uint64))
    assert inference.interval is not None
    squares = (values - values.mean()) ** 2
    reach = stats.sem(values) * stats.t.ppf(0.975, squares.sum() ** 2 / (squares**2).sum())
    assert list(inference.interval) == pytest.approx([values.mean() - reach, values.mean() + reach])


@pytest.mark.parametrize("name", ["r2", "spearman", "within_account"])
def test_many_accounts_are_left_out_by_groups(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(intervals, "MAX_GROUPS", 30)
    part = random_posts(10, posts=400, accounts=75)
    accounts = np.unique(part.accounts).tolist()
    groups = [accounts[first::30] for first in range(30)]
    assert told(intervals.of_metric(part, name)) == pytest.approx(jackknife(part, ORACLES[name], groups))


def test_the_order_of_posts_and_the_names_of_accounts_do_not_matter() -> None:
    part = random_posts(12)
    order = np.random.default_rng(0).permutation(200)
    again = replace(part.of(order), accounts=(2**64 - 1) - part.accounts[order])
    assert told(intervals.of_metric(again, "spearman")) == pytest.approx(told(intervals.of_metric(part, "spearman")))


TRUTH = {"r2": 0.625, "mse": 0.6, "spearman": 6 / np.pi * np.arcsin(1 / np.sqrt(1.6) / 2)}


@pytest.mark.parametrize("accounts", [intervals.MIN_ACCOUNTS, 60])
@pytest.mark.parametrize("name", TRUTH)
def test_intervals_cover_the_truth_about_as_often_as_they_say(name: str, accounts: int) -> None:
    """Where hundreds of draws are made, and in harder worlds: ``benchmarks/coverage.py``."""
    drawn = [intervals.of_metric(clustered(seed, accounts), name).interval for seed in range(200)]
    covered = sum(interval is not None and interval.low <= TRUTH[name] <= interval.high for interval in drawn)
    assert 184 <= covered <= 198


def test_groups_cover_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MAX_GROUPS", 40)
    drawn = [intervals.of_metric(clustered(seed, 120, 5), "spearman").interval for seed in range(200)]
    covered = sum(interval is not None and interval.low <= TRUTH["spearman"] <= interval.high for interval in drawn)
    assert 184 <= covered <= 198


def test_an_interval_holds_its_own_point_even_where_its_bias_is_larger_than_its_error() -> None:
    inference = intervals._jackknife(1.0, np.array([0.9, 0.91, 0.9, 0.89] * 10), 0.0)
    assert inference.interval is not None
    assert inference.interval.low == 1.0 and inference.interval.high == pytest.approx(4.9, abs=0.2)


def test_too_few_accounts_or_posts_give_no_interval_but_the_number() -> None:
    few = np.repeat(np.arange(intervals.MIN_ACCOUNTS - 1), 20)
    inference = intervals.of_metric(judged(np.arange(len(few)), few, few), "r2")
    assert (inference.interval, inference.p, inference.note) == (None, None, intervals.TOO_FEW_ACCOUNTS)
    assert inference.value is not None
    many = np.arange(intervals.MIN_POSTS - 1)
    assert intervals.of_metric(judged(many, many, many), "r2").note == intervals.TOO_FEW_POSTS
    enough = np.repeat(np.arange(intervals.MIN_ACCOUNTS), intervals.MIN_POSTS // intervals.MIN_ACCOUNTS)
    assert intervals.of_metric(judged(np.arange(len(enough)), enough, enough), "r2").interval is not None
    assert intervals.of_metric(judged([], []), "mse").note == intervals.TOO_FEW_ACCOUNTS


def test_an_account_that_has_most_of_the_posts_leaves_no_interval() -> None:
    posts = np.array([200, *[2] * 49])
    part = judged(np.arange(298), np.arange(298) % 7, np.repeat(np.arange(50), posts))
    assert intervals.of_metric(part, "r2").note == intervals.TOO_UNEVEN
    posts = np.array([60, *[5] * 49])
    part = judged(np.arange(305), np.arange(305) % 7, np.repeat(np.arange(50), posts))
    assert posts.sum() ** 2 / (posts**2).sum() > intervals.MIN_EFFECTIVE
    assert intervals.of_metric(part, "r2").interval is not None


def test_a_metric_that_is_undefined_has_no_interval() -> None:
    part = clustered(4)
    level = replace(part, predicted=np.full(len(part.true), 2.0))
    assert intervals.of_metric(level, "spearman") == intervals.Inference(None, note=intervals.UNDEFINED)
    # Nor where it is undefined without one of the accounts.
    one = replace(part, predicted=np.where(part.accounts == 3, part.true, 2.0))
    inference = intervals.of_metric(one, "spearman")
    assert inference.value is not None and inference.note == intervals.UNDEFINED


def test_leaving_out_posts_instead_of_accounts_would_be_too_sure() -> None:
    part = clustered(1)
    ours = intervals.of_metric(part, "r2").interval
    naive = intervals.of_metric(replace(part, accounts=np.arange(600, dtype=np.uint64)), "r2").interval
    assert ours is not None and naive is not None
    assert ours.high - ours.low > 1.5 * (naive.high - naive.low)


def test_a_paired_difference_is_surer_than_the_parts() -> None:
    part = clustered(2)
    random = np.random.default_rng(0)
    worse = replace(part, predicted=part.predicted + random.normal(scale=0.3, size=len(part.true)))
    gap, single = intervals.of_difference(part, worse, "r2"), intervals.of_metric(part, "r2").interval
    assert gap.interval is not None and single is not None and gap.p is not None
    assert gap.value == pytest.approx(metrics.value(part, "r2") - metrics.value(worse, "r2"))  # type: ignore[operator]
    assert gap.interval.low > 0 and gap.p < 0.05
    assert gap.interval.high - gap.interval.low < single.high - single.low
    assert intervals.of_difference(part, part, "r2") == intervals.Inference(0.0, Interval(0.0, 0.0), 1.0)


def test_a_paired_difference_is_that_of_a_jackknife_done_by_hand() -> None:
    better = random_posts(5)

    def worse(part: Predicted) -> Predicted:
        return replace(part, predicted=part.predicted * 0.5 + 2)

    def gap(left: Predicted) -> float | None:
        high, low = ORACLES["mse"](left), ORACLES["mse"](worse(left))
        return None if high is None or low is None else high - low

    difference = intervals.of_difference(better, worse(better), "mse")
    other = worse(better)
    gap_of_posts = better.predicted - other.predicted
    slope = sum((better.true - other.predicted) * gap_of_posts) / sum(gap_of_posts**2)
    left = gap_of_posts * (better.true - other.predicted - slope * gap_of_posts)
    of_accounts = [left[better.accounts == account].sum() for account in np.unique(better.accounts)]
    shared = 1 - slope + float(np.linalg.norm(of_accounts)) / sum(gap_of_posts**2)
    assert 0 < shared < 1
    assert told(difference) == pytest.approx(jackknife(better, gap, alone(better), shared))


def test_the_noise_that_folds_share_is_all_of_noise_and_none_of_what_is_true() -> None:
    random = np.random.default_rng(1)
    signal, seeds = random.normal(size=(2, 50_000)), np.arange(50_000) % 5
    true = signal.sum(axis=0) + random.normal(size=50_000)
    known = judged(true, signal[0], np.arange(50_000), seeds)
    for added, share in ((signal[1], 0.0), (random.normal(size=50_000), 1.0), (0.5 * signal[1], 0.0)):
        ours = replace(known, predicted=known.predicted + added)
        assert intervals.shared_noise(ours, known) == pytest.approx(share, abs=0.04)
    mixed = replace(known, predicted=signal.sum(axis=0) + random.normal(scale=0.5, size=50_000))
    assert intervals.shared_noise(mixed, known) == pytest.approx(0.2, abs=0.04)  # a quarter of noise to one of signal
    assert intervals.shared_noise(known, known) == 0
    one = replace(mixed, seeds=np.zeros(50_000, dtype=np.int64))
    assert intervals.shared_noise(one, known) == 0, "none learnt from those that it is tested on with"


def test_p_is_below_one_in_twenty_where_the_interval_leaves_out_0() -> None:
    for seed in range(40):
        part = random_posts(seed)
        value, low, high, p = told(intervals.of_mean(part.true - 5 + seed / 40, part.accounts))
        assert (p < 0.05) == (low > 0 or high < 0), (value, low, high, p)


def test_a_paired_difference_needs_the_same_posts() -> None:
    with pytest.raises(ValueError, match="same test posts"):
        intervals.of_difference(clustered(1), clustered(2), "r2")
    with pytest.raises(ValueError, match="same test posts"):
        part = clustered(1)
        intervals.of_difference(part, replace(part, accounts=part.accounts[::-1]), "r2")


def test_intervals_are_the_same_every_time() -> None:
    assert intervals.of_metric(clustered(3), "spearman") == intervals.of_metric(clustered(3), "spearman")
