"""What a call of training was asked for: checked before anything is read, and filled in where it was left to us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from postmill.shards.formats.encoders import SETS
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import UsageError, unknown
from postmill.train.data import splits, target
from postmill.train.data.dataset import Dataset
from postmill.train.data.target import Definition
from postmill.train.models import registry
from postmill.train.models.registry import Rung
from postmill.train.options import FeatureSet, RecipeName, Split, TargetName, splits_of

FIVE_SEEDS_BELOW, THREE_SEEDS_BELOW = 20_000, 1_000_000
"""Below the first number of posts, five seeds are trained; below the second, three; above, one."""

MAX_SEEDS = 100

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True)
class Request:
    """What is to be trained, and how.

    Attributes:
        models: Names of models, from the lowest rung to the highest.
        named: Whether they were named: else those whose library is missing are left out.
        recipe: How networks are trained.
        features: What models are shown.
        splits: The splits to judge on, in the order of the recipe.
        definition: What is predicted.
        seeds: Trainings of each model on each split; None chooses by the number of posts.
        encoder_models: ``light`` or ``paper``, where the run has embeddings of both.
        device: ``cpu`` or ``cuda``.
    """

    models: tuple[str, ...]
    named: bool
    recipe: RecipeName
    features: FeatureSet
    splits: tuple[Split, ...]
    definition: Definition
    seeds: int | None
    encoder_models: str | None
    device: str

    def unit_name(self, model: str) -> str:
        """Return the name of the folder of ``model``: ``fusion``, ``fusion-with-comments-rate``, ``paper-text-mlp``."""
        name = f"{model}-with-comments" if self.features == FeatureSet.PAPER else model
        if self.recipe == RecipeName.PAPER:
            name = f"paper-{model}"
        of = self.definition.name
        return name if of == TargetName.LIKES_AND_COMMENTS else f"{name}-{of}"

    def rung(self, model: str) -> Rung:
        """Return the model ``model`` of this recipe."""
        return registry.rung(model, self.recipe)

    def options(self, model: str) -> list[str]:
        """Return the options of the command that asks for ``model`` alone and for all else alike."""
        words = ["--model", model]
        if self.recipe != RecipeName.POSTMILL:
            words += ["--recipe", str(self.recipe)]
        elif self.features != FeatureSet.DEFAULT:  # which a recipe decides itself
            words += ["--features", str(self.features)]
        if self.encoder_models is not None:
            words += ["--models", str(self.encoder_models)]
        if self.splits != splits_of(self.recipe):
            words += [word for split in self.splits for word in ("--split", str(split))]
        if self.definition.name != TargetName.LIKES_AND_COMMENTS:
            words += ["--target", str(self.definition.name)]
        if self.definition.comment_weight != 1:
            words += ["--comment-weight", repr(self.definition.comment_weight)]
        if self.seeds is not None:
            words += ["--seeds", str(self.seeds)]
        return words if self.device == Device.CPU else [*words, "--device", self.device]


def resolve(
    names: Sequence[str] | None,
    *,
    recipe: str,
    feature_set: str,
    split_names: Sequence[str],
    target_name: str,
    comment_weight: float,
    seeds: int | None,
    encoder_models: str | None,
    device: str,
) -> Request:
    """Return what the arguments of :func:`.stage.train_run` ask for.

    Raises:
        UsageError: Something is asked for that there is not, or a number is out of range.
    """
    by_recipe = _one_of(RecipeName, recipe, "--recipe")
    chosen = registry.default_names(by_recipe) if names is None else [registry.rung(n, by_recipe).name for n in names]
    chosen_splits = [_one_of(Split, name, "--split") for name in split_names]
    if not chosen_splits:
        raise UsageError("no split was named", place="--split", hint=f"choose among {', '.join(Split)}")
    if seeds is not None and not 1 <= seeds <= MAX_SEEDS:
        raise UsageError(f"{seeds} is not from 1 to {MAX_SEEDS}", place="--seeds", hint="5 do for small data")
    if encoder_models is not None and encoder_models not in SETS:
        raise unknown(encoder_models, SETS, place="--models")
    definition = Definition(_one_of(TargetName, target_name, "--target"), float(comment_weight))
    target.check(definition)
    return Request(
        models=tuple(name for name in registry.names(by_recipe) if name in chosen),
        named=names is not None,
        recipe=by_recipe,
        features=_one_of(FeatureSet, feature_set, "--features"),
        splits=tuple(split for split in splits_of(by_recipe) if split in chosen_splits),
        definition=definition,
        seeds=seeds,
        encoder_models=encoder_models,
        device=device_for(device),
    )


def usable_splits(data: Dataset, names: Sequence[Split]) -> tuple[tuple[Split, ...], dict[str, str]]:
    """Return the splits that can be made, in their order, and why the others cannot.

    Raises:
        UsageError: None of them can.
    """
    reasons = {name: splits.impossible(data.split_by, name) for name in names}
    left_out = {name.value: why for name, why in reasons.items() if why}
    usable = tuple(name for name in names if name not in left_out)
    if not usable:
        raise UsageError(
            "; ".join(f"split {name}: {why}" for name, why in left_out.items()),
            place="--split",
            hint="ingest more accounts, or take the other splits as well",
        )
    return usable, left_out


def device_for(device: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: It is none of these, or there is no CUDA device.
    """
    import torch

    asked = _one_of(Device, device, "--device")
    if asked == Device.CUDA and not torch.cuda.is_available():
        raise UsageError("CUDA was not found", place="--device", hint="train on the CPU: --device cpu")
    return "cuda" if asked != Device.CPU and torch.cuda.is_available() else "cpu"


def seeds_for(posts_with_target: int) -> int:
    """Return how many seeds to train where the user does not say: more where posts are few."""
    if posts_with_target < FIVE_SEEDS_BELOW:
        return 5
    return 3 if posts_with_target < THREE_SEEDS_BELOW else 1


def _one_of(choices: type[_Choice], value: str, option: str) -> _Choice:
    if value not in list(choices):
        raise unknown(value, choices, place=option)
    return choices(value)
