"""The training stage: each model is one unit of work, done once for one set of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from shards import embeddings, models, posts, publish, tasks
from shards.embeddings import Encoder
from shards.errors import UsageError
from shards.progress import Progress, Silent
from shards.run import Run, canonical_hash
from shards.tasks import WHOLE, Task
from train import dataset, evaluate, features, ladder, leaks, recipes, splits
from train.dataset import Dataset
from train.evaluate import Evaluation
from train.features import Modality
from train.splits import Units

SMALL, LARGE = 20_000, 1_000_000
"""Below the first number of posts, five seeds are trained; below the second, three; above, one."""

MAX_SEEDS = 100

LEAK = (
    "uses comments, which exist only after a post is published and grow with its engagement: an upper bound, not a"
    " forecast"
)


@dataclass(frozen=True)
class TrainSummary:
    """What one call did.

    Attributes:
        trained: Models trained now, by the names of their folders.
        kept: Models that were done before with the same settings.
        posts: Posts in the finished shards.
        targets: Those of them that have a target.
        left_out: Posts without a target, by reason.
        accounts: Number of accounts.
        splits: Splits that were evaluated.
        splits_left_out: Why a split asked for was not, by its name.
    """

    trained: tuple[str, ...]
    kept: tuple[str, ...]
    posts: int
    targets: int
    left_out: Mapping[str, int]
    accounts: int
    splits: tuple[str, ...]
    splits_left_out: Mapping[str, str]


def unit_name(model: str, recipe: str, feature_set: str) -> str:
    """Return the name of the folder of ``model``: ``fusion``, ``fusion-with-comments``, ``paper-text-mlp``."""
    if recipe == recipes.PAPER:
        return f"paper-{model}"
    return f"{model}-with-comments" if feature_set == features.PAPER else model


def train_run(
    run: Run,
    *,
    names: Sequence[str] | None = None,
    recipe: str = recipes.POSTMILL,
    feature_set: str = features.DEFAULT,
    split_names: Sequence[str] = splits.SPLITS,
    comment_weight: float = 1.0,
    seeds: int | None = None,
    encoder_models: str | None = None,
    task: Task = WHOLE,
    progress: Progress | None = None,
) -> TrainSummary:
    """Train and evaluate models on the run's embeddings; a model that was done with the same settings is kept.

    Args:
        run: The run.
        names: Models of :data:`train.ladder.LADDER`; None for all, or for the paper's two with its recipe.
        recipe: ``postmill``, or ``paper``: text-mlp and image-mlp with exactly the paper's settings, on the text with
            comments where the run has it.
        feature_set: ``default``, or ``paper``, which takes what exists only after publication.
        split_names: Some of :data:`train.splits.SPLITS`.
        comment_weight: How many likes a comment counts for in the target.
        seeds: Trainings of each model on each split, each with its own split and weights; None chooses by the number
            of posts.
        encoder_models: ``light`` or ``paper``, where the run has embeddings of both.
        task: The share of the models that this call trains.
        progress: Told of each training, of stand-ins, and of what is left out.

    Raises:
        UsageError: The options make no sense, embeddings are missing or leak the target, or the data cannot be
            trained on.
        PostmillError: A shard is missing or damaged, or the disk is full.
    """
    progress = progress or Silent()
    chosen = _chosen(names, recipe, feature_set)
    _check_options(split_names, seeds)
    if recipe == recipes.PAPER:
        feature_set = _paper_features(run, progress)
    data = dataset.load(run, comment_weight)
    usable, left_out = _usable_splits(data, split_names)
    for split, why in left_out.items():
        progress.note(f"split {split} left out: {why}")
    if len(data.shards) < data.planned_shards:
        progress.note(f"training on {len(data.shards)} of {data.planned_shards} post shards: the others are not done")
    seeds = seeds or _seeds_for(len(data.rows))
    opened: dict[str, Modality] = {}
    trained, kept = [], []
    for name in tasks.share(chosen, task):
        wanted = [modality for modality in ladder.LADDER[name] if modality not in opened]
        opened.update(_open(run, data, wanted, feature_set, encoder_models, progress))
        modalities = {modality: opened[modality] for modality in ladder.LADDER[name]}
        settings = {
            "model": name,
            "recipe": recipe,
            "features": feature_set,
            "splits": list(usable),
            "splits_left_out": left_out,
            "comment_weight": float(comment_weight),
            "seeds": seeds,
            "encoders": {key: _encoder_json(run, data, modality.encoder) for key, modality in modalities.items()},
            "posts": _hash_of(run.posts, data.shards, ".parquet"),
        }
        fingerprint = canonical_hash(settings)
        unit = unit_name(name, recipe, feature_set)
        if models.done(run, unit, fingerprint) is not None:
            kept.append(unit)
            continue
        with progress.track(f"train {unit}", len(usable) * seeds, "trainings") as advance:
            found = evaluate.evaluate(
                name, recipe, data, modalities, usable, seeds, lambda ids: _account_names(run, ids), advance
            )
        _publish(run, unit, fingerprint, settings, data, found)
        trained.append(unit)
    return TrainSummary(
        trained=tuple(trained),
        kept=tuple(kept),
        posts=data.posts,
        targets=len(data.rows),
        left_out=data.left_out,
        accounts=data.account_count,
        splits=usable,
        splits_left_out=left_out,
    )


def _chosen(names: Sequence[str] | None, recipe: str, feature_set: str) -> tuple[str, ...]:
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
                place="--models",
                hint="choose among them, or leave the option out for all",
            )
    return tuple(name for name in rungs if names is None or name in names)


def _check_options(split_names: Sequence[str], seeds: int | None) -> None:
    for split in split_names:
        if split not in splits.SPLITS:
            raise UsageError(
                f"{split!r} is none of {', '.join(splits.SPLITS)}", place="--split", hint="choose among them"
            )
    if not split_names:
        raise UsageError("no split was named", place="--split", hint=f"choose among {', '.join(splits.SPLITS)}")
    if seeds is not None and not 1 <= seeds <= MAX_SEEDS:
        raise UsageError(f"{seeds} is not from 1 to {MAX_SEEDS}", place="--seeds", hint="5 do for small data")


def _paper_features(run: Run, progress: Progress) -> str:
    if any(encoder.encoder == features.TEXT_WITH_COMMENTS for encoder in embeddings.encoders(run)):
        return features.PAPER
    progress.note("the run has no text-with-comments embeddings: the paper's recipe is trained on captions alone")
    return features.DEFAULT


def _usable_splits(data: Dataset, names: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the splits that can be made, headline first, and why the others cannot."""
    left_out = {}
    for name in names:
        if len(np.unique(data.units(name))) < 2:
            what = "one account" if name == splits.INFLUENCER else "posts that are all near-duplicates of each other"
            left_out[name] = f"the data has {what}, which cannot be kept apart"
    usable = tuple(name for name in splits.SPLITS if name in names and name not in left_out)
    if not usable:
        raise UsageError(
            "; ".join(f"split {name}: {why}" for name, why in left_out.items()),
            place="--split",
            hint="ingest more accounts, or take the other split as well",
        )
    return usable, left_out


