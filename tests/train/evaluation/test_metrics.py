"""Every metric, and every resample of it, is what scikit-learn and scipy make of the same posts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from postmill.train.evaluation import measures, metrics
from postmill.train.evaluation.measures import Predicted
from tests.train.evaluation.drawn import clustered, judged, random_posts, resampled
from tests.train.evaluation.oracles import ORACLES

VALUES = st.lists(st.integers(-5, 5), min_size=1, max_size=40)
POSTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3), st.integers(0, 3)), min_size=1)


def close(expected: float | None) -> object:
    return expected if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_every_metric_has_an_oracle() -> None:
    assert list(metrics.METRICS) == list(ORACLES)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("seed", range(5))
def test_each_metric_of_random_posts(name: str, seed: int) -> None:
    part = random_posts(seed)
    expected = ORACLES[name](part)
    assert expected is not None and metrics.value(part, name) == close(expected)


@given(POSTS)
def test_each_metric_of_few_posts_with_ties_and_constants(posts: list[tuple[int, int, int, int]]) -> None:
    account, seed, true, predicted = (np.array(column) for column in zip(*posts, strict=True))
    part = judged(true, predicted, account, seed)
    values = metrics.all_of(part)
    assert values == {name: close(oracle(part)) for name, oracle in ORACLES.items()}


@pytest.mark.parametrize("name", ORACLES)
@given(seed=st.integers(0, 999))
def test_an_account_drawn_twice_counts_twice(name: str, seed: int) -> None:
    part = random_posts(seed, posts=40, accounts=8, seeds=2)
    times = np.random.default_rng(seed).integers(0, 4, 8).astype(float)
    again = resampled(part, times)
    expected = ORACLES[name](again) if len(again.true) else None
    assert metrics.prepared(part, name)(times) == close(expected)


@given(VALUES)
def test_ranks_are_those_of_scipy(values: list[int]) -> None:
    np.testing.assert_allclose(measures.ranks(np.array(values, dtype=float)), stats.rankdata(values))


@given(VALUES, st.integers(0, 1000))
def test_a_weight_counts_a_post_that_many_times(values: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    true, predicted = np.array(values, dtype=float), random.normal(size=len(values)).round(1)
    times = random.integers(1, 4, len(values))
    repeated_true, repeated = np.repeat(true, times), np.repeat(predicted, times)
    weights = times.astype(float)
    np.testing.assert_allclose(np.repeat(measures.ranks(true, weights), times), measures.ranks(repeated_true))
    expected = measures.pearson(repeated_true, repeated)
    if len(values) > 1:
        assert measures.pearson(true, predicted, weights) == close(expected)


def test_constant_predictions_have_no_correlation_and_no_nan() -> None:
    values = metrics.all_of(judged([1, 2, 3, 4], [2.5] * 4))
    assert values["spearman"] is None and values["pearson"] is None
    assert values["r2"] == pytest.approx(0)
    # A constant whose mean is off by rounding is constant all the same.
    assert measures.pearson(np.arange(10.0), np.full(10, 0.1 + 0.2)) is None


def test_one_post_has_errors_alone() -> None:
    values = metrics.all_of(judged([3.0], [1.0]))
    assert values == {"mse": 4.0, "mae": 2.0, "r2": None, "spearman": None, "pearson": None, metrics.WITHIN: None}


def test_no_post_has_no_metric() -> None:
    assert set(metrics.all_of(judged([], [])).values()) == {None}


def test_correlations_are_taken_within_each_seed() -> None:
    """The training mean alone correlates with what was held out, negatively; it must not count."""
    true = np.arange(20.0)
    seeds = np.arange(20) // 4
    means = np.array([true[seeds != seed].mean() for seed in seeds])
    assert stats.spearmanr(true, means).statistic < -0.9
    assert metrics.value(judged(true, means, seeds=seeds), "spearman") is None


def test_pooled_r2_is_over_all_seeds_at_once() -> None:
    pooled = metrics.pooled([judged([0, 1], [0, 1], seeds=0), judged([10, 11], [11, 10], seeds=1)])
    assert metrics.value(pooled, "r2") == pytest.approx(ORACLES["r2"](judged([0, 1, 10, 11], [0, 1, 11, 10])))
    assert metrics.value(pooled, "spearman") == pytest.approx(0.0)


def test_a_level_per_account_puts_no_account_in_order() -> None:
    part = clustered(4)
    assert metrics.value(part, metrics.WITHIN) is None
    ordered = Predicted(part.true, part.predicted + 0.01 * part.true, part.accounts, part.seeds)
    assert metrics.value(ordered, metrics.WITHIN) == pytest.approx(1.0)
