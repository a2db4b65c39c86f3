"""The training stage: each model is one unit of work, done once for one set of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy

from shards import embeddings, models, tasks
from shards.errors import PostmillError, UsageError
from shards.progress import Progress, Silent
from shards.run import Run
from shards.sealed import canonical_hash
from shards.tasks import WHOLE, Task
from train import (
    boosting,
    card,
    cells,
    dataset,
    evaluate,
    features,
    history,
    ladder,
    leaks,
    options,
    provenance,
    recipes,
    splits,
    table,
)
from train.cells import Kinds
from train.checkpoint import Checkpoints
from train.dataset import Dataset
from train.evaluate import Asked, Evaluation
from train.features import Modality
from train.splits import Units

LEAK = (
    "uses comments, which exist only after a post is published and grow with its engagement: an upper bound, not a"
    " forecast"
)


FORMAT = "postmill-model-1"
"""Stands in the header of the weights, beside the fingerprints of the run and of the settings."""


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
    device: str = "cpu",
    task: Task = WHOLE,
    progress: Progress | None = None,
) -> TrainSummary:
    """Train and evaluate models on the run's embeddings; a model that was done with the same settings is kept.

    Args:
        run: The run.
        names: Models of :data:`train.ladder.LADDER`; None for those that are not costly, or for the paper's two with
            its recipe.
        recipe: ``postmill``, or ``paper``: text-mlp and image-mlp with exactly the paper's settings, on the text with
            comments where the run has it.
        feature_set: ``default``, or ``paper``, which takes what exists only after publication.
        split_names: Some of :data:`train.splits.SPLITS`.
        comment_weight: How many likes a comment counts for in the target.
        seeds: Trainings of each model on each split, each with its own split and weights; None chooses by the number
            of posts.
        encoder_models: ``light`` or ``paper``, where the run has embeddings of both.
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        task: The share of the models that this call trains.
        progress: Told of each training, of stand-ins, and of what is left out.

    Raises:
        UsageError: The options make no sense, embeddings are missing or leak the target, or the data cannot be
            trained on.
        PostmillError: A shard is missing or damaged, or the disk is full.
    """
    progress = progress or Silent()
    chosen = options.chosen(names, recipe, feature_set)
    options.check(split_names, seeds)
    if recipe == recipes.PAPER:
        feature_set = _paper_features(run, progress)
    device = options.device_for(device)
    shards, planned = dataset.finished(run)
    pictures = _pictures(run, shards, encoder_models, progress)
    data = dataset.load(run, comment_weight, pictures)
    usable, left_out = options.usable_splits(data, split_names)
    for split, why in left_out.items():
        progress.note(f"split {split} left out: {why}")
    if len(shards) < planned:
        progress.note(f"training on {len(shards)} of {planned} post shards: the others are not done")
    if not cells.languages_can_be_told():
        progress.note("errors are not told apart by language: pip install 'postmill[languages]'")
    seeds = seeds or options.seeds_for(len(data.rows))
    opened: dict[str, Modality] = {}
    kinds: Kinds | None = None
    trained, kept = [], []
    for name in tasks.share(_available(chosen, names, progress), task):
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
            "languages": cells.languages_can_be_told(),
            "method": ladder.settings(name, recipe, data, device),
            **provenance.inputs(run, data, modalities, pictures),
        }
        fingerprint = canonical_hash(settings)
        unit = options.unit_name(name, recipe, feature_set)
        checkpoints = Checkpoints(run, unit, fingerprint)
        if models.done(run, unit, fingerprint) is not None:
            checkpoints.clear()
            kept.append(unit)
            continue
        kinds = kinds or cells.kinds(run, data.shards, data.rows)
        train_posts = len(data.rows) - len(data.rows) // splits.FOLDS
        asked = Asked(name, ladder.recipe_of(recipe, train_posts), usable, seeds, device)
        with progress.track(f"train {unit}", len(usable) * seeds, "trainings") as advance:
            found = evaluate.evaluate(
                asked, data, modalities, kinds, checkpoints, lambda ids: _account_names(run, ids), advance
            )
        _publish(run, unit, fingerprint, settings, data, found)
        checkpoints.clear()
        trained.append(unit)
    table.write_results(run)
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


def _paper_features(run: Run, progress: Progress) -> str:
    if any(encoder.encoder == features.TEXT_WITH_COMMENTS for encoder in embeddings.encoders(run)):
        return features.PAPER
    progress.note("the run has no text-with-comments embeddings: the paper's recipe is trained on captions alone")
    return features.DEFAULT


def _available(chosen: Sequence[str], names: Sequence[str] | None, progress: Progress) -> list[str]:
    """Return the models to train; one that needs a library that is not there is left out aloud, unless named."""
    found = []
    for name in chosen:
        if name in (ladder.BOOSTING, ladder.STACK):
            try:
                boosting.library()
            except UsageError as error:
                if names is not None:
                    raise
                progress.note(f"{name} left out: {error.cause}; {error.hint}")
                continue
        found.append(name)
    return found


def _pictures(run: Run, shards: Sequence[int], encoder_models: str | None, progress: Progress) -> Modality | None:
    """Return the pictures' embeddings, by which near-duplicates are found, or say that there are none."""
    try:
        return features.gather(run, shards, [features.IMAGE], features.DEFAULT, encoder_models)[features.IMAGE]
    except PostmillError as error:
        progress.note(f"near-duplicates are found by names and captions alone, not by pictures: {error.cause}")
        return None


