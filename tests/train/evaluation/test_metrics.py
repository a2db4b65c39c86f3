"""Every metric, of all posts and without some accounts, is what scikit-learn and scipy make of the same posts."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from postmill.train.evaluation import metrics
from postmill.train.evaluation.metrics import METRICS
from tests.train.evaluation.drawn import clustered, judged, random_posts, without
from tests.train.evaluation.oracles import ORACLES

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
def test_each_metric_without_a_group_of_accounts(name: str, seed: int) -> None:
    part = random_posts(seed, posts=40, accounts=8, seeds=2)
    group_of = dict(zip(np.unique(part.accounts).tolist(), (0, 1, 2, 2, 0, 3, 3, 1), strict=True))
    measure = METRICS[name].measure(part, np.array([group_of[account] for account in part.accounts.tolist()]))
    assert measure(None) == close(ORACLES[name](part))
    for group in range(4):
        left_out = [account for account, of in group_of.items() if of == group]
        assert measure(group) == close(ORACLES[name](without(part, left_out)))


@pytest.mark.parametrize("name", ORACLES)
def test_nothing_is_left_without_the_only_group(name: str) -> None:
    assert METRICS[name].measure(random_posts(1), np.zeros(200, dtype=np.int64))(0) is None


def test_constant_predictions_have_no_correlation_and_no_nan() -> None:
    values = metrics.all_of(judged([1, 2, 3, 4], [2.5] * 4))
    assert values["spearman"] is None and values["pearson"] is None
    assert values["r2"] == pytest.approx(0)
    # A constant whose mean is off by rounding is constant all the same.
    values = metrics.all_of(judged(np.full(10, 0.1 + 0.2), np.arange(10.0)))
    assert values["spearman"] is None and values["pearson"] is None and values["r2"] is None


def test_one_post_has_errors_alone() -> None:
    values = metrics.all_of(judged([3.0], [1.0]))
    assert values == {"mse": 4.0, "mae": 2.0, "r2": None, "spearman": None, "pearson": None, metrics.WITHIN: None}


def test_no_post_has_no_metric() -> None:
    assert set(metrics.all_of(judged([], [])).values()) == {None}


def test_the_training_mean_alone_is_no_order() -> None:
    """Between seeds it correlates with what was held out, negatively; it must not count."""
    true = np.arange(20.0)
    seeds = np.arange(20) // 4
    means = np.array([true[seeds != seed].mean() for seed in seeds])
    assert stats.spearmanr(true, means).statistic < -0.9
    for name in ("spearman", "pearson"):
        assert metrics.value(judged(true, means, seeds=seeds, training_mean=means), name) is None
        # Nor does what is rounding when the mean is taken off.
        rounded = means + np.random.default_rng(0).normal(scale=1e-13, size=20)
        assert metrics.value(judged(true, rounded, seeds=seeds, training_mean=means), name) is None


def test_metrics_are_over_all_seeds_at_once() -> None:
    pooled = metrics.pooled([judged([0, 1], [0, 1], seeds=0), judged([10, 11], [11, 10], seeds=1)])
    assert metrics.value(pooled, "r2") == pytest.approx(ORACLES["r2"](judged([0, 1, 10, 11], [0, 1, 11, 10])))
    assert metrics.value(pooled, "spearman") == pytest.approx(0.8)


def test_a_rank_correlation_does_not_depend_on_how_many_posts_a_seed_tests() -> None:
    part = random_posts(3, posts=400, accounts=60, seeds=1)
    values = []
    for folds in (1, 5, 20):
        seeds = np.unique(part.accounts, return_inverse=True)[1] % folds
        values.append(metrics.value(replace(part, seeds=seeds), "spearman"))
    assert values[0] == values[1] == values[2] and values[0] is not None


def test_what_is_pooled_is_all_of_every_seed() -> None:
    parts = [random_posts(seed, seeds=1) for seed in (1, 2)]
    pooled = metrics.pooled(parts)
    for field in fields(pooled):
        column = getattr(pooled, field.name)
        each = [getattr(part, field.name) for part in parts]
        assert column is None if each[0] is None else column.tolist() == [value for one in each for value in one]
    assert metrics.pooled([parts[0], judged([1.0], [2.0])]).shuffled is None
    shuffled = metrics.shuffled(pooled)
    assert shuffled is not None and shuffled.predicted is pooled.shuffled
    assert metrics.shuffled(judged([1.0], [2.0])) is None


def test_a_level_per_account_puts_no_account_in_order() -> None:
    part = clustered(4)
    assert metrics.value(part, metrics.WITHIN) is None
    ordered = replace(part, predicted=part.predicted + 0.01 * part.true)
    assert metrics.value(ordered, metrics.WITHIN) == pytest.approx(1.0)
