"""Gradient boosting on metadata, history, sentiment and the principal components of embeddings, by LightGBM.

Trees learn what the past (:mod:`.past`) leaves of the target, as the networks do, in a bag of as many members, with
random intercepts of groups beside them: each round, the level of every training group is what a linear mixed model
would give it, and trees are fitted to what is left (Sigrist, Gaussian process boosting, 2022, for levels of one
variance). A member's trees are judged on the groups it sets aside, which decide how many trees there are, and the first
member's also how they are grown (:data:`TRIALS`). Some posts are shown a second time as if they were their account's
first, so that trees know what is left then.

What the trees are shown is a table in memory: :data:`.components.COMPONENTS` numbers of each embedding, not the
embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Arrays, Floats, Mask, Matrix, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import components, conformal, past, ridge
from postmill.train.models.conformal import Outside
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Fit, Problem, Scores, set_aside, under
from postmill.train.models.registry import Rung
from postmill.train.options import ModalityName

ROUNDS, PATIENCE = 2_000, 30
PARAMETERS: Mapping[str, Any] = {
    "learning_rate": 0.06,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_pre_filter": False,
    "metric": "l2",
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
TRIALS: tuple[Mapping[str, Any], ...] = (
    {"num_leaves": 15, "min_data_in_leaf": 20, "feature_fraction": 0.5, "lambda_l2": 5.0},
    {"num_leaves": 4, "min_data_in_leaf": 20, "feature_fraction": 0.3, "lambda_l2": 20.0},
    {"num_leaves": 31, "min_data_in_leaf": 50, "feature_fraction": 0.3, "lambda_l2": 1.0},
)
"""Ways to grow trees, of which each training takes the one that does best on groups of its own training part."""

AS_FIRST = 0.15
"""Share of the posts with a history that trees are also shown without it."""

_MANY = 20_000
_START, _TREES = "start.", "trees"


def library() -> Any:
    """Return the LightGBM module.

    Raises:
        UsageError: It is not installed, or the system lacks what it needs.
    """
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        raise UsageError(
            f"LightGBM cannot be loaded ({error})",
            place="--model boosting",
            hint="pip install 'postmill[boosting]'; if libgomp is missing, apt-get install libgomp1",
        ) from error
    return lightgbm


def check(rung: Rung) -> None:
    """Check that LightGBM can be loaded.

    Raises:
        UsageError: It cannot.
    """
    library()


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Return how trees are grown, as JSON has it."""
    return {
        **PARAMETERS,
        "trials": [dict(trial) for trial in TRIALS],
        "components": components.COMPONENTS,
        "rounds": ROUNDS,
        "patience": PATIENCE,
        "as_first": AS_FIRST,
        "members": context.recipe.members,
        "intercepts": context.recipe.intercepts,
    }


@dataclass(frozen=True)
class _Grown:
    """Trees as LightGBM writes them, how many, and their mean squared error on what was set aside, if anything was."""

    text: str
    trees: int
    loss: float


@dataclass(frozen=True)
class _Examples:
    """What trees learn from, and what they are judged on.

    Attributes:
        columns: Shape (N, C).
        residual: Shape (N,), what is left of the target.
        groups: Shape (N,), number of each post's group for its intercept; None for no intercepts.
        judged: Columns and residual of the posts set aside; None where there are none.
    """

    columns: Matrix
    residual: Floats
    groups: Rows | None
    judged: tuple[Matrix, Floats] | None


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Grow trees for the standardised target, shape (N,)."""
    axes = components.fitted(problem.modalities, problem.train)
    columns = components.table(axes, problem.modalities, problem.train)
    weights: dict[str, npt.NDArray[Any]] = {**axes}
    details: list[Mapping[str, Any]] = []
    outside: list[Outside] = []
    trial: int | None = None
    for member, aside in enumerate(set_aside(problem, context.recipe.members)):
        own = context.part(str(member))
        fitted = own.finished(partial(_member, problem, target, axes, columns, aside, trial, own, member))
        trial = int(fitted.details["trial"])
        weights.update((f"{member}.{name}", value) for name, value in fitted.weights.items())
        details.append(fitted.details)
        if aside is not None:
            part, rows = problem.part(aside), problem.train[aside]
            of_both = [
                target[aside] - _member_scores(under(weights, f"{member}."), axes, shown, rows)
                for shown in (problem.modalities, conformal.as_first(problem.modalities))
            ]
            known, first = (np.abs(error) for error in of_both)
            outside.append(Outside(known, first, conformal.kinds(problem.modalities, rows), part.groups))
    widths = conformal.widths(conformal.joined(outside))
    return Fit({**weights, **conformal.entry(widths)}, {"members": details, **conformal.details(widths)})


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return what the members say of ``rows`` on average, standardised, and an interval where it was calibrated."""
    members = _members(weights)
    total = sum((_member_scores(member, weights, modalities, rows) for member in members), np.zeros(len(rows)))
    predicted = total / len(members)
    scores = Scores(predicted, predicted, predicted)
    return conformal.widened(scores, conformal.restored(weights), conformal.kinds(modalities, rows))


def _members(weights: Arrays) -> list[Arrays]:
    numbers = {int(name.split(".")[0]) for name in weights if name[0].isdigit()}
    return [under(weights, f"{number}.") for number in sorted(numbers)]


