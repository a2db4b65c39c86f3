"""What a call of training was asked for: checked, and filled in where it was left to us."""

from __future__ import annotations

from collections.abc import Sequence

from shards.errors import UsageError
from train import features, ladder, recipes, splits
from train.dataset import Dataset

SMALL, LARGE = 20_000, 1_000_000
"""Below the first number of posts, five seeds are trained; below the second, three; above, one."""

MAX_SEEDS = 100


def unit_name(model: str, recipe: str, feature_set: str) -> str:
    """Return the name of the folder of ``model``: ``fusion``, ``fusion-with-comments``, ``paper-text-mlp``."""
    if recipe == recipes.PAPER:
        return f"paper-{model}"
    return f"{model}-with-comments" if feature_set == features.PAPER else model


def chosen(names: Sequence[str] | None, recipe: str, feature_set: str) -> tuple[str, ...]:
    """Return the models to train, from the lowest rung to the highest.

    Raises:
        UsageError: A model, the recipe or the set of features does not exist.
    """
    for value, allowed, option in (
        (recipe, recipes.RECIPES, "--recipe"),
        (feature_set, features.FEATURE_SETS, "--features"),
    ):
        if value not in allowed:
            raise UsageError(f"{value!r} is none of {', '.join(allowed)}", place=option, hint="choose one of them")
    rungs = ladder.PAPER_MODELS if recipe == recipes.PAPER else tuple(ladder.LADDER)
    for name in names or ():
        if name not in rungs:
            raise UsageError(
                f"{name!r} is none of {', '.join(rungs)}"
                + (", the models the paper trained" if recipe == recipes.PAPER else ""),
                place="--model",
                hint="choose among them, or leave the option out for all",
            )
    if names is None:
        return tuple(name for name in rungs if name not in ladder.COSTLY)
    return tuple(name for name in rungs if name in names)


def check(split_names: Sequence[str], seeds: int | None) -> None:
    """Check the splits and the number of seeds.

    Raises:
        UsageError: A split does not exist, or the number is out of range.
    """
    for split in split_names:
        if split not in splits.SPLITS:
            raise UsageError(
                f"{split!r} is none of {', '.join(splits.SPLITS)}", place="--split", hint="choose among them"
            )
    if not split_names:
        raise UsageError("no split was named", place="--split", hint=f"choose among {', '.join(splits.SPLITS)}")
    if seeds is not None and not 1 <= seeds <= MAX_SEEDS:
        raise UsageError(f"{seeds} is not from 1 to {MAX_SEEDS}", place="--seeds", hint="5 do for small data")


def usable_splits(data: Dataset, names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the splits that can be made, headline first, and why the others cannot.

    Raises:
        UsageError: None of them can.
    """
    reasons = {name: splits.impossible(data.split_by, name) for name in names}
    left_out = {name: why for name, why in reasons.items() if why}
    usable = tuple(name for name in splits.SPLITS if name in names and name not in left_out)
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

    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"{device!r} is none of auto, cpu, cuda", place="--device", hint="choose one of them")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("CUDA was not found", place="--device", hint="train on the CPU: --device cpu")
    return "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"


def seeds_for(posts_with_target: int) -> int:
    """Return how many seeds to train where the user does not say: more where posts are few."""
    if posts_with_target < SMALL:
        return 5
    return 3 if posts_with_target < LARGE else 1
