"""The summary of a split: pooled metrics, mean and standard deviation over seeds, and why there is no interval."""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest

from postmill.train.evaluation import intervals, metrics
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.schema_splits import Calibration, PooledCounts, SeedCounts, SeedRun, SplitResult
from postmill.train.evaluation.summary import summary
from tests.train.evaluation.drawn import judged, random_posts
from tests.train.evaluation.oracles import ORACLES

NO_CALIBRATION = Calibration(None, None, (), None)


def by_seed(part: Predicted) -> list[Predicted]:
    return [part.of(np.flatnonzero(part.seeds == seed)) for seed in np.unique(part.seeds)]


def summarised(parts: list[Predicted]) -> SplitResult:
    runs = [
        SeedRun(n, SeedCounts(0, len(part.true), 0, 0, 0), metrics.all_of(part), {}) for n, part in enumerate(parts)
    ]
    return summary(runs, metrics.pooled(parts), NO_CALIBRATION)


def test_mean_and_std_are_those_over_seeds() -> None:
    parts = by_seed(random_posts(6, posts=300, seeds=4))
    result = summarised(parts)
    for name, oracle in ORACLES.items():
        values = [oracle(part) for part in parts]
        assert None not in values
        assert result.mean[name] == pytest.approx(statistics.mean(values))
        assert result.std[name] == pytest.approx(statistics.stdev(values))


def test_pooled_metrics_are_over_the_posts_of_all_seeds() -> None:
    part = random_posts(6, posts=300, accounts=40, seeds=4)
    result = summarised(by_seed(part))
    assert result.pooled == {name: pytest.approx(oracle(part)) for name, oracle in ORACLES.items()}
    assert result.counts == PooledCounts(300, 40) and len(result.seeds) == 4
    assert list(result.interval) == ["mse", "mae", "r2", "spearman", "within_account"] and result.notes == {}
    pooled = metrics.pooled(by_seed(part))
    assert all(result.interval[name] == intervals.of_metric(pooled, name).interval for name in result.interval)
    shuffled = replace(part, predicted=part.shuffled)
    assert result.shuffled == {name: pytest.approx(oracle(shuffled)) for name, oracle in ORACLES.items()}


def test_one_seed_has_no_standard_deviation() -> None:
    result = summarised([random_posts(1, seeds=1)])
    assert set(result.std.values()) == {None} and result.mean["mse"] == result.pooled["mse"]


def test_a_seed_without_a_value_leaves_the_mean_undefined() -> None:
    part = random_posts(1, seeds=1)
    flat = judged(part.true, np.full(200, 5.0), part.accounts, 1)
    result = summarised([part, flat])
    assert result.mean["spearman"] is None and result.std["spearman"] is None
    assert result.mean["mse"] is not None and result.std["mse"] is not None


def test_a_missing_interval_has_its_reason() -> None:
    result = summarised([judged([1, 2, 3], [1, 2, 4])])
    assert set(result.interval.values()) == {None} and result.shuffled is None
    assert result.notes == dict.fromkeys(result.interval, intervals.TOO_FEW_ACCOUNTS)