def _open(
    run: Run, data: Dataset, names: Sequence[str], feature_set: str, encoder_models: str | None, progress: Progress
) -> dict[str, Modality]:
    """Open modalities, say which are stand-ins, and refuse what betrays the target."""
    encoded = [name for name in names if name in features.ENCODED]
    opened = features.gather(run, data.shards, encoded, feature_set, encoder_models)
    sample = np.linspace(0, len(data.rows) - 1, min(leaks.SAMPLE, len(data.rows))).astype(np.int64)
    for name, modality in opened.items():
        if modality.encoder.stand_in_for:
            progress.note(f"{name}: {modality.encoder.model} stands in for {modality.encoder.stand_in_for}")
        shown = sample[modality.present[data.rows[sample]]]
        if modality.before_publication:  # else it leaks by design, and the report says so
            leaks.check_correlations(name, modality.columns, modality.take(data.rows[shown]), data.target[shown])
    if features.HISTORY in names:
        opened[features.HISTORY] = features.in_memory(
            features.HISTORY, history.COLUMNS, data.history, data.has_history, before_publication=True
        )
    if features.AFTERWARDS in names:
        opened[features.AFTERWARDS] = _afterwards(run, data, encoder_models, progress)
    return opened


def _afterwards(run: Run, data: Dataset, encoder_models: str | None, progress: Progress) -> Modality:
    """Return what exists only after publication: the number of comments and, where encoded, their sentiment."""
    known = ~np.isnan(data.comments)
    columns: tuple[str, ...] = ("log_comments",)
    values = np.where(known, data.comments, 0.0)[:, None].astype(np.float32)
    try:
        told = features.gather(run, data.shards, [features.SENTIMENT], features.PAPER, encoder_models)
    except PostmillError as error:
        progress.note(f"leak: shown without the sentiment of comments: {error.cause}")
    else:
        sentiment = told[features.SENTIMENT]
        columns += sentiment.columns
        values = np.column_stack([values, sentiment.take(np.arange(data.posts))])
    return features.in_memory(features.AFTERWARDS, columns, values, known, before_publication=False)


def _account_names(run: Run, accounts: Units) -> list[str]:
    """Return a keyed hash for each account, so that predictions can be handed on without names."""
    distinct, inverse = np.unique(accounts, return_inverse=True)
    names = [f"{splits.hash64('account', run.fingerprint, str(account)):016x}" for account in distinct]
    return [names[at] for at in inverse]


def _publish(
    run: Run, unit_name: str, fingerprint: str, settings: Mapping[str, Any], data: Dataset, found: Evaluation
) -> None:
    leaking = not all(encoder["available_before_publication"] for encoder in settings["encoders"].values())
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
        held = {name: np.ascontiguousarray(value) for name, value in found.weights.items()}
        header = {"format": FORMAT, "run": run.fingerprint, "settings": fingerprint, "model": unit_name}
        # One entry: several stand in the file in an order of their own with each writing.
        unit.file(models.WEIGHTS_FILE).write(
            safetensors.numpy.save(held, metadata={"postmill": json.dumps(header, sort_keys=True)})
        )
        unit.file(models.CARD_FILE).write(card.card(run, unit_name, metrics).encode())
        unit.table(models.PREDICTIONS_FILE, found.predictions)
        unit.counts.update(posts=len(data.rows), predictions=found.predictions.num_rows)
        unit.info["settings"] = fingerprint
