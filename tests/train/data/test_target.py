"""The target: its formula, what is left out and counted, its standardisation."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from postmill.shards.runtime.errors import UsageError
from postmill.train.data import target
from postmill.train.data.target import Definition
from postmill.train.options import TargetName


def records(likes: list[int | None], comments: list[int | None], followers: list[int | None] | None = None) -> pa.Table:
    columns = {"likes": likes, "comment_count": comments, "followers": followers or [99] * len(likes)}
    return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("name", "weight", "expected", "formula", "unit"),
    [
        ("likes-and-comments", 1.0, math.log(15), "log(1 + likes + comments)", "likes and comments"),
        ("likes-and-comments", 0.0, math.log(11), "log(1 + likes)", "likes"),
        ("likes-and-comments", 2.5, math.log(21), "log(1 + likes + 2.5 \N{MULTIPLICATION SIGN} comments)", None),
        ("likes", 1.0, math.log(11), "log(1 + likes)", "likes"),
        ("comments", 1.0, math.log(5), "log(1 + comments)", "comments"),
        (
            "rate",
            1.0,
            math.log(0.15),
            "log(1 + likes + comments) - log(1 + followers)",
            "likes and comments per follower",
        ),
        ("rate", 2.0, math.log(0.19), None, None),
    ],
)
def test_the_formula_and_its_words(
    name: str, weight: float, expected: float, formula: str | None, unit: str | None
) -> None:
    definition = Definition(TargetName(name), weight)
    values = target.engagement(records([10], [4]), definition).values
    assert values.tolist() == [pytest.approx(expected)]
    assert formula in (None, definition.formula) and unit in (None, definition.unit)
    counted = math.expm1(expected) if name != "rate" else math.exp(expected)
    assert definition.counts(values).tolist() == [pytest.approx(counted)]


def test_what_has_no_target_is_counted_once_by_reason() -> None:
    engagement = target.engagement(records([None, 5, None, -1, 5, 5], [3, None, None, 3, -2, 3]), Definition())
    assert engagement.left_out == {"hidden_likes": 2, "unknown_comment_count": 1, "negative_count": 2}
    assert np.isnan(engagement.values).tolist() == [True, True, True, True, True, False]


def test_accounts_without_known_followers_have_no_rate() -> None:
    table = records([5, 5, 5, None, 5], [1] * 5, [None, 0, 10, None, -1])
    engagement = target.engagement(table, Definition(TargetName.RATE))
    assert engagement.left_out == {"hidden_likes": 1, "negative_count": 1, "unknown_followers": 1, "no_followers": 1}
    assert np.isnan(engagement.values).tolist() == [True, True, False, True, True]
    for name in set(TargetName) - {TargetName.RATE}:
        assert target.engagement(table, Definition(name)).left_out.keys() <= {"hidden_likes"}


@pytest.mark.parametrize("definition", [Definition(comment_weight=0.0), Definition(TargetName.LIKES)])
def test_comments_that_do_not_count_need_not_be_known(definition: Definition) -> None:
    engagement = target.engagement(records([5, 6], [None, -1]), definition)
    assert engagement.left_out == {} and engagement.values.tolist() == pytest.approx([math.log(6), math.log(7)])


def test_likes_that_do_not_count_need_not_be_known() -> None:
    engagement = target.engagement(records([None, -1], [5, None]), Definition(TargetName.COMMENTS))
    assert engagement.left_out == {"unknown_comment_count": 1}
    assert engagement.values[0] == pytest.approx(math.log(6))


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_weight_must_make_sense(weight: float) -> None:
    with pytest.raises(UsageError, match="weight for comments"):
        target.engagement(records([1], [1]), Definition(comment_weight=weight))


@pytest.mark.parametrize("name", [TargetName.LIKES, TargetName.COMMENTS])
def test_a_weight_is_refused_where_it_would_weigh_nothing(name: TargetName) -> None:
    with pytest.raises(UsageError, match=f"2 weighs nothing in the target {name}"):
        target.check(Definition(name, 2.0))


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
