"""The stack: weights that are right where they can be computed otherwise, earned on posts that were not learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from postmill.train.data import history
from postmill.train.data.arrays import Arrays, Floats, Rows
from postmill.train.data.modality import Modality, in_memory
from postmill.train.models import recipes, stack
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Fit, Problem, Scores
from postmill.train.models.registry import FOLLOWERS, LADDER, Rung


def test_weights_are_those_of_least_squares_where_none_is_negative() -> None:
    random = np.random.default_rng(0)
    predicted = random.normal(size=(500, 3))
    target = predicted @ [0.2, 0.5, 0.1] + 0.1 * random.normal(size=500)
    np.testing.assert_allclose(stack.weigh(predicted, target), np.linalg.lstsq(predicted, target, rcond=None)[0])


def test_weights_are_the_best_of_those_that_are_not_negative() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        predicted = random.normal(size=(60, 3)) + random.normal(size=(60, 1))
        target = predicted @ random.normal(size=3) + random.normal(size=60)
        weights = stack.weigh(predicted, target)
        # The conditions of Karush, Kuhn and Tucker, which no other point fulfils.
        gradient = predicted.T @ (predicted @ weights - target)
        assert (weights >= 0).all() and (gradient > -1e-8).all() and abs(gradient @ weights) < 1e-8


def test_what_predicts_nothing_has_no_weight() -> None:
    target = np.arange(10.0) - 4.5
    assert stack.weigh(np.column_stack([-target, target, np.zeros(10)]), target).tolist() == pytest.approx([0, 1, 0])
    assert stack.weigh(-target[:, None], target).tolist() == [0]


def posts_of_strangers(posts: int) -> dict[str, Modality]:
    """Posts of accounts whose followers and past are not known."""
    columns = {"metadata": FOLLOWERS, "history": history.COLUMNS}
    return {
        name: in_memory(
            name,
            of,
            np.zeros((posts, len(of)), dtype=np.float32),
            np.zeros(posts, dtype=bool),
            before_publication=True,
        )
        for name, of in columns.items()
    }


class Remembering:
    """A learner whose history knows a little of all posts, and whose other bases remember what they learnt."""

    def __init__(self, hint: Floats) -> None:
        self.hint, self.learnt = hint, []

    def fit(self, rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
        assert len(target) == len(problem.train) == len(problem.groups)
        self.learnt.append((context.key, set(problem.groups.tolist())))
        return Fit({"rows": problem.train, "target": target}, {})

    def apply(
        self, rung: Rung, weights: Arrays, modalities: Mapping[str, Any], rows: Rows, context: TrainingContext
    ) -> Scores:
        if rung.name == "history":
            return Scores(self.hint[rows])
        known = dict(zip(weights["rows"].tolist(), weights["target"].tolist(), strict=True))
        return Scores(np.array([known.get(row, 0.0) for row in rows.tolist()]))


def test_weights_are_earned_on_groups_that_were_not_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bases remember their training rows, another knows a little of all: only the last is of use."""
    rows, stacked = np.arange(300), LADDER["stack"]
    random = np.random.default_rng(2)
    target = random.normal(size=300)
    learner = Remembering(target + random.normal(size=300))
    monkeypatch.setattr(stack, "load", lambda rung: learner)
    monkeypatch.setattr(stack, "shown_to", lambda rung, modalities: {})
    context = TrainingContext(recipes.paper(), key="split-0")
    problem = Problem(posts_of_strangers(300), rows, target, (rows // 10).astype(np.uint64), 0)
    fitted = stack.fit(stacked, problem, target, context)
    shares = fitted.details["shares"]
    assert shares["boosting"] == shares["fusion"] == 0 and shares["history"] == pytest.approx(0.5, abs=0.1)
    on_folds, on_all = learner.learnt[: 3 * stack.WEIGHT_FOLDS], learner.learnt[3 * stack.WEIGHT_FOLDS :]
    assert all(len(groups) == 20 for _, groups in on_folds)
    assert [key for key, _ in on_folds[:3]] == [f"split-0.{base}-0" for base in stacked.bases]
    assert [(key, len(groups)) for key, groups in on_all] == [(f"split-0.{base}", 30) for base in stacked.bases]
    scores = stack.apply(stacked, fitted.weights, problem.modalities, rows, context)
    np.testing.assert_allclose(scores.predicted, shares["history"] * learner.hint)
    assert scores.low is not None and np.mean(target < scores.low) == pytest.approx(0.05, abs=0.03)
