"""What is chosen of trainings by name. Nothing is loaded for it: help and completion must not wait for torch."""

from __future__ import annotations

from collections.abc import Container
from enum import StrEnum


class Split(StrEnum):
    """The ways to divide posts into a training and a test part, the headline first (:mod:`.data.splits`)."""

    INFLUENCER = "influencer"
    RANDOM = "random"
    TIME = "time"
    TIME_INFLUENCER = "time-influencer"


def scoring_split(splits: Container[str]) -> Split:
    """Return the one of ``splits`` whose models score new posts: the headline, or the first there is."""
    return next(split for split in Split if split in splits)


class RecipeName(StrEnum):
    """How networks are trained: with care, or with the study's own settings (:mod:`.models.recipes`)."""

    POSTMILL = "postmill"
    PAPER = "paper"


class StudyName(StrEnum):
    """A published study whose settings are taken throughout."""

    PAPER = "paper"


def splits_of(recipe: RecipeName) -> tuple[Split, ...]:
    """Return all splits in the order in which a recipe's models are judged: the study's own first, or the headline."""
    return tuple(sorted(Split, key=lambda split: recipe == RecipeName.PAPER and split != Split.RANDOM))


class TargetName(StrEnum):
    """What is predicted, that of the study first (:mod:`.data.target`)."""

    LIKES_AND_COMMENTS = "likes-and-comments"
    LIKES = "likes"
    COMMENTS = "comments"
    RATE = "rate"


class FeatureSet(StrEnum):
    """What models are shown: what exists before publication, or the study's features, which hold comments."""

    DEFAULT = "default"
    PAPER = "paper"


class ModalityName(StrEnum):
    """What a model may be shown of a post (:class:`.features.Modality`).

    The first four come from embedding shards. ``history`` is what the records say of an account's earlier posts;
    ``afterwards``, shown to the model ``leak`` alone, what exists only after publication: the number of comments and
    their sentiment.
    """

    TEXT = "text"
    IMAGE = "image"
    SENTIMENT = "sentiment"
    METADATA = "metadata"
    HISTORY = "history"
    AFTERWARDS = "afterwards"
