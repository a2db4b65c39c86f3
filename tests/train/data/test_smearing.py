"""From log space back: Duan's factor is right for errors of any form, where the exponential alone is not."""

from __future__ import annotations

import numpy as np
import pytest

from postmill.train.data import smearing
from postmill.train.data.target import Definition
from postmill.train.options import TargetName


@pytest.mark.parametrize("errors", ["normal", "uniform", "skewed"])
def test_expectations_sum_to_what_came_whatever_the_errors(errors: str) -> None:
    random = np.random.default_rng(4)
    drawn = {
        "normal": random.normal(scale=0.8, size=200_000),
        "uniform": random.uniform(-1.5, 1.5, size=200_000),
        "skewed": random.gamma(4, 0.25, size=200_000) - 1,
    }[errors]
    predicted = random.normal(6, 1, size=200_000)
    true = predicted + drawn
    half = 100_000
    factor = smearing.factor(true[:half], predicted[:half])
    expected = smearing.expected(predicted[half:], factor, Definition())
    came = np.expm1(true[half:])
    assert expected.sum() == pytest.approx(came.sum(), rel=0.02)
    assert Definition().counts(predicted[half:]).sum() < 0.95 * came.sum()


def test_the_factor_of_normal_errors_is_the_exponential_of_half_their_variance() -> None:
    predicted = np.zeros(400_000)
    true = np.random.default_rng(0).normal(scale=0.6, size=400_000)
    assert smearing.factor(true, predicted) == pytest.approx(np.exp(0.18), rel=0.01)


def test_nothing_less_than_no_engagement_is_expected() -> None:
    assert smearing.expected(np.array([-1.0, 0.0]), 1.0, Definition()).tolist() == [0.0, 0.0]
    rate = Definition(TargetName.RATE)
    assert smearing.expected(np.array([-3.0]), 1.5, rate).tolist() == pytest.approx([1.5 * np.exp(-3.0)])
    with pytest.raises(ValueError, match="no posts"):
        smearing.factor(np.empty(0), np.empty(0))
