"""What is left without a modality: who loses what is counted, and the metrics are those of the predictions made so."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from postmill.train.data.modality import Modality, in_memory
from postmill.train.evaluation.probes import missing
from postmill.train.evaluation.probes.missing import Without
from postmill.train.models.problem import Scores
from tests.train.evaluation.drawn import random_posts
from tests.train.evaluation.oracles import ORACLES

POSTS, ROWS = 100, np.arange(20, 60)


def modality(name: str) -> Modality:
    present = np.ones(POSTS, dtype=bool)
    return in_memory(name, (), np.zeros((POSTS, 2), np.float32), present, before_publication=True)


def test_pictures_are_taken_from_shares_of_the_test_posts_and_the_others_from_all() -> None:
    modalities = {name: modality(name) for name in ("text", "image", "history")}
    lacking: list[tuple[str, set[int]]] = []

    def score(shown: Mapping[str, Modality]) -> Scores:
        lost = {name: set(np.flatnonzero(~shown[name].present).tolist()) for name in shown}
        (name,) = [name for name, rows in lost.items() if rows]
        lacking.append((name, lost[name]))
        return Scores(np.full(len(ROWS), len(lost[name]), dtype=float))

    complete = Scores(np.full(len(ROWS), -1.0))
    made = list(missing.without(score, modalities, ROWS, complete))
    kinds = [(one.modality, one.share) for one in made]
    assert kinds == [("text", 1.0), *[("image", share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)], ("history", 1.0)]
    assert [one.predicted[0] for one in made] == [40, -1, 10, 20, 30, 40, 40]
    assert all(rows <= set(ROWS.tolist()) for _, rows in lacking)
    pictures = [rows for name, rows in lacking if name == "image"]
    assert all(less < more for less, more in itertools.pairwise(pictures))


def test_the_curve_has_the_metrics_of_the_predictions_of_all_seeds() -> None:
    pooled = random_posts(2, posts=120, seeds=1)
    random = np.random.default_rng(2)
    worse = {name: pooled.predicted + random.normal(size=120) for name in ("text", "image")}
    seeds = [
        [Without(name, 1.0, values[half]) for name, values in worse.items()] for half in np.split(np.arange(120), 2)
    ]
    curve = missing.curve(pooled, seeds)
    assert [(row.modality, row.share) for row in curve] == [("text", 1.0), ("image", 1.0)]
    for row in curve:
        again = replace(pooled, predicted=worse[row.modality])
        assert list(row.metrics) == ["mse", "r2", "spearman", "within_account"]
        for name, value in row.metrics.items():
            assert value == pytest.approx(ORACLES[name](again)), name


def test_a_model_of_few_modalities_has_no_curve() -> None:
    assert missing.curve(random_posts(1), []) == ()