def _member_scores(member: Arrays, axes: Arrays, modalities: Mapping[str, Modality], rows: Rows) -> Floats:
    """Return what one member says of ``rows``, standardised, shape (M,)."""
    with deterministic(0, threads=1):
        predicted = past.predict(past.restored(under(member, _START)), modalities, rows)
    if _TREES in member:
        trees = library().Booster(model_str=member[_TREES].tobytes().decode())
        for start in range(0, len(rows), components.CHUNK):
            chunk = slice(start, start + components.CHUNK)
            predicted[chunk] += _raw(trees, components.table(axes, modalities, rows[chunk]))
    return predicted


def _member(
    problem: Problem,
    target: Floats,
    axes: Arrays,
    columns: Matrix,
    aside: Mask | None,
    trial: int | None,
    context: TrainingContext,
    member: int,
) -> Fit:
    """Return the start and the trees of one member, grown by one of :data:`TRIALS`, or by the best of all for None."""
    learn = np.ones(len(target), dtype=bool) if aside is None else ~aside
    first = conformal.as_first(problem.modalities)
    with deterministic(problem.seed, threads=1):
        learnt = problem.train[learn]
        start = past.solve(problem.modalities, learnt, target[learn], problem.groups[learn], problem.seed)
        residual, residual_first = (
            target - past.predict(start, shown, problem.train) for shown in (problem.modalities, first)
        )
    random = np.random.default_rng((problem.seed, member))
    as_first = learn & problem.modalities[ModalityName.HISTORY].present[problem.train]
    as_first &= random.random(len(target)) < AS_FIRST
    examples = _Examples(
        columns=np.concatenate([columns[learn], components.table(axes, first, problem.train[as_first])]),
        residual=np.concatenate([residual[learn], residual_first[as_first]]),
        groups=_intercepts(problem, context, learn, as_first),
        judged=None if aside is None else (columns[aside], residual[aside]),
    )
    parameters = {
        **PARAMETERS,
        "seed": problem.seed * 1_000 + member,
        # A fixed number: the order in which threads add up shows in the last bits. Few posts are faster on one.
        "num_threads": 2 if len(target) >= _MANY else 1,
    }
    tried = range(len(TRIALS)) if trial is None else (trial,)
    grown = {number: _grow(examples, {**parameters, **TRIALS[number]}, context.recipe.intercepts) for number in tried}
    best = min(grown, key=lambda number: grown[number].loss)
    weights = {f"{_START}{name}": value for name, value in start.weights().items()}
    if grown[best].trees:
        weights[_TREES] = np.frombuffer(grown[best].text.encode(), dtype=np.uint8)
    details: dict[str, float] = {"trial": best, "trees": grown[best].trees}
    if aside is not None:
        details["validation_loss"] = grown[best].loss
    return Fit(weights, details)


def _intercepts(problem: Problem, context: TrainingContext, learn: Mask, as_first: Mask) -> Rows | None:
    """Return the number of each example's group: what the past leaves of posts shown as first ones is another level."""
    if context.recipe.intercepts is None or not ridge.has_intercepts(problem.groups):
        return None
    group = np.unique(problem.groups, return_inverse=True)[1]
    return np.concatenate([group[learn], group[as_first] + group.max() + 1])


def _grow(examples: _Examples, parameters: Mapping[str, Any], variance_ratio: float | None) -> _Grown:
    without = 0.0 if examples.judged is None else float(np.mean(examples.judged[1] ** 2))
    if not _can_split(examples.columns, parameters["min_data_in_leaf"]):
        return _Grown("", 0, without)
    lightgbm = library()
    objective = _objective(examples.residual, examples.groups, variance_ratio)
    asked = {**parameters, "objective": objective}
    data = lightgbm.Dataset(examples.columns, examples.residual, params=parameters, free_raw_data=False)
    if examples.judged is None:
        trees = lightgbm.train(asked, data, num_boost_round=PATIENCE)
        return _Grown(trees.model_to_string(), PATIENCE, 0.0)
    columns, residual = examples.judged
    judge = lightgbm.Dataset(columns, residual, reference=data, params=parameters)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    trees = lightgbm.train(asked, data, num_boost_round=ROUNDS, valid_sets=[judge], callbacks=[stop])
    loss = float(trees.best_score["valid_0"]["l2"])
    if loss >= without:
        return _Grown("", 0, without)
    return _Grown(trees.model_to_string(num_iteration=trees.best_iteration), trees.best_iteration, loss)


def _can_split(columns: Matrix, leaf: int) -> bool:
    """Say whether posts can be told apart into two leaves of so many; where they cannot, LightGBM fails."""
    lowest, highest = (np.where(np.isnan(columns), end, columns) for end in (np.inf, -np.inf))
    return len(columns) >= 2 * leaf and bool((lowest.min(axis=0) < highest.max(axis=0)).any())


def _objective(
    residual: Floats, groups: Rows | None, variance_ratio: float | None
) -> Callable[[Floats, Any], tuple[Floats, Floats]]:
    """Return gradient and curvature of the squared error beside the best level of each group."""
    curvature = np.ones(len(residual))
    if groups is None or variance_ratio is None:
        return lambda predicted, data: (predicted - residual, curvature)
    shrink = variance_ratio / (1 + variance_ratio * np.bincount(groups))

    def slope(predicted: Floats, data: Any) -> tuple[Floats, Floats]:
        left = residual - predicted
        level = np.bincount(groups, left) * shrink
        return level[groups] - left, curvature

    return slope


def _raw(trees: Any, columns: Matrix) -> Floats:
    predicted: Floats = np.asarray(trees.predict(columns, num_threads=1), dtype=np.float64)
    return predicted
