"""What an encoder is to the stage: a pinned description, and a function from a post shard to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy.typing as npt
import pyarrow as pa
from PIL.Image import Image

from encode.device import Compute
from shards.embeddings import Encoder, PictureRows
from shards.run import Run

TEXT, TEXT_WITH_COMMENTS, SENTIMENT, IMAGE, METADATA = "text", "text-with-comments", "sentiment", "image", "metadata"
ENCODERS = (TEXT, TEXT_WITH_COMMENTS, SENTIMENT, IMAGE, METADATA)
MAX_CHARACTERS = 100_000  # of one text; every model here stops reading long before


class Absence(StrEnum):
    """Why a row, or one picture of it, could not be encoded: the closed list of the column ``reason``."""

    NO_CAPTION = "no_caption"
    NO_TEXT = "no_text"
    NO_IMAGE = "no_image"
    IMAGE_EMPTY = "image_empty"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_DAMAGED = "image_damaged"


MEANING = {
    Absence.NO_CAPTION: "the post has no caption, or one of blanks alone",
    Absence.NO_TEXT: "the post has neither a caption nor a comment text",
    Absence.NO_IMAGE: "the post shard has no picture of the post",
    Absence.IMAGE_EMPTY: "the picture has no bytes",
    Absence.IMAGE_UNREADABLE: "the picture is not a JPEG, PNG or WebP",
    Absence.IMAGE_TOO_LARGE: "the picture states more pixels than are decoded",
    Absence.IMAGE_DAMAGED: "the picture is cut short or its data are wrong",
}


@dataclass(frozen=True)
class Rows:
    """What an encoder made of one post shard of N posts: the arguments of :func:`shards.embeddings.write`.

    Attributes:
        keys: N keys in the order of the post shard.
        reasons: N times None where the row is present, else one of :class:`Absence`.
        vectors: Shape (N, dimensions), float32; None where the encoder has scalars alone.
        scalars: N values for each scalar column.
        pictures: A row for each picture, where all are kept.
    """

    keys: Sequence[str]
    reasons: Sequence[str | None]
    vectors: npt.NDArray[Any] | None
    scalars: Mapping[str, pa.Array] = field(default_factory=dict)
    pictures: PictureRows | None = None


ShardEncoder = Callable[[Run, Iterable[int]], Iterator[Rows]]
"""Yields the rows of each of the post shards with these numbers, in order; it may read ahead."""


@dataclass(frozen=True)
class ImageModel:
    """A loaded model of pictures.

    Attributes:
        prepare: Turns a picture (RGB) into the model's input, without the axis of the batch; safe in several threads.
        forward: Takes a batch of inputs and returns features, shape (B, ``dimensions``), a float32 array or a tensor
            of any precision, of any length: they are scaled to 1.
        dimensions: Length of a vector.
    """

    prepare: Callable[[Image], npt.NDArray[Any]]
    forward: Callable[[npt.NDArray[Any]], Any]
    dimensions: int


@dataclass(frozen=True)
class Recipe:
    """An encoder that is known but not loaded. It has one of two ways to load, which takes seconds.

    Attributes:
        encoder: What is pinned.
        load: Returns the function that encodes post shards by their numbers.
        compute: The device it computes on; None where it has no model for one.
        load_image_model: Returns a model of pictures: all such encoders share one reading and decoding.
    """

    encoder: Encoder
    load: Callable[[], ShardEncoder] | None
    compute: Compute | None = None
    load_image_model: Callable[[], ImageModel] | None = None


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Attributes:
        models: ``light`` or ``paper``.
        overrides: Folder or hub id by ``text``, ``sentiment`` or ``image``, instead of the set's own model.
        compute: Returns the device to compute on; asked only by the encoders that need one.
        per_image: Keep a vector for each picture beside that of the post.
    """

    models: str
    overrides: Mapping[str, str]
    compute: Callable[[], Compute]
    per_image: bool = False


def blank(text: str | None) -> bool:
    """Say whether there is nothing to read in ``text``."""
    return text is None or not text.strip()
