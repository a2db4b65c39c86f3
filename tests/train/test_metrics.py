"""Metrics against scipy, scikit-learn and resampling done by hand; intervals against known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from train import intervals, metrics
from train.intervals import Interval
from train.metrics import Predicted

VALUES = st.lists(st.integers(-5, 5), min_size=3, max_size=40)


def judged(true: object, predicted: object, accounts: object = None, seeds: object = 0) -> Predicted:
    n = len(np.atleast_1d(np.asarray(true)))
    return Predicted(
        np.asarray(true, dtype=float),
        np.asarray(predicted, dtype=float),
        np.asarray(np.arange(n) if accounts is None else accounts, dtype=np.uint64),
        np.broadcast_to(np.asarray(seeds, dtype=np.int64), n),
    )


@given(VALUES, st.integers(0, 1000))
def test_statistics_agree_with_scipy_and_sklearn(values: list[int], seed: int) -> None:
    true = np.array(values, dtype=float)
    predicted = np.random.default_rng(seed).integers(-4, 4, len(true)).astype(float)
    assert metrics.mse(true, predicted) == pytest.approx(reference.mean_squared_error(true, predicted))
    assert metrics.mae(true, predicted) == pytest.approx(reference.mean_absolute_error(true, predicted))
    np.testing.assert_allclose(metrics.ranks(true), stats.rankdata(true))
    if np.ptp(true) == 0:
        assert metrics.r2(true, predicted) is None
    else:
        assert metrics.r2(true, predicted) == pytest.approx(reference.r2_score(true, predicted))
    if np.ptp(true) == 0 or np.ptp(predicted) == 0:
        assert metrics.spearman(true, predicted) is None
        assert metrics.pearson(true, predicted) is None
    else:
        assert metrics.spearman(true, predicted) == pytest.approx(stats.spearmanr(true, predicted).statistic, abs=1e-9)
        assert metrics.pearson(true, predicted) == pytest.approx(stats.pearsonr(true, predicted).statistic, abs=1e-9)


@given(VALUES, st.integers(0, 1000))
def test_a_weight_counts_a_post_that_many_times(values: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    true = np.array(values, dtype=float)
    predicted = random.normal(size=len(true)).round(1)
    times = random.integers(1, 4, len(true))
    again = np.repeat(true, times), np.repeat(predicted, times)
    for name, statistic in metrics.STATISTICS.items():
        weighted, repeated = statistic(true, predicted, times.astype(float)), statistic(*again, None)
        assert (weighted is None) == (repeated is None), name
        if repeated is not None:
            assert weighted == pytest.approx(repeated, abs=1e-9), name


def test_constant_predictions_have_no_correlation_and_no_nan() -> None:
    found = metrics.all_of(judged([1, 2, 3, 4], [2.5] * 4))
    assert found["spearman"] is None and found["pearson"] is None
    assert found["r2"] == pytest.approx(0)
    # A constant whose mean is off by rounding is constant all the same.
    assert metrics.pearson(np.arange(10.0), np.full(10, 0.1 + 0.2)) is None


def test_one_post_has_errors_alone() -> None:
    found = metrics.all_of(judged([3.0], [1.0]))
    assert found == {"mse": 4.0, "mae": 2.0, "r2": None, "spearman": None, "pearson": None, metrics.WITHIN: None}


def test_correlations_are_taken_within_each_seed() -> None:
    """The training mean alone correlates with what was held out, negatively; it must not count."""
    true = np.arange(20.0)
    seeds = np.arange(20) // 4
    means = np.array([true[seeds != seed].mean() for seed in seeds])
    assert stats.spearmanr(true, means).statistic < -0.9
    assert metrics.value(judged(true, means, seeds=seeds), "spearman") is None


def test_pooled_r2_is_over_all_seeds_at_once() -> None:
    parts = [judged([0, 1], [0, 1], seeds=0), judged([10, 11], [11, 10], seeds=1)]
    whole = metrics.pooled(parts)
    assert metrics.value(whole, "r2") == pytest.approx(reference.r2_score([0, 1, 10, 11], [0, 1, 11, 10]))
    assert metrics.value(whole, "spearman") == pytest.approx(0.0)


def test_too_few_accounts_or_posts_give_no_interval() -> None:
    few = np.repeat(np.arange(intervals.MIN_ACCOUNTS - 1), 20)
    assert intervals.interval(judged(np.arange(len(few)), few, few), "r2") == intervals.TOO_FEW_ACCOUNTS
    many = np.arange(intervals.MIN_POSTS - 1)
    assert intervals.interval(judged(many, many, many), "r2") == intervals.TOO_FEW_POSTS


def clustered(seed: int, accounts: int = 60, each: int = 10) -> Predicted:
    """Errors that posts of one account share: R² is 1 - (0.5 + 0.1) / (1 + 0.5 + 0.1) = 0.625 in truth."""
    random = np.random.default_rng(seed)
    account = np.repeat(np.arange(accounts), each)
    known = random.normal(size=accounts)[account]
    shared = random.normal(scale=np.sqrt(0.5), size=accounts)[account]
    return judged(known + shared + random.normal(scale=np.sqrt(0.1), size=len(account)), known, account)


def test_the_interval_covers_the_truth_about_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "REPLICATES", 200)
    found = [intervals.interval(clustered(seed), "r2") for seed in range(60)]
    covered = sum(isinstance(i, Interval) and i.low <= 0.625 <= i.high for i in found)
    assert covered >= 50  # 57 expected of 60; percentile intervals are a little narrow


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
    gap, interval = intervals.difference(part, worse, "r2")
    single = intervals.interval(part, "r2")
    assert isinstance(interval, Interval) and isinstance(single, Interval)
    assert gap == pytest.approx(metrics.value(part, "r2") - metrics.value(worse, "r2"))  # type: ignore[operator]
    assert interval.low > 0
    assert interval.high - interval.low < single.high - single.low
    none, same = intervals.difference(part, part, "r2")
    assert none == 0 and same == Interval(0.0, 0.0)


def test_a_paired_difference_needs_the_same_posts() -> None:
    with pytest.raises(ValueError, match="same test posts"):
        intervals.difference(clustered(1), clustered(2), "r2")


def test_intervals_are_the_same_every_time() -> None:
    assert intervals.interval(clustered(3), "spearman") == intervals.interval(clustered(3), "spearman")


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_order_within_accounts_is_what_scipy_finds_in_each(posts: list[tuple[int, int, int, int]]) -> None:
    account, seed, true, predicted = (np.array(column) for column in zip(*posts, strict=True))
    part = judged(true, predicted, account, seed)
    top = bottom = 0.0
    ordered = False
    for cell in {(a, s) for a, s, _, _ in posts}:
        at = (account == cell[0]) & (seed == cell[1])
        if at.sum() < metrics.WITHIN_POSTS or np.ptp(true[at]) == 0:
            continue
        varied = np.ptp(predicted[at]) > 0
        ordered |= bool(varied)
        top += (at.sum() - 1) * (stats.spearmanr(true[at], predicted[at]).statistic if varied else 0.0)
        bottom += at.sum() - 1
    found = metrics.value(part, metrics.WITHIN)
    assert found == (pytest.approx(top / bottom, abs=1e-9) if ordered else None)


def test_a_level_per_account_puts_no_account_in_order() -> None:
    part = clustered(4)
    assert metrics.value(part, metrics.WITHIN) is None
    told = Predicted(part.true, part.predicted + 0.01 * part.true, part.accounts, part.seeds)
    assert metrics.value(told, metrics.WITHIN) == pytest.approx(1.0)
    assert isinstance(intervals.interval(told, metrics.WITHIN), Interval)


@given(st.integers(0, 99), st.sampled_from(["mse", "mae", "r2", "spearman"]))
def test_an_account_drawn_twice_counts_twice(seed: int, name: str) -> None:
    part = clustered(seed, accounts=8, each=4)
    times = np.random.default_rng(seed).integers(0, 3, 8).astype(float)
    rows = np.repeat(np.arange(32), times[part.accounts.astype(int)].astype(int))
    if len(rows):
        again = judged(part.true[rows], part.predicted[rows])
        assert metrics.prepared(part, name)(times) == pytest.approx(metrics.value(again, name), abs=1e-9)
