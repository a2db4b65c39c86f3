"""The networks of the ladder: what they start from, several of them on folds of the training part, their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from train import conformal, features, loop, networks, ridge, splits
from train.checkpoint import Checkpoints
from train.determinism import deterministic
from train.features import HISTORY, METADATA, Modality, Rows
from train.networks import Fusion, Spec, TwoLayer
from train.problem import FOLLOWERS, Fit, Floats, Problem, Scores
from train.recipes import Recipe
from train.ridge import Ridge

VALIDATION_FOLDS = 5
"""One fold of the training part in so many decides when training stops, and calibrates intervals."""

Arrays = Mapping[str, npt.NDArray[Any]]
_STARTS = ("followers", "history", "metadata", "metadata-history")


@dataclass(frozen=True)
class Place:
    """Where a training runs, and where its checkpoints go."""

    device: str = "cpu"
    checkpoints: Checkpoints | None = None
    key: str = ""


def fit(problem: Problem, target: Floats, recipe: Recipe, kind: str | None, place: Place) -> Fit:
    """Train the members of one model.

    Args:
        problem: Who is learnt from. A two-layer network takes the one modality there is.
        target: Shape (N,), standardised, of the training part.
        recipe: Settings.
        kind: One of :data:`train.networks.KINDS` for fusion, None for the two-layer network.
        place: Device and checkpoints.
    """
    folds = min(VALIDATION_FOLDS, len(np.unique(problem.units)))
    fold = splits.folds(problem.units, problem.seed, "validation", folds)
    weights: dict[str, npt.NDArray[Any]] = {}
    members, outside = [], []
    for member in range(min(recipe.members, folds)):
        validation = fold == member if recipe.patience is not None and folds > 1 else None
        key = f"{place.key}.{member}"

        own = Place(place.device, place.checkpoints, key)
        make = partial(_member, problem, target, validation, recipe, member, kind, own)
        fitted = place.checkpoints.finished(key, make) if place.checkpoints is not None else make()
        weights.update((f"{member}.{name}", value) for name, value in fitted.weights.items())
        members.append(fitted.details)
        if kind is not None and validation is not None:
            held = _scores(fitted.weights, recipe, kind, problem.modalities, problem.train[validation], place.device)
            outside.append(conformal.distances(target[validation], held[:, 1], held[:, 2]))
    wider = conformal.correction(np.concatenate(outside)) if outside else None
    if wider is not None:
        weights["wider"] = np.array([wider])
    return Fit(weights, {"members": members, "interval_widened_by": wider})


def apply(
    weights: Arrays, recipe: Recipe, kind: str | None, modalities: Mapping[str, Modality], rows: Rows, device: str
) -> Scores:
    """Return the mean of what the members say of ``rows``, standardised, and its interval where it was calibrated."""
    members = len({name.split(".")[0] for name in weights if "." in name})
    total = np.zeros((len(rows), 1 if kind is None else 3))
    for member in range(members):
        total += _scores(_under(weights, f"{member}."), recipe, kind, modalities, rows, device)
    total /= members
    if "wider" not in weights:
        return Scores(total[:, 0])
    wider = float(weights["wider"][0])
    # Ends that would have crossed meet in the middle; the prediction is never outside.
    low, high = total[:, 1] - wider, total[:, 2] + wider
    return Scores(total[:, 0], np.minimum(low, total[:, 0]), np.maximum(high, total[:, 0]))


def _scores(
    weights: Arrays, recipe: Recipe, kind: str | None, modalities: Mapping[str, Modality], rows: Rows, device: str
) -> Floats:
    """Return what one member says of ``rows``, shape (N, 1 or 3)."""
    start = np.zeros(len(rows))
    with deterministic(0, recipe.threads):
        state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items() if "start." not in name}
        if kind is not None:
            shown = _starts(modalities)[_STARTS[int(weights["start.kind"][0])]]
            start = ridge.predict(ridge.restored(_under(weights, "start.")), shown, rows)
        blank = {m.name: (np.zeros(m.width), np.ones(m.width)) for m in modalities.values()}
        network = _network(modalities, blank, recipe, kind)
        network.load_state_dict(state)
        return start[:, None] + loop.predict(network.to(device), modalities, rows, device)


def _under(weights: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def _member(
    problem: Problem,
    target: Floats,
    validation: npt.NDArray[np.bool_] | None,
    recipe: Recipe,
    member: int,
    kind: str | None,
    place: Place,
) -> Fit:
    """Return the weights and the details of one network."""
    learn = np.ones(len(target), dtype=bool) if validation is None else ~validation
    seed = problem.seed * 1_000 + member
    weights: dict[str, npt.NDArray[Any]] = {}
    residual, details = target, {}
    units = None
    if recipe.intercepts is not None and ridge.several_a_unit(problem.units):
        units = np.unique(problem.units, return_inverse=True)[1]
    with deterministic(seed, recipe.threads):
        if kind is not None:
            name, found = _start(problem, target, learn)
            residual = target - ridge.predict(found, _starts(problem.modalities)[name], problem.train)
            weights = {f"start.{key}": value for key, value in found.weights().items()}
            weights["start.kind"] = np.array([_STARTS.index(name)])
            details = {"start": name}
        moments = {m.name: _moments(m, problem.train[learn], recipe) for m in problem.modalities.values()}
        network = _network(problem.modalities, moments, recipe, kind)
        if validation is not None:
            networks.start_at_zero(network)
        history = loop.fit(
            network,
            problem.modalities,
            problem.train,
            residual,
            units,
            validation,
            recipe,
            seed,
            place.device,
            place.checkpoints,
            place.key,
        )
    weights.update((key, tensor.cpu().numpy()) for key, tensor in network.state_dict().items())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Fit(weights, {**details, **asdict(history), "parameters": parameters})


def _network(
    modalities: Mapping[str, Modality], moments: Mapping[str, tuple[Floats, Floats]], recipe: Recipe, kind: str | None
) -> Fusion | TwoLayer:
    specs = tuple(
        Spec(m.name, m.width, m.is_embedding, *(torch.from_numpy(n.astype(np.float32)) for n in moments[m.name]))
        for m in modalities.values()
    )
    if kind is None:
        return TwoLayer(specs[0], recipe.hidden, recipe.dropout)
    return Fusion(specs, kind, recipe.token, recipe.hidden, recipe.dropout, recipe.modality_dropout)


def _moments(modality: Modality, rows: Rows, recipe: Recipe) -> tuple[Floats, Floats]:
    if not recipe.standardise:
        return np.zeros(modality.width), np.ones(modality.width)
    mean, deviation = (numbers[: modality.width] for numbers in ridge.moments(modality, rows))
    return mean, deviation


def _starts(modalities: Mapping[str, Modality]) -> dict[str, list[Modality]]:
    """Return the sets of modalities that the ridge before fusion may be shown."""
    metadata = modalities[METADATA]
    past = [modalities[HISTORY]] if HISTORY in modalities else []
    found = {"metadata": [metadata]}
    if past:
        found["metadata-history"] = [metadata, *past]
    if any(column.startswith(FOLLOWERS) for column in metadata.columns):
        followers = features.select(metadata, FOLLOWERS)
        found["followers"] = [followers]
        if past:
            found["history"] = [followers, *past]
    return found


def _start(problem: Problem, target: Floats, learn: npt.NDArray[np.bool_]) -> tuple[str, Ridge]:
    """Return the ridge whose errors fusion learns: on few numbers of the account or on many, whichever folds prefer.

    Few accounts cannot tell forty numbers of the account apart, and then followers alone predict new ones better.
    """
    candidates = _starts(problem.modalities)
    found = {
        name: ridge.fit(shown, problem.train[learn], target[learn], problem.units[learn], problem.seed)
        for name, shown in candidates.items()
    }
    best = min(found, key=lambda name: found[name].validation_loss)
    return best, found[best]
