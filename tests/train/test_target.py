"""The target: its formula, what is left out and counted, its standardisation."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from postmill.shards.runtime.errors import UsageError
from postmill.train.data import target


def column(*values: int | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.int64())])


@pytest.mark.parametrize(("weight", "expected"), [(1.0, math.log(15)), (0.0, math.log(11)), (2.5, math.log(21))])
def test_the_formula(weight: float, expected: float) -> None:
    assert target.engagement(column(10), column(4), weight).values.tolist() == [pytest.approx(expected)]


def test_what_has_no_target_is_counted_once_by_reason() -> None:
    engagement = target.engagement(column(None, 5, None, -1, 5, 5), column(3, None, None, 3, -2, 3), 1.0)
    assert engagement.left_out == {"hidden_likes": 2, "unknown_comment_count": 1, "negative_count": 2}
    assert np.isnan(engagement.values).tolist() == [True, True, True, True, True, False]


def test_comments_that_do_not_count_need_not_be_known() -> None:
    engagement = target.engagement(column(5, 6), column(None, -1), 0.0)
    assert engagement.left_out == {} and engagement.values.tolist() == pytest.approx([math.log(6), math.log(7)])


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_weight_must_make_sense(weight: float) -> None:
    with pytest.raises(UsageError, match="weight for comments"):
        target.engagement(column(1), column(1), weight)


def test_standardisation_undoes_itself() -> None:
    values = np.array([1.0, 2.0, 6.0])
    scale = target.fit_scale(values)
    standardised = scale.standardise(values)
    assert standardised.mean() == pytest.approx(0) and standardised.std() == pytest.approx(1)
    np.testing.assert_allclose(scale.restore(standardised), values)


def test_equal_targets_are_not_divided_by_zero() -> None:
    scale = target.fit_scale(np.full(5, 0.1))
    assert scale.std == 1.0
    assert np.isfinite(scale.standardise(np.full(5, 0.1))).all()
