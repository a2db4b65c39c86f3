"""What moves predictions: it adds up, is told in units of the target, and is a mean over the posts of all seeds."""

from __future__ import annotations

import numpy as np
import pytest

from postmill.train.evaluation import intervals
from postmill.train.evaluation.probes import explained
from postmill.train.evaluation.probes.explained import Explained
from postmill.train.models import ladder, recipes
from postmill.train.models.learners import TrainingContext
from tests.train.models.test_past import POSTS, drawn


def test_contributions_are_mean_distances_over_all_seeds_the_largest_first() -> None:
    random = np.random.default_rng(0)
    accounts = np.arange(150).astype(np.uint64) // 5
    parts = [{name: size * random.normal(size=150) for name, size in (("text", 0.1), ("start", 2.0))} for _ in range(2)]
    found = explained.contributions([Explained(accounts, part) for part in parts])
    assert found is not None and [row.name for row in found] == ["start", "text"]
    for row in found:
        distance = np.abs(np.concatenate([part[row.name] for part in parts]))
        assert row.mean == pytest.approx(distance.mean()) and row.posts == 300
        assert row.interval == intervals.of_mean(distance, np.concatenate([accounts, accounts])).interval
        assert row.interval is not None and row.interval.low < row.mean < row.interval.high


def test_models_whose_parts_do_not_add_up_are_not_explained() -> None:
    problem, accounts = drawn()
    context = TrainingContext(recipes.postmill(POSTS))
    weights = ladder.fit("history", problem, context).weights
    told = explained.explain("history", weights, problem.modalities, problem.train, accounts)
    assert told.parts == {} and explained.contributions([told]) is None


def test_parts_add_up_in_units_of_the_target_and_many_posts_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, accounts = drawn(content=0.8)
    context = TrainingContext(recipes.postmill(POSTS))
    weights = ladder.fit("boosting", problem, context).weights
    predicted = ladder.apply("boosting", weights, problem.modalities, problem.train, context).predicted
    told = explained.explain("boosting", weights, problem.modalities, problem.train, accounts)
    rest = predicted - sum(told.parts.values())
    np.testing.assert_allclose(rest, rest.mean(), atol=1e-6)
    monkeypatch.setattr(explained, "SAMPLE", 50)
    few = explained.explain("boosting", weights, problem.modalities, problem.train, accounts)
    chosen = np.linspace(0, POSTS - 1, 50).astype(int)
    np.testing.assert_array_equal(few.accounts, accounts[chosen])
    np.testing.assert_allclose(few.parts["text"], told.parts["text"][chosen])
