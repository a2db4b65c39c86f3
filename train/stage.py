"""The training stage: each model is one unit of work, done once for one set of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import safetensors.numpy

from postmill.shards.formats import counts, custody, models
from postmill.shards.formats.counts import ModelCounts
from postmill.shards.run import manifests, secret
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress, Silent
from postmill.shards.state import tasks
from postmill.shards.state.tasks import WHOLE, Task
from postmill.shards.state.underway import Work, underway
from postmill.train import request
from postmill.train.data import algebra, dataset, features, inputs, splits
from postmill.train.data.dataset import Dataset
from postmill.train.data.hashing import Pseudonyms
from postmill.train.data.inputs import Inputs, shown_in
from postmill.train.data.modality import Modality
from postmill.train.evaluation import card, caveats, evaluate, provenance, serialise, slices, table
from postmill.train.evaluation.evaluate import Evaluation, TrainingPlan
from postmill.train.evaluation.schema import ModelMetrics, ModelSettings
from postmill.train.evaluation.slices import Slices
from postmill.train.models import ladder, recipes
from postmill.train.models.checkpoint import Checkpoints
from postmill.train.models.learners import TrainingContext
from postmill.train.models.recipes import Recipe
from postmill.train.options import FeatureSet, RecipeName, Split, TargetName, scoring_split
from postmill.train.request import Request

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


@algebra.single_core()
def train_run(
    run: Run,
    *,
    names: Sequence[str] | None = None,
    recipe: str = RecipeName.POSTMILL,
    feature_set: str = FeatureSet.DEFAULT,
    split_names: Sequence[str] = tuple(Split),
    target_name: str = TargetName.LIKES_AND_COMMENTS,
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
        names: Models of the recipe, :func:`.registry.names`; None for those that are not costly.
        recipe: ``postmill``, or ``paper``: the study's networks with exactly its settings, on its encoders and on the
            text with comments where the run has them.
        feature_set: ``default``, or ``paper``, which takes what exists only after publication.
        split_names: Some of :class:`.options.Split`.
        target_name: What is predicted, of :class:`.options.TargetName`.
        comment_weight: How many likes a comment counts for in the target, where both are counted.
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
    asked = request.resolve(
        names,
        recipe=recipe,
        feature_set=feature_set,
        split_names=split_names,
        target_name=target_name,
        comment_weight=comment_weight,
        seeds=seeds,
        encoder_models=encoder_models,
        device=device,
    )
    if asked.recipe == RecipeName.PAPER:
        as_studied, encoder_models = features.as_studied(run, asked.encoder_models, progress)
        asked = replace(asked, features=as_studied, encoder_models=encoder_models)
    chosen = tasks.share(_possible(run, asked, progress), task)
    shown = dict.fromkeys(name for model in chosen for name in shown_in(run, asked.rung(model).modalities))
    features.check_encoders(run, list(shown), asked.features, asked.encoder_models)
    with progress.track("train: reading the posts", None):
        work = _load(run, asked, progress)
    opened = Inputs(run, work.data, asked.features, asked.encoder_models, progress)
    trained: list[str] = []
    kept: list[str] = []
    units = [asked.unit_name(model) for model in chosen]
    trainings = len(work.splits) * work.seeds
    with progress.steps([f"train {name}" for name in units]) as begin, underway(run, "train", units, trainings) as at:
        for model, name in zip(chosen, units, strict=True):
            begin(f"train {name}")
            is_new = _train_model(work, model, opened.of(shown_in(run, asked.rung(model).modalities)), progress, at)
            (trained if is_new else kept).append(name)
            at.unit(is_new)
    with progress.track("train: comparing the models", None):
        table.write_results(run)
    return TrainSummary(
        trained=tuple(trained),
        kept=tuple(kept),
        posts=work.data.posts,
        targets=len(work.data.rows),
        left_out=work.data.left_out,
        accounts=work.data.account_count,
        splits=work.splits,
        splits_left_out=work.splits_left_out,
    )


@dataclass(frozen=True)
class _Work:
    """What all models of a call are trained on, and how.

    Attributes:
        run: The run.
        asked: What was asked for.
        data: The posts.
        seen: The embeddings by which near-duplicates were found; empty where names and captions alone told.
        splits: The splits that can be made.
        splits_left_out: Why the others cannot, by name.
        seeds: Trainings on each split.
        pseudonyms: What stands for accounts and posts in the predictions.
    """

    run: Run
    asked: Request
    data: Dataset
    seen: Mapping[str, Modality]
    splits: tuple[Split, ...]
    splits_left_out: Mapping[str, str]
    seeds: int
    pseudonyms: Pseudonyms

    @cached_property
    def slices(self) -> Slices:
        """By which errors are told apart."""
        return slices.slices(self.run, self.data.finished, self.data.rows)

    @cached_property
    def recipe(self) -> Recipe:
        """How networks are trained."""
        return recipes.recipe_of(self.asked.recipe, splits.training_posts(len(self.data.rows)))

    def settings(self, model: str, modalities: Mapping[str, Modality]) -> ModelSettings:
        """Return all that the numbers of ``model`` depend on."""
        asked, data = self.asked, self.data
        return ModelSettings(
            model=model,
            recipe=asked.recipe.value,
            features=asked.features.value,
            splits=tuple(split.value for split in self.splits),
            splits_left_out=self.splits_left_out,
            target=asked.definition.name,
            comment_weight=asked.definition.comment_weight,
            seeds=self.seeds,
            languages=slices.languages_can_be_told(),
            method=ladder.settings(model, TrainingContext(self.recipe, asked.device)),
            encoders={name: provenance.encoder_use(modality) for name, modality in modalities.items()},
            near_duplicates={name: provenance.encoder_use(modality) for name, modality in self.seen.items()},
            posts=provenance.posts_hash(data),
            pseudonyms=self.pseudonyms.secret.fingerprint,
        )


def _load(run: Run, asked: Request, progress: Progress) -> _Work:
    """Read what training needs of the posts, and say what is left out."""
    of = dataset.finished(run)
    seen = inputs.seen(run, of, asked.encoder_models, progress)
    data = dataset.load(run, asked.definition, seen, of)
    usable, left_out = request.usable_splits(data, asked.splits)
    for split, why in left_out.items():
        progress.note(f"split {split} left out: {why}")
    if len(of.shards) < of.planned:
        progress.note(f"training on {len(of.shards):,} of {of.planned:,} post shards: the others are not done")
    if data.times_out_of_range:
        progress.note(
            f"{data.times_out_of_range:,} posts have a time of publication out of range, which counts as not known: "
            "the post shards were made before such times were faults"
        )
    if not slices.languages_can_be_told():
        progress.note("errors are not told apart by language: pip install 'postmill[languages]'")
    seeds = asked.seeds or request.seeds_for(len(data.rows))
    return _Work(run, asked, data, seen, usable, left_out, seeds, Pseudonyms(secret.of_run(run)))


def _train_model(work: _Work, model: str, modalities: Mapping[str, Modality], progress: Progress, at: Work) -> bool:
    """Train, judge and publish one model; False where that was done before with the same settings, and is whole."""
    run, unit_name = work.run, work.asked.unit_name(model)
    settings = work.settings(model, modalities)
    checkpoints = Checkpoints(run, unit_name, settings.fingerprint)
    done = models.done_with(run, unit_name, settings.fingerprint)
    if done is not None:
        damage = list(manifests.differences(models.folder(run, unit_name), done))
        if not damage:
            checkpoints.clear()
            return False
        for what in damage:
            progress.note(f"{what}: {unit_name} is trained anew")
    plan = TrainingPlan(model, work.recipe, work.splits, work.seeds, work.asked.device)
    with progress.track(f"train {unit_name}", len(work.splits) * work.seeds, "trainings") as advance:
        told = at.counting(advance)
        evaluation = evaluate.evaluate(plan, work.data, modalities, work.slices, checkpoints, work.pseudonyms, told)
    metrics = provenance.model_metrics(settings, work.data, evaluation.splits)
    metrics = replace(metrics, caveats=caveats.of_model(run, unit_name, metrics))
    _publish(work, model, metrics, evaluation)
    checkpoints.clear()
    return True


def _possible(run: Run, asked: Request, progress: Progress) -> list[str]:
    """Return the models to train; one that needs what is missing is left out with a note, unless named.

    What may be missing is a library, or pictures where none were asked for.

    Raises:
        UsageError: It was named.
    """
    installed = []
    for model in asked.models:
        try:
            if asked.rung(model).modalities and not shown_in(run, asked.rung(model).modalities):
                raise UsageError(
                    f"{model} is shown pictures alone, and the run was planned without",
                    place="--model",
                    hint="name a model that is shown text",
                )
            ladder.check(model, asked.recipe)
        except UsageError as error:
            if asked.named:
                raise
            progress.note(f"{model} left out: {error.cause}; {error.hint}")
        else:
            installed.append(model)
    return installed


def _publish(work: _Work, model: str, metrics: ModelMetrics, evaluation: Evaluation) -> None:
    run, unit_name = work.run, work.asked.unit_name(model)
    with models.publishing(run, unit_name) as unit:
        unit.file(models.METRICS_FILE).write(serialise.dump_json(metrics))
        scoring = f"{scoring_split(metrics.splits)}/"  # what the others predict stands in their predictions
        weights = {
            name: np.ascontiguousarray(value) for name, value in evaluation.weights.items() if name.startswith(scoring)
        }
        settings = metrics.settings_fingerprint
        header = {"format": FORMAT, "run": run.fingerprint, "settings": settings, "model": unit_name}
        # One entry: several stand in the file in an order of their own with each writing.
        unit.file(models.WEIGHTS_FILE).write(
            safetensors.numpy.save(weights, metadata={"postmill": json.dumps(header, sort_keys=True)})
        )
        unit.file(models.CARD_FILE).write(card.card(run, unit_name, metrics).encode())
        said = caveats.schema_metadata(metrics.caveats)
        unit.table(models.PREDICTIONS_FILE, evaluation.predictions.replace_schema_metadata(said))
        ModelCounts(metrics.counts.with_target, evaluation.predictions.num_rows).put(unit)
        counts.put_settings(unit, settings)
        counts.put_options(unit, work.asked.options(model))
        unit.inputs.update(provenance.inputs(metrics))
        custody.put_shards(unit, work.data.shards)
