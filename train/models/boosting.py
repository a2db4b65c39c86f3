"""Gradient boosting on metadata, history, sentiment and the principal components of embeddings, by LightGBM.

Trees (:mod:`.trees`) learn what the past (:mod:`.past`) leaves of the target, as the networks do, in a bag of as many
members, with random intercepts of groups. A member's trees are judged on the groups it sets aside, which decide how
many trees there are, and the first member's also how they are grown (:data:`.trees.TRIALS`). Some posts are shown a
second time as if they were their account's first, so that trees know what is left then.

What the trees are shown is a table in memory: :data:`.components.COMPONENTS` numbers of each embedding, not the
embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.train.data import components
from postmill.train.data.arrays import Arrays, Floats, Mask, Matrix, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import conformal, past, ridge, trees
from postmill.train.models.conformal import Outside
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Fit, Problem, Scores, set_aside, under
from postmill.train.models.registry import Rung
from postmill.train.models.trees import Examples
from postmill.train.options import ModalityName

AS_FIRST = 0.15
"""Share of the posts with a history that trees are also shown without it."""

_MANY = 20_000
START = "start"
"""What :func:`contributions` calls the past that trees start from."""

_START, _TREES = f"{START}.", "trees"


def check(rung: Rung) -> None:
    """Check that LightGBM can be loaded.

    Raises:
        UsageError: It cannot.
    """
    trees.library()


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Return how trees are grown, as JSON has it."""
    return {
        **trees.PARAMETERS,
        "trials": [dict(trial) for trial in trees.TRIALS],
        "components": components.COMPONENTS,
        "rounds": trees.ROUNDS,
        "patience": trees.PATIENCE,
        "as_first": AS_FIRST,
        "members": context.recipe.members,
        "intercepts": context.recipe.intercepts,
    }


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


def contributions(weights: Arrays, modalities: Mapping[str, Modality], rows: Rows) -> dict[str, Floats]:
    """Return what each modality adds to the predictions for M posts, standardised, shape (M,) each.

    The past that trees start from is :data:`START`, the trees' own part is by modality; they add up to the prediction
    but for a constant.
    """
    members = _members(weights)
    added = {START: np.zeros(len(rows)), **{name: np.zeros(len(rows)) for name in modalities}}
    edges = np.cumsum(list(components.widths(weights, modalities).values()))
    for member in members:
        with deterministic(0, threads=1):
            added[START] += past.predict(past.restored(under(member, _START)), modalities, rows) / len(members)
        if _TREES not in member:
            continue
        for start in range(0, len(rows), components.CHUNK):
            chunk = slice(start, start + components.CHUNK)
            columns = trees.contributions(member[_TREES].tobytes(), components.table(weights, modalities, rows[chunk]))
            for name, part in zip(modalities, np.split(columns, edges[:-1], axis=1), strict=True):
                added[name][chunk] += part.sum(axis=1) / len(members)
    return added


def _members(weights: Arrays) -> list[Arrays]:
    numbers = {int(name.split(".")[0]) for name in weights if name[0].isdigit()}
    return [under(weights, f"{number}.") for number in sorted(numbers)]


def _member_scores(member: Arrays, axes: Arrays, modalities: Mapping[str, Modality], rows: Rows) -> Floats:
    """Return what one member says of ``rows``, standardised, shape (M,)."""
    with deterministic(0, threads=1):
        predicted = past.predict(past.restored(under(member, _START)), modalities, rows)
    if _TREES in member:
        text = member[_TREES].tobytes()
        for start in range(0, len(rows), components.CHUNK):
            chunk = slice(start, start + components.CHUNK)
            predicted[chunk] += trees.predict(text, components.table(axes, modalities, rows[chunk]))
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
    """Return the start and the trees of one member, grown by one of the trials, or by the best of them for None."""
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
    examples = Examples(
        columns=np.concatenate([columns[learn], components.table(axes, first, problem.train[as_first])]),
        residual=np.concatenate([residual[learn], residual_first[as_first]]),
        groups=_intercepts(problem, context, learn, as_first),
        judged=None if aside is None else (columns[aside], residual[aside]),
    )
    parameters = {
        **trees.PARAMETERS,
        "seed": problem.seed * 1_000 + member,
        # A fixed number: the order in which threads add up shows in the last bits. Few posts are faster on one.
        "num_threads": 2 if len(target) >= _MANY else 1,
    }
    tried = range(len(trees.TRIALS)) if trial is None else (trial,)
    grown = {
        number: trees.grow(examples, {**parameters, **trees.TRIALS[number]}, context.recipe.intercepts)
        for number in tried
    }
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
