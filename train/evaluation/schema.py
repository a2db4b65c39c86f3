"""What ``metrics.json`` of a model states: what it was made from, and by split (:mod:`.schema_splits`) what it reached.

Names on disk that differ stand as aliases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from postmill.shards.run.sealed import canonical_hash
from postmill.train.data.target import Definition
from postmill.train.evaluation import serialise
from postmill.train.evaluation.schema_splits import SplitResult
from postmill.train.evaluation.serialise import STRICT
from postmill.train.options import TargetName

R2_DEFINITION = "1 - sum (y - predicted)^2 / sum (y - mean of y in the test part)^2"


@dataclass(frozen=True)
class EncoderUse:
    """An encoder whose embeddings a model was shown, or what computed a modality from the records.

    Attributes:
        encoder: Its name, such as ``text-with-comments``.
        models: The set that its model is of: ``light``, ``paper``, ...
        model: The model, empty where there is none.
        revision: Of the model.
        folder: Below ``embeddings/``.
        stand_in_for: The paper's model that it replaces, else empty.
        before_publication: Whether all it says exists before a post is published.
        fingerprint: Of ``encoder.json``.
        contents: Hash over the embeddings; empty for what was computed from the records.
    """

    encoder: str
    models: str
    model: str
    revision: str
    folder: str
    stand_in_for: str
    before_publication: Annotated[bool, Field(alias="available_before_publication")]
    fingerprint: str
    contents: str


@dataclass(frozen=True)
class ModelSettings:
    """Everything a model's numbers depend on; when any of it changes, the model is trained again.

    Attributes:
        model: A model of the ladder.
        recipe: Of :class:`.options.RecipeName`.
        features: Of :class:`.options.FeatureSet`.
        splits: Those evaluated, the headline first.
        splits_left_out: Why a split that was asked for could not be made, by its name.
        comment_weight: How many likes a comment counts for, where both are counted.
        seeds: Trainings on each split.
        languages: Whether errors are told apart by language.
        method: How the model is trained: its own parameters.
        encoders: What it is shown, by modality.
        near_duplicates: The encoders by which near-duplicates were found; empty where names and captions alone told.
        posts: Hash over the records.
        target: What is predicted.
        pseudonyms: Fingerprint of the secret (:mod:`.shards.run.secret`) by which predictions name accounts and posts;
            empty where they do so without, as those of earlier versions.
    """

    model: str
    recipe: str
    features: str
    splits: tuple[str, ...]
    splits_left_out: Mapping[str, str]
    comment_weight: float
    seeds: int
    languages: bool
    method: Mapping[str, Any]
    encoders: Mapping[str, EncoderUse]
    near_duplicates: Mapping[str, EncoderUse]
    posts: str
    target: TargetName = TargetName.LIKES_AND_COMMENTS
    pseudonyms: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the settings as compact JSON."""
        return canonical_hash(serialise.plain(self))

    @property
    def definition(self) -> Definition:
        """What is predicted."""
        return Definition(self.target, self.comment_weight)

    @property
    def leaking(self) -> bool:
        """Whether the model is shown what exists only after publication."""
        return not all(encoder.before_publication for encoder in self.encoders.values())


@dataclass(frozen=True)
class DataCounts:
    """Posts in the finished shards, those with a target, those without by reason, and what they belong to.

    ``cross_account_groups`` are groups of near-duplicates of which two accounts or more have a post.
    """

    posts: int
    with_target: int
    left_out: Mapping[str, int]
    accounts: int
    near_duplicate_groups: int
    cross_account_groups: int
    shards: int
    planned_shards: int


@dataclass(frozen=True)
class Caveat:
    """What is to be borne in mind of numbers.

    Attributes:
        kind: In a word or two, one of :class:`.caveats.Kind`.
        text: A sentence or two.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class ModelMetrics:
    """All of ``metrics.json``.

    Attributes:
        settings: What it depends on.
        settings_fingerprint: :attr:`ModelSettings.fingerprint`.
        leak: What the model knew that a forecast cannot; None for a forecast.
        counts: The data.
        splits: What it reached, by split.
        headline: The split to judge it by.
        r2: How R² is defined.
        caveats: What is to be borne in mind of it all (:mod:`.caveats`).
    """

    __pydantic_config__ = STRICT
    settings: ModelSettings
    settings_fingerprint: str
    leak: str | None
    counts: DataCounts
    splits: Mapping[str, SplitResult]
    headline: str
    r2: str
    caveats: tuple[Caveat, ...] = ()
