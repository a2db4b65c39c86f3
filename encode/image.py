"""The image encoder: one vector for the pictures of a post."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from encode import clip, efficientnet, models
from encode.batches import in_batches
from encode.device import Compute, stream
from encode.encoders import IMAGE, Absence, Recipe, Rows, Settings
from encode.picture import FORMATS, MAX_PIXELS, NotAPicture
from encode.reader import Picture, pictures
from shards import posts
from shards.embeddings import Encoder
from shards.run import Run

SCALARS = ("images_encoded", "images_left_out", "left_out_reason")
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ImageModel:
    """A loaded image model.

    Attributes:
        open: Decodes the bytes of a picture, or raises NotAPicture.
        prepare: Turns a picture into the model's input, without the axis of the batch; safe in several threads.
        forward: Takes a batch of inputs and returns features, shape (B, D), float32, of any length.
    """

    open: Callable[[bytes], Image.Image]
    prepare: Callable[[Image.Image], Array]
    forward: Callable[[Array], npt.NDArray[np.float32]]


def recipe(settings: Settings) -> Recipe:
    """Return the image encoder.

    Raises:
        PostmillError: The model cannot be had, or its folder does not describe a CLIP model.
    """
    override = settings.overrides.get(IMAGE)
    if settings.models == models.LIGHT and override is None:
        source, size, batch = efficientnet.source(), efficientnet.DIMENSIONS, efficientnet.BATCH
        preprocessing, load_model = efficientnet.PREPROCESSING, efficientnet.load
    else:
        source, batch = models.transformers_model(IMAGE, override), clip.BATCH
        size, preprocessing, load_model = clip.dimensions(source.folder), clip.PREPROCESSING, clip.load
    compute = settings.compute()
    encoder = Encoder(
        encoder=IMAGE,
        models=source.models,
        model=source.name,
        revision=source.revision,
        weights_sha256=source.weights_sha256,
        precision=compute.precision,
        dimensions=size,
        dtype="float16",
        scalars=SCALARS,
        features=(),
        available_before_publication=True,
        stand_in_for=source.stand_in_for,
        preprocessing={
            **preprocessing,
            "post": "mean of the pictures' unit vectors, scaled to length 1",
            "formats": list(FORMATS),
            "max_pixels": MAX_PIXELS,
            "orientation": "as stored; EXIF is not applied",
            "batch": batch * compute.batch_scale,
            "configuration_sha256": source.configuration_sha256,
        },
    )

    def load() -> Any:
        model = ImageModel(*load_model(source, compute))
        return functools.partial(encode, model, compute, size, batch * compute.batch_scale)

    return Recipe(encoder, load, compute)


def encode(model: ImageModel, compute: Compute, dimensions: int, batch: int, run: Run, shard: int) -> Rows:
    """Encode the pictures of post shard ``shard``, ``batch`` at a time.

    Returns:
        One row a post: the mean of the unit vectors of its pictures, scaled to length 1, and how many went into it
        and were left out, with the reason of the first that was.
    """
    keys = posts.read_records(run, shard, ["key"])["key"].to_pylist()
    sums = np.zeros((len(keys), dimensions), dtype=np.float32)
    encoded = np.zeros(len(keys), dtype=np.int32)
    left_out = np.zeros(len(keys), dtype=np.int32)
    reasons: list[str | None] = [None] * len(keys)
    batches = in_batches(pictures(run, shard, keys), batch)
    for read, vectors in stream(
        compute, batches, functools.partial(_prepare, model), functools.partial(_forward, model)
    ):
        # One after the other, in the order of the tar: sums do not depend on how pictures fell into batches.
        taken = iter(vectors)
        for picture, reason in read:
            if reason is None:
                sums[picture.row] += next(taken)
                encoded[picture.row] += 1
            else:
                left_out[picture.row] += 1
                reasons[picture.row] = reasons[picture.row] or reason
    absent = [
        None if count else (reason or Absence.NO_IMAGE) for count, reason in zip(encoded.tolist(), reasons, strict=True)
    ]
    scalars = dict(zip(SCALARS, (pa.array(encoded), pa.array(left_out), pa.array(reasons, pa.string())), strict=True))
    return Rows(keys, absent, unit(sums), scalars)


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows of ``vectors``, shape (N, D), scaled to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


_Read = list[tuple[Picture, Absence | None]]


def _prepare(model: ImageModel, batch: Sequence[Picture]) -> tuple[_Read, list[Array]]:
    read: _Read = []
    inputs: list[Array] = []
    for picture in batch:
        try:
            inputs.append(model.prepare(model.open(picture.data)))
            read.append((picture, None))
        except NotAPicture as error:
            read.append((picture, error.reason))
    return read, inputs


def _forward(model: ImageModel, prepared: tuple[_Read, list[Array]]) -> tuple[_Read, npt.NDArray[np.float32]]:
    read, inputs = prepared
    if not inputs:
        return read, np.empty((0, 0), dtype=np.float32)
    return read, unit(model.forward(np.stack(inputs)))
