"""The past and what stands on it: two ridges, the same start and bag for every rung above, intervals by kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from postmill.train.data import history
from postmill.train.data.arrays import Floats, Ids
from postmill.train.data.modality import Modality, in_memory, masked, select
from postmill.train.models import boosting, conformal, ladder, past, recipes, ridge, trees
from postmill.train.models.conformal import Kinds, Outside
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Problem, Scores, set_aside, under
from postmill.train.models.registry import FOLLOWERS, LADDER
from postmill.train.options import ModalityName

ACCOUNTS, POSTS = 30, 600


def drawn(seed: int = 0, content: float = 0.0) -> tuple[Problem, Ids]:
    """Posts of accounts with levels and followers, and of one direction of their captions."""
    random = np.random.default_rng(seed)
    account = np.sort(random.integers(0, ACCOUNTS, POSTS))
    followers = random.normal(10, 1.5, ACCOUNTS)
    text = random.normal(size=(POSTS, 6))
    y = 0.6 * followers[account] + random.normal(size=ACCOUNTS)[account] + content * text[:, 0]
    y += 0.5 * random.normal(size=POSTS)
    ids = account.astype(np.uint64)
    values, has = history.of_posts(ids, random.uniform(1.5e9, 1.52e9, POSTS), y)
    everyone, numbers = np.ones(POSTS, dtype=bool), np.column_stack([followers[account], np.zeros(POSTS), text[:, 1]])
    columns = {
        "text": (("",), text, everyone),
        "image": (("",), random.normal(size=(POSTS, 4)), random.random(POSTS) < 0.8),
        "sentiment": (("caption_sentiment",), random.normal(size=(POSTS, 1)), everyone),
        "metadata": ((*FOLLOWERS, "hour"), numbers, everyone),
        "history": (history.COLUMNS, values, has),
    }
    shown = {
        name: in_memory(
            name,
            () if names == ("",) else names,
            values.astype(np.float32),
            present,
            before_publication=True,
        )
        for name, (names, values, present) in columns.items()
    }
    shown = {name: _as_wide(modality) for name, modality in shown.items()}
    return Problem(shown, np.arange(POSTS), y, ids, 0), ids


def _as_wide(modality: Modality) -> Modality:
    """An embedding has components without names."""
    return replace(modality, width=modality.blocks[0].values.shape[1])


def standardised(problem: Problem) -> Floats:
    return (problem.target - problem.target.mean()) / problem.target.std()


def test_a_first_post_is_predicted_by_followers_alone_and_any_other_by_its_history_too() -> None:
    problem, ids = drawn()
    y = standardised(problem)
    fitted = past.solve(problem.modalities, problem.train, y, ids, 0)
    predicted = past.predict(fitted, problem.modalities, problem.train)
    followers = [select(problem.modalities["metadata"], FOLLOWERS)]
    alone = ridge.predict(ridge.solve(followers, problem.train, y, ids, 0), followers, problem.train)
    has = problem.modalities["history"].present
    np.testing.assert_array_equal(predicted[~has], alone[~has])
    assert np.mean((predicted - y)[has] ** 2) < 0.5 * np.mean((alone - y)[has] ** 2)
    nobody = conformal.as_first(problem.modalities)
    np.testing.assert_array_equal(past.predict(fitted, nobody, problem.train), alone)


def test_without_histories_to_learn_from_followers_predict_all() -> None:
    problem, ids = drawn()
    few = np.arange(POSTS) < past.MIN_KNOWN - 1
    shown = {**problem.modalities, "history": masked(problem.modalities["history"], few)}
    fitted = past.solve(shown, problem.train, standardised(problem), ids, 0)
    assert fitted.known is None and past.restored(fitted.weights()).known is None


@pytest.mark.parametrize("name", ["boosting", "history-boosting"])
def test_rungs_above_history_have_the_same_start_bag_and_intercepts(name: str) -> None:
    problem, _ = drawn()
    context = TrainingContext(recipes.postmill(POSTS))
    grown = ladder.fit(name, problem, context).weights
    network = ladder.fit(name.replace("boosting", "fusion"), problem, context).weights
    for member in range(context.recipe.members):
        starts = [under(weights, f"{member}.start.") for weights in (grown, network)]
        assert starts[0].keys() == starts[1].keys() and len(starts[0]) == 8
        for key, value in starts[0].items():
            np.testing.assert_array_equal(value, starts[1][key])
    of_trees = boosting.settings(LADDER[name], context)
    assert of_trees["members"] == context.recipe.members and of_trees["intercepts"] == context.recipe.intercepts


def test_members_set_aside_whole_groups_and_never_the_same() -> None:
    problem, ids = drawn()
    aside = [part for part in set_aside(problem, 3) if part is not None]
    assert len(aside) == 3 and not np.logical_and.reduce(aside).any()
    for number, part in enumerate(aside):
        assert not np.isin(ids[part], ids[~part]).any() and 4 <= len(np.unique(ids[part])) <= 8
        assert not any((part & other).any() for other in aside[number + 1 :])
    one = Problem(problem.modalities, problem.train, problem.target, np.zeros(POSTS, dtype=np.uint64), 0)
    assert list(set_aside(one, 3)) == [None]


def test_trees_find_what_is_planted_and_none_where_nothing_is() -> None:
    context = TrainingContext(recipes.postmill(POSTS))
    of_content, of_nothing = (drawn(seed=4, content=content)[0] for content in (0.8, 0.0))
    fitted = ladder.fit("boosting", of_content, context)
    predicted, known = (
        ladder.apply(name, weights, of_content.modalities, of_content.train, context).predicted
        for name, weights in (
            ("boosting", fitted.weights),
            ("history", ladder.fit("history", of_content, context).weights),
        )
    )
    assert np.mean((predicted - of_content.target) ** 2) < 0.6 * np.mean((known - of_content.target) ** 2)
    few = [member["trees"] for member in ladder.fit("boosting", of_nothing, context).details["members"]]
    assert sum(few) < 0.5 * sum(member["trees"] for member in fitted.details["members"])


def test_the_levels_beside_trees_are_those_of_a_mixed_model() -> None:
    """The slope at a prediction is that of the squared error less what the best levels explain of it."""
    random = np.random.default_rng(0)
    residual, groups, ratio = random.normal(size=40), random.integers(0, 6, 40), 0.7
    slope = trees.objective(residual, groups, ratio)

    def loss(predicted: Floats) -> float:
        left = residual - predicted
        levels = [left[groups == group].sum() / (np.sum(groups == group) + 1 / ratio) for group in range(6)]
        level = np.array(levels)
        return float(0.5 * np.sum((left - level[groups]) ** 2) + 0.5 * np.sum(level**2) / ratio)

    at = random.normal(size=40)
    gradient, curvature = slope(at, None)
    steps = 1e-5 * np.eye(40)
    numeric = [(loss(at + step) - loss(at - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)
    assert (curvature == 1).all()


def outside(posts: int, groups: int, wide: Floats, earlier: Ids, reach: Ids) -> Outside:
    random = np.random.default_rng(1)
    of_groups = (np.arange(posts) % groups).astype(np.uint64)
    known = np.abs(random.normal(size=posts)) * wide
    return Outside(known, 3 * known, Kinds(earlier.astype(np.int64), reach.astype(np.int64)), of_groups)


def test_each_kind_of_posts_has_its_own_width_and_a_post_the_wider_of_its_two() -> None:
    number = np.arange(8_000)
    earlier, reach = number // 2 % 4, number // 8 % 4
    wide = np.where(reach == 3, 5.0, np.where(earlier == 1, 2.0, 1.0))
    apart = outside(8_000, 100, wide, earlier, reach)
    by = conformal.widths(apart)
    assert by is not None and by.shape == (8,)
    for kind in (1, 2, 3):
        assert by[kind] == pytest.approx(np.quantile(apart.known[earlier == kind], 0.9), rel=0.02)
    assert by[0] == pytest.approx(np.quantile(apart.first, 0.909), rel=0.02)
    zeros = np.zeros(8_000)
    scores = conformal.widened(Scores(zeros, zeros, zeros), by, apart.kinds)
    assert scores.high is not None and scores.low is not None
    for kind in (1, 2, 3):
        assert np.mean(apart.known[earlier == kind] <= scores.high[earlier == kind]) >= 0.9
    for kind in range(4):
        assert np.mean(apart.known[reach == kind] <= scores.high[reach == kind]) >= 0.9
    np.testing.assert_array_equal(scores.low, -scores.high)


def test_a_kind_of_few_groups_has_no_width_of_its_own_and_too_few_posts_none_at_all() -> None:
    number = np.arange(400)
    few = outside(400, 8, np.ones(400), number % 4, np.zeros(400))
    by = conformal.widths(few)
    assert by is not None and np.isnan(by[4:]).all() and len(set(by.tolist()[1:4])) == 1
    assert by[0] == by[1], "with fewer than nine groups no width holds nine of ten"
    assert conformal.widths(outside(8, 8, np.ones(8), number[:8] % 4, np.zeros(8))) is None
    assert conformal.widths(None) is None


def test_every_account_counts_as_one_where_first_posts_are_calibrated() -> None:
    """One account has half of the posts, and is far outside."""
    groups = np.concatenate([np.zeros(100), np.arange(1, 101)]).astype(np.uint64)
    known = np.concatenate([np.full(100, 50.0), np.arange(1.0, 101.0)])
    kinds = Kinds(np.full(200, 3), np.full(200, 1))
    by = conformal.widths(Outside(known, known, kinds, groups))
    assert by is not None and by[0] == pytest.approx(92, abs=1.5)


def test_kinds_are_told_from_history_and_followers() -> None:
    posts = [0, 0, 1, 2, 3, 20, 21, 500]
    followers = [0, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000, 5e8]
    values = np.zeros((8, len(history.COLUMNS)), dtype=np.float32)
    values[:, history.PAST_POSTS] = np.log1p(posts)
    metadata = np.column_stack([np.log1p(followers), np.zeros(8)]).astype(np.float32)
    present = np.array(posts) > 0
    shown = {
        "history": in_memory("history", history.COLUMNS, values, present, before_publication=True),
        "metadata": in_memory("metadata", FOLLOWERS, metadata, np.ones(8, dtype=bool), before_publication=True),
    }
    kinds = conformal.kinds(shown, np.arange(8))
    assert kinds.earlier.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] and kinds.reach.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert not conformal.as_first(shown)[ModalityName.HISTORY].present.any()
    assert conformal.kinds(conformal.as_first(shown), np.arange(8)).earlier.tolist() == [0] * 8


def test_no_trees_are_grown_where_no_two_leaves_can_be_told_apart() -> None:
    problem, _ = drawn()
    few = np.arange(POSTS) % 20 == 0
    context = TrainingContext(recipes.postmill(30))
    fitted = ladder.fit("boosting", problem.part(few), context)
    assert [member["trees"] for member in fitted.details["members"]] == [0, 0, 0]
    predicted = ladder.apply(
        "boosting", fitted.weights, problem.modalities, problem.train, TrainingContext(recipes.postmill(30))
    )
    assert np.isfinite(predicted.predicted).all()


def test_what_modalities_add_is_the_prediction_but_for_a_constant_and_falls_to_what_bears_on_it() -> None:
    problem, _ = drawn(seed=4, content=0.8)
    context = TrainingContext(recipes.postmill(POSTS))
    weights = ladder.fit("boosting", problem, context).weights
    added = boosting.contributions(weights, problem.modalities, problem.train)
    assert set(added) == {boosting.START, *problem.modalities}
    predicted = boosting.apply(LADDER["boosting"], weights, problem.modalities, problem.train, context).predicted
    rest = predicted - sum(added.values())
    np.testing.assert_allclose(rest, rest.mean(), atol=1e-6)
    size = {name: np.abs(values).mean() for name, values in added.items()}
    assert size["text"] > 3 * max(size["image"], size["sentiment"], size["metadata"]) and size["start"] > size["text"]


def test_followers_count_for_more_the_less_the_history_says() -> None:
    problem, _ = drawn()
    _, (_, _, reliance) = past._shown(problem.modalities)
    has, known = problem.modalities["history"].present, problem.modalities["history"].take(problem.train)
    followers = problem.modalities["metadata"].take(problem.train)[:, 0]
    said = known[:, history.RELIABILITY]
    np.testing.assert_allclose(reliance.take(problem.train)[has, 0], ((1 - said) * (followers - 10))[has], rtol=1e-5)
    np.testing.assert_array_equal(reliance.present, has)
