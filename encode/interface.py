"""What an encoder is to the stage: a pinned description, and a function from post shards to their rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL.Image import Image

from postmill.encode.device import Compute
from postmill.encode.options import ModelSet
from postmill.shards.formats.embeddings import PictureRows
from postmill.shards.formats.encoders import Encoder
from postmill.shards.formats.faults import Fault
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Progress, Silent

MAX_CHARACTERS = 100_000  # of one text; every model here stops reading long before


@dataclass(frozen=True)
class EncodedShard:
    """What an encoder made of one post shard of N posts: what :func:`.embeddings.write` takes.

    Attributes:
        keys: N keys in the order of the post shard.
        reasons: N times None where the row is present, else one of :class:`.absence.Absence`.
        vectors: Shape (N, dimensions), float32; None where the encoder has scalars alone.
        scalars: N values for each scalar column.
        pictures: A row for each picture, where all are kept.
        faults: One for each picture that could not be used.
    """

    keys: Sequence[str]
    reasons: Sequence[str | None]
    vectors: npt.NDArray[Any] | None
    scalars: Mapping[str, pa.Array] = field(default_factory=dict)
    pictures: PictureRows | None = None
    faults: Sequence[Fault] = ()


ShardEncoder = Callable[[Run, Iterable[int]], Iterator[EncodedShard]]
"""Encodes the post shards with these numbers, in order; it may read ahead."""


@dataclass(frozen=True)
class ImageModel:
    """A loaded model of pictures.

    Attributes:
        prepare: Turns a picture (RGB) into the model's input, without the axis of the batch; safe in several threads.
        forward: Takes a batch of inputs and returns features, shape (B, ``dimensions``), a float32 array or a tensor
            of any precision, of any length: they are scaled to 1.
        dimensions: Length of a vector.
        scores: Names of numbers that are told of a picture, and what makes them of vectors of length 1, from shape
            (N, ``dimensions``) to (N, names); None where the vectors are what is wanted. Models that differ in this
            alone are one: their pictures are prepared and encoded once.
    """

    prepare: Callable[[Image], npt.NDArray[Any]]
    forward: Callable[[npt.NDArray[Any]], Any]
    dimensions: int
    scores: tuple[tuple[str, ...], Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]] | None = None


@dataclass(frozen=True)
class Probe:
    """A typical batch and the loaded model that it goes through: for a trial of the precision that the model is in.

    Attributes:
        items: How many texts or pictures it holds.
        run: Sends it through, preparation included; returns shape (``items``, numbers of each), float32.
        directions: Whether the numbers of an item are a vector of which the direction counts; else each counts by
            itself, as a probability does.
    """

    items: int
    run: Callable[[], npt.NDArray[np.float32]]
    directions: bool


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder before it is loaded: what is pinned of it, and one of two ways to load it, which takes seconds.

    Attributes:
        encoder: What is pinned.
        load: Returns the function that encodes post shards by their numbers.
        compute: The device it computes on; None where it has no model for one.
        load_image_model: Returns a model of pictures: all such encoders share one reading and decoding.
        probe: Loads the model, once for all three, and returns what a trial of its precision takes; None: none is held.
        variants: Makes it and those that share its model, to compute otherwise; None: it has one precision alone. Given
            by :func:`with_variants`.
    """

    encoder: Encoder
    load: Callable[[], ShardEncoder] | None
    compute: Compute | None = None
    load_image_model: Callable[[], ImageModel] | None = None
    probe: Callable[[], Probe] | None = None
    variants: Callable[[Compute], Sequence[EncoderSpec]] | None = None


def with_variants(make: Callable[[Compute], Sequence[EncoderSpec]], compute: Compute) -> list[EncoderSpec]:
    """Return the encoders that ``make`` makes for ``compute``, which may be made for another precision later."""
    return [replace(loaded_once(spec), variants=make) for spec in make(compute)]


def loaded_once(spec: EncoderSpec) -> EncoderSpec:
    """Return ``spec`` with what loads it kept: a call that comes later finds it loaded."""
    return replace(
        spec,
        load=None if spec.load is None else functools.cache(spec.load),
        load_image_model=None if spec.load_image_model is None else functools.cache(spec.load_image_model),
    )


def passing(group: Sequence[EncoderSpec]) -> str:
    """Return how a pass of some encoders over the post shards is called where its progress is told."""
    return f"encode {', '.join(spec.encoder.encoder for spec in group)}"


@dataclass(frozen=True)
class EncodeSettings:
    """What the user chose.

    Attributes:
        models: The set of models.
        overrides: Folder or hub id by the name of an encoder, instead of the set's own model.
        compute: Returns the device to compute on; asked only by the encoders that need one.
        per_image: Keep a vector for each picture beside that of the post.
        progress: Told what the user must not miss.
    """

    models: ModelSet
    overrides: Mapping[str, str]
    compute: Callable[[], Compute]
    per_image: bool = False
    progress: Progress = field(default_factory=Silent)

    def packaged(self, kind: str) -> bool:
        """Say whether the encoder ``kind`` takes its packaged stand-in: in the set ``light``, unless overridden."""
        return self.models == ModelSet.LIGHT and kind not in self.overrides
