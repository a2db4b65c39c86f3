"""The stack: weights that are right where they can be computed otherwise, earned on posts that were not learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from train import stack
from train.problem import Fit, Floats, Problem

Arrays = Mapping[str, npt.NDArray[Any]]


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
        found = stack.weigh(predicted, target)
        # The conditions of Karush, Kuhn and Tucker, which no other point fulfils.
        gradient = predicted.T @ (predicted @ found - target)
        assert (found >= 0).all() and (gradient > -1e-8).all() and abs(gradient @ found) < 1e-8


def test_what_predicts_nothing_has_no_weight() -> None:
    target = np.arange(10.0) - 4.5
    assert stack.weigh(np.column_stack([-target, target, np.zeros(10)]), target).tolist() == pytest.approx([0, 1, 0])
    assert stack.weigh(-target[:, None], target).tolist() == [0]


def test_weights_are_earned_on_units_that_were_not_learnt() -> None:
    """One base remembers its training rows, another knows a little of all: only the second is of use."""
    rows = np.arange(300)
    random = np.random.default_rng(2)
    target = random.normal(size=300)
    hint = target + random.normal(size=300)
    learnt: list[set[int]] = []

    def learn(base: str, some: Problem, own: Floats, key: str) -> Fit:
        assert len(own) == len(some.train) == len(some.units)
        learnt.append(set(some.units.tolist()))
        return Fit({"rows": some.train, "target": own}, {})

    def tell(base: str, weights: Arrays, asked: npt.NDArray[np.int64]) -> Floats:
        if base == "history":
            return hint[asked]
        known = dict(zip(weights["rows"].tolist(), weights["target"].tolist(), strict=True))
        return np.array([known.get(row, 0.0) for row in asked.tolist()])

    problem = Problem({}, rows, target, (rows // 10).astype(np.uint64), 0)
    found = stack.fit(problem, target, learn, tell)
    shares = found.details["shares"]
    assert shares["boosting"] == shares["fusion"] == 0 and shares["history"] == pytest.approx(0.5, abs=0.1)
    assert len(learnt) == 3 * stack.FOLDS + 3 and all(len(units) == 20 for units in learnt[: 3 * stack.FOLDS])
    scores = stack.apply(found.weights, rows, tell)
    np.testing.assert_allclose(scores.predicted, shares["history"] * hint)
    assert scores.low is not None and np.mean(target < scores.low) == pytest.approx(0.05, abs=0.03)
