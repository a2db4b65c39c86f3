"""Calibration: the line is scipy's regression, the tenths and the coverage are counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from postmill.train.evaluation import intervals
from postmill.train.evaluation.calibration import calibration
from tests.train.evaluation.drawn import clustered, judged, random_posts


@pytest.mark.parametrize("seed", range(5))
def test_slope_and_intercept_are_those_of_a_regression_of_true_on_predicted(seed: int) -> None:
    part = random_posts(seed)
    line = stats.linregress(part.predicted, part.true)
    result = calibration(part)
    assert (result.slope, result.intercept) == pytest.approx((line.slope, line.intercept))


def test_predictions_too_far_apart_have_a_slope_below_one() -> None:
    true = np.linspace(0, 9, 50)
    result = calibration(judged(true, 2 * true + 1))
    assert (result.slope, result.intercept) == pytest.approx((0.5, -0.5))


def test_the_bins_are_tenths_in_order_of_the_prediction() -> None:
    part = random_posts(3, posts=1_205, accounts=90)
    pairs = sorted(zip(part.predicted.tolist(), range(1_205), strict=True))  # equal predictions in the order of posts
    result = calibration(part).bins
    assert [one.posts for one in result] == [121] * 5 + [120] * 5
    start = 0
    for one in result:
        rows = [row for _, row in pairs[start : start + one.posts]]
        start += one.posts
        assert one.predicted == pytest.approx(sum(part.predicted[rows]) / len(rows))
        assert one.true == pytest.approx(sum(part.true[rows]) / len(rows))


def test_few_posts_have_fewer_bins_and_none_of_a_few_people() -> None:
    part = random_posts(3, posts=420, accounts=60)
    assert [one.posts for one in calibration(part).bins] == [105] * 4
    assert calibration(judged([1, 5, 3], [2.0, 9.0, 4.0])).bins == ()


def test_equal_predictions_have_no_line_and_no_bins() -> None:
    result = calibration(judged([1, 2, 3], [2.0] * 3))
    assert (result.slope, result.intercept, result.bins, result.coverage) == (None, None, (), None)


def test_coverage_is_the_share_of_posts_inside_their_interval() -> None:
    part = random_posts(7)
    random = np.random.default_rng(7)
    low, high = part.predicted - random.uniform(0.2, 2, 200), part.predicted + random.uniform(0.2, 2, 200)
    low[0], high[1] = part.true[0], part.true[1]  # an end belongs to the interval
    coverage = calibration(replace(part, low=low, high=high)).coverage
    inside = [1.0 if a <= y <= b else 0.0 for a, y, b in zip(low, part.true, high, strict=True)]
    assert coverage is not None and 0.5 < coverage.share < 0.9
    assert coverage.share == pytest.approx(sum(inside) / 200) and coverage.nominal == 0.9
    assert coverage.width == pytest.approx(sum(high - low) / 200)
    assert coverage.interval == intervals.of_mean(np.array(inside), part.accounts).interval
    assert coverage.interval is not None and coverage.interval.low < coverage.share < coverage.interval.high


def test_intervals_of_nine_tenths_of_the_errors_cover_nine_tenths() -> None:
    part = clustered(1, accounts=2_000, posts_each=3)
    half = stats.norm.ppf(0.95) * np.sqrt(0.6)
    coverage = calibration(replace(part, low=part.predicted - half, high=part.predicted + half)).coverage
    assert coverage is not None and coverage.share == pytest.approx(0.9, abs=0.02)


def test_too_few_accounts_have_a_coverage_without_an_interval() -> None:
    part = judged([1, 2, 3, 4], [1.1, 2.2, 2.9, 4.4])
    coverage = calibration(replace(part, low=part.predicted - 0.3, high=part.predicted + 0.3)).coverage
    assert coverage is not None and (coverage.share, coverage.interval) == (0.75, None)