def _seeds_for(posts_with_target: int) -> int:
    if posts_with_target < SMALL:
        return 5
    return 3 if posts_with_target < LARGE else 1


def _open(
    run: Run, data: Dataset, names: Sequence[str], feature_set: str, encoder_models: str | None, progress: Progress
) -> dict[str, Modality]:
    """Open modalities, say which are stand-ins, and refuse what betrays the target."""
    opened = features.gather(run, data.shards, names, feature_set, encoder_models)
    sample = np.linspace(0, len(data.rows) - 1, min(leaks.SAMPLE, len(data.rows))).astype(np.int64)
    for name, modality in opened.items():
        if modality.encoder.stand_in_for:
            progress.note(f"{name}: {modality.encoder.model} stands in for {modality.encoder.stand_in_for}")
        shown = sample[modality.present[data.rows[sample]]]
        leaks.check_correlations(name, modality.columns, modality.take(data.rows[shown]), data.target[shown])
    return opened


def _encoder_json(run: Run, data: Dataset, encoder: Encoder) -> dict[str, Any]:
    folder = run.embeddings / encoder.folder
    return {
        "encoder": encoder.encoder,
        "model": encoder.model,
        "revision": encoder.revision,
        "folder": encoder.folder,
        "stand_in_for": encoder.stand_in_for,
        "available_before_publication": encoder.available_before_publication,
        "fingerprint": encoder.fingerprint,
        "contents": _hash_of(folder, data.shards, ".parquet", ".npy"),
    }


def _hash_of(folder: Path, shards: Sequence[int], *suffixes: str) -> str:
    """Return a hash over the contents of the units of ``shards``, as their manifests state them."""
    hashes = []
    for name in map(posts.shard_name, shards):
        manifest = publish.read_manifest(folder, name)
        files = {} if manifest is None else manifest.files
        hashes.append([files[name + suffix].sha256 for suffix in suffixes if name + suffix in files])
    return canonical_hash(hashes)


def _account_names(run: Run, accounts: Units) -> list[str]:
    """Return a keyed hash for each account, so that predictions can be handed on without names."""
    distinct, inverse = np.unique(accounts, return_inverse=True)
    names = [f"{splits.hash64('account', run.fingerprint, str(account)):016x}" for account in distinct]
    return [names[at] for at in inverse]


def _publish(
    run: Run, unit_name: str, fingerprint: str, settings: Mapping[str, Any], data: Dataset, found: Evaluation
) -> None:
    leaking = settings["features"] == features.PAPER and {features.TEXT, features.SENTIMENT} & set(settings["encoders"])
    metrics = {
        "settings": settings,
        "settings_fingerprint": fingerprint,
        "leak": LEAK if leaking else None,
        "counts": {
            "posts": data.posts,
            "with_target": len(data.rows),
            "left_out": dict(data.left_out),
            "accounts": data.account_count,
            "near_duplicate_groups": len(np.unique(data.groups)),
            "shards": len(data.shards),
            "planned_shards": data.planned_shards,
        },
        "splits": found.splits,
        "headline": splits.INFLUENCER,
        "r2": "1 - sum (y - predicted)^2 / sum (y - mean of y in the test part)^2",
    }
    with models.publishing(run, unit_name) as unit:
        text = json.dumps(metrics, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        unit.file(models.METRICS_FILE).write(text.encode() + b"\n")
        unit.file(models.WEIGHTS_FILE).write(safetensors.numpy.save(dict(found.weights)))
        unit.table(models.PREDICTIONS_FILE, found.predictions)
        unit.counts.update(posts=len(data.rows), predictions=found.predictions.num_rows)
        unit.info["settings"] = fingerprint
