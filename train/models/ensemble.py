"""The networks of the ladder: what they start from, several of them on folds of the training part, their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from postmill.train.data import splits
from postmill.train.data.arrays import Arrays, Floats, Mask, Rows
from postmill.train.data.modality import Modality, select
from postmill.train.models import conformal, loop, networks, ridge
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.loop import Examples
from postmill.train.models.networks import Fusion, Spec, TwoLayer
from postmill.train.models.problem import Fit, Problem, Scores, half_width, half_width_entry, under
from postmill.train.models.recipes import Recipe
from postmill.train.models.registry import FOLLOWERS, Rung
from postmill.train.models.ridge import Ridge
from postmill.train.options import ModalityName

VALIDATION_FOLDS = 5
"""One fold of this many decides when training stops, and calibrates intervals."""

_START = "start."  # with this begin the names of the weights of the ridge whose errors a fusion learns
_START_KIND = f"{_START}kind"
_START_KINDS = ("followers", "history", "metadata", "metadata-history")


def check(rung: Rung) -> None:
    """Nothing is needed that training does not need anyway."""


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Return the recipe and the device, as JSON has them."""
    return {"device": context.device, **asdict(context.recipe)}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Train the members of one model; a two-layer network takes the one modality there is."""
    recipe = context.recipe
    folds = min(VALIDATION_FOLDS, len(np.unique(problem.groups)))
    fold = splits.folds(problem.groups, problem.seed, "validation", folds)
    weights: dict[str, npt.NDArray[Any]] = {}
    members, outside = [], []
    for member in range(min(recipe.members, folds)):
        validation = fold == member if recipe.patience is not None and folds > 1 else None
        own_context = context.part(str(member))
        fitted = own_context.finished(partial(_member, rung, problem, target, validation, member, own_context))
        weights.update((f"{member}.{name}", value) for name, value in fitted.weights.items())
        members.append(fitted.details)
        if rung.fusion and validation is not None:
            scores = _scores(rung, fitted.weights, problem.modalities, problem.train[validation], context)
            outside.append(conformal.distances(target[validation], scores[:, 1], scores[:, 2]))
    width = conformal.correction(np.concatenate(outside)) if outside else None
    return Fit({**weights, **half_width_entry(width)}, {"members": members, "interval_widened_by": width})


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return the mean of what the members say of ``rows``, standardised, and its interval where it was calibrated."""
    members = len({name.split(".")[0] for name in weights if "." in name})
    total = np.zeros((len(rows), 3 if rung.fusion else 1))
    for member in range(members):
        total += _scores(rung, under(weights, f"{member}."), modalities, rows, context)
    total /= members
    width = half_width(weights)
    if width is None:
        return Scores(total[:, 0])
    # Ends that would have crossed meet in the middle; the prediction is never outside.
    low, high = total[:, 1] - width, total[:, 2] + width
    return Scores(total[:, 0], np.minimum(low, total[:, 0]), np.maximum(high, total[:, 0]))


def _scores(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Floats:
    """Return what one member says of ``rows``, shape (M, 1 or 3)."""
    recipe, device = context.recipe, context.device
    start = np.zeros(len(rows))
    with deterministic(0, recipe.threads):
        if rung.fusion:
            kind = _START_KINDS[int(weights[_START_KIND][0])]
            start = ridge.predict(ridge.restored(under(weights, _START)), _starts(modalities)[kind], rows)
        blank = {m.name: (np.zeros(m.width), np.ones(m.width)) for m in modalities.values()}
        network = _network(rung, modalities, blank, recipe)
        learnt = {name: value for name, value in weights.items() if not name.startswith(_START)}
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in learnt.items()})
        return start[:, None] + loop.predict(network.to(device), modalities, rows, device)


def _member(
    rung: Rung, problem: Problem, target: Floats, validation: Mask | None, member: int, context: TrainingContext
) -> Fit:
    """Return the weights and the details of one network."""
    recipe, modalities = context.recipe, problem.modalities
    learn = np.ones(len(target), dtype=bool) if validation is None else ~validation
    seed = problem.seed * 1_000 + member
    weights: dict[str, npt.NDArray[Any]] = {}
    residual, details = target, {}
    groups = None
    if recipe.intercepts is not None and ridge.has_intercepts(problem.groups):
        groups = np.unique(problem.groups, return_inverse=True)[1]
    with deterministic(seed, recipe.threads):
        if rung.fusion:
            kind, start = _start(problem, target, learn)
            residual = target - ridge.predict(start, _starts(modalities)[kind], problem.train)
            weights = {f"{_START}{name}": value for name, value in start.weights().items()}
            weights[_START_KIND] = np.array([_START_KINDS.index(kind)])
            details = {"start": kind}
        moments = {m.name: _moments(m, problem.train[learn], recipe) for m in modalities.values()}
        network = _network(rung, modalities, moments, recipe)
        if validation is not None:
            networks.start_at_zero(network)
        examples = Examples(modalities, problem.train, residual, groups, validation)
        log = loop.train(network, examples, context, seed)
    weights.update((name, tensor.cpu().numpy()) for name, tensor in network.state_dict().items())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Fit(weights, {**details, **asdict(log), "parameters": parameters})


def _network(
    rung: Rung, modalities: Mapping[str, Modality], moments: Mapping[str, tuple[Floats, Floats]], recipe: Recipe
) -> Fusion | TwoLayer:
    specs = tuple(
        Spec(m.name, m.width, m.is_embedding, *(torch.from_numpy(n.astype(np.float32)) for n in moments[m.name]))
        for m in modalities.values()
    )
    if not rung.fusion:
        return TwoLayer(specs[0], recipe.hidden, recipe.dropout)
    return Fusion(specs, rung.fusion, recipe.token, recipe.hidden, recipe.dropout, recipe.modality_dropout)


def _moments(modality: Modality, rows: Rows, recipe: Recipe) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the components, shape (D,) each; 0 and 1 where they stay as they are."""
    if not recipe.standardise:
        return np.zeros(modality.width), np.ones(modality.width)
    mean, std = (numbers[: modality.width] for numbers in ridge.moments(modality, rows))
    return mean, std


def _starts(modalities: Mapping[str, Modality]) -> dict[str, list[Modality]]:
    """Return the sets of modalities that the ridge before fusion may be shown, by the names of :data:`_START_KINDS`."""
    metadata = modalities[ModalityName.METADATA]
    past = [modalities[ModalityName.HISTORY]] if ModalityName.HISTORY in modalities else []
    starts = {"metadata": [metadata]}
    if past:
        starts["metadata-history"] = [metadata, *past]
    if any(column.startswith(FOLLOWERS) for column in metadata.columns):
        followers = select(metadata, FOLLOWERS)
        starts["followers"] = [followers]
        if past:
            starts["history"] = [followers, *past]
    return starts


def _start(problem: Problem, target: Floats, learn: Mask) -> tuple[str, Ridge]:
    """Return the ridge whose errors fusion learns: on few numbers of the account or on many, whichever folds prefer.

    Few accounts cannot tell forty numbers of the account apart, and then followers alone predict new ones better.
    """
    candidates = {
        kind: ridge.solve(shown, problem.train[learn], target[learn], problem.groups[learn], problem.seed)
        for kind, shown in _starts(problem.modalities).items()
    }
    best = min(candidates, key=lambda kind: candidates[kind].validation_loss)
    return best, candidates[best]
