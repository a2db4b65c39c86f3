"""The encoders of pictures: one vector for the pictures of a post, every picture read and decoded once for all."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from encode import clip, efficientnet, models
from encode.batches import in_batches
from encode.device import Compute, fetch
from encode.encoders import IMAGE, Absence, ImageModel, Recipe, Rows, Settings
from encode.picture import FORMATS, MAX_PIXELS, NotAPicture, open_picture
from encode.reader import Picture, pictures
from encode.stream import stream
from shards import posts
from shards.embeddings import Encoder, PictureRows
from shards.run import Run

BATCH = 8  # on one core as fast as any, and larger ones fall out of its cache
SCALARS = ("images_encoded", "images_left_out", "left_out_reason")
Array = npt.NDArray[Any]


def recipe(settings: Settings) -> Recipe:
    """Return the image encoder.

    Raises:
        PostmillError: The model cannot be had, or its folder does not describe a CLIP model.
    """
    override = settings.overrides.get(IMAGE)
    light = settings.models == models.LIGHT and override is None
    source = efficientnet.source() if light else models.transformers_model(IMAGE, override)
    size = efficientnet.DIMENSIONS if light else clip.dimensions(source.folder)
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
            **(efficientnet.PREPROCESSING if light else clip.preprocessing(compute)),
            **common_preprocessing(settings),
            "configuration_sha256": source.configuration_sha256,
        },
    )
    loader = efficientnet.load if light else clip.load
    return Recipe(encoder, None, compute, load_image_model=lambda: loader(source, compute))


def common_preprocessing(settings: Settings) -> Mapping[str, Any]:
    """Return what is the same for every encoder of pictures, for its ``encoder.json``."""
    return {
        "post": "mean of the pictures' unit vectors, scaled to length 1",
        "per_image": settings.per_image,
        "formats": list(FORMATS),
        "max_pixels": MAX_PIXELS,
        "orientation": "as stored; EXIF is not applied",
        "batch": BATCH * settings.compute().batch_scale,
    }


@dataclass
class _Post:
    """What was read of a shard so far, in the order of the tar: for each picture its post's row, place and reason."""

    rows: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    reasons: list[Absence | None] = field(default_factory=list)
    vectors: dict[int, list[Array]] = field(default_factory=dict)  # by model, of the pictures without a reason


@dataclass(frozen=True)
class _Batch:
    """Some pictures of a shard, and the numbers of the models that want them."""

    pictures: Sequence[Picture]
    wanted: Sequence[int]


@dataclass(frozen=True)
class _Read:
    """A batch without its bytes: ``made`` holds, by model, inputs, then features, then unit vectors."""

    found: Sequence[tuple[int, int, Absence | None]]
    made: Mapping[int, Any]


@dataclass(frozen=True)
class _Shard:
    """All of a shard has been read."""

    keys: list[str]
    wanted: Sequence[int]


def encode(
    loaded: Sequence[ImageModel | None],
    compute: Compute,
    run: Run,
    todo: Iterable[tuple[int, Sequence[int]]],
    per_image: bool = False,
) -> Generator[dict[int, Rows], None, None]:
    """Encode the pictures of post shards with one or several models, of which each picture is decoded once.

    Args:
        loaded: The models; None for one that no shard wants.
        compute: Where they run.
        run: The run.
        todo: Numbers of post shards, each with the places in ``loaded`` of the models that want it.
        per_image: Keep a row for each picture too.

    Yields:
        For each shard, by place in ``loaded``, one row a post: the mean of the unit vectors of its pictures, scaled to
        length 1, and how many went into it and were left out, with the reason of the first that was.
    """
    size = BATCH * compute.batch_scale

    def items() -> Iterator[_Batch | _Shard]:
        for shard, wanted in todo:
            keys = posts.read_records(run, shard, ["key"])["key"].to_pylist()
            for batch in in_batches(pictures(run, shard, keys), size):
                yield _Batch(batch, wanted)
            yield _Shard(keys, wanted)

    def prepare(item: _Batch | _Shard) -> _Read | _Shard:
        return item if isinstance(item, _Shard) else _prepare(loaded, item)

    def forward(item: _Read | _Shard) -> _Read | _Shard:
        if isinstance(item, _Shard):
            return item
        return _Read(item.found, {n: _model(loaded, n).forward(inputs) for n, inputs in item.made.items()})

    def collect(item: _Read | _Shard) -> _Read | _Shard:
        if isinstance(item, _Shard):
            return item
        return _Read(item.found, {n: unit(fetch(compute, features)) for n, features in item.made.items()})

    held = _Post()
    for item in stream(compute, items(), prepare, forward, collect):
        if isinstance(item, _Shard):
            yield {n: _rows(item.keys, held, n, _model(loaded, n).dimensions, per_image) for n in item.wanted}
            held = _Post()
            continue
        for row, place, reason in item.found:
            held.rows.append(row)
            held.places.append(place)
            held.reasons.append(reason)
        for n, vectors in item.made.items():
            held.vectors.setdefault(n, []).append(vectors)


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows of ``vectors``, shape (N, D), scaled to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


def _prepare(loaded: Sequence[ImageModel | None], batch: _Batch) -> _Read:
    found: list[tuple[int, int, Absence | None]] = []
    inputs: dict[int, list[Array]] = {n: [] for n in batch.wanted}
    for picture in batch.pictures:
        try:
            image = open_picture(picture.data)
        except NotAPicture as error:
            found.append((picture.row, picture.place, error.reason))
            continue
        found.append((picture.row, picture.place, None))
        for n in batch.wanted:
            inputs[n].append(_model(loaded, n).prepare(image))
    return _Read(found, {n: np.stack(own) for n, own in inputs.items() if own})


def _rows(keys: list[str], held: _Post, model: int, dimensions: int, per_image: bool) -> Rows:
    vectors = np.concatenate([np.empty((0, dimensions), np.float32), *held.vectors.get(model, [])])
    sums = np.zeros((len(keys), dimensions), dtype=np.float32)
    encoded = np.zeros(len(keys), dtype=np.int32)
    left_out = np.zeros(len(keys), dtype=np.int32)
    reasons: list[str | None] = [None] * len(keys)
    # One after the other, in the order of the tar: sums do not depend on how pictures fell into batches.
    taken = iter(vectors)
    for row, reason in zip(held.rows, held.reasons, strict=True):
        if reason is None:
            sums[row] += next(taken)
            encoded[row] += 1
        else:
            left_out[row] += 1
            reasons[row] = reasons[row] or reason
    absent = [
        None if count else (reason or Absence.NO_IMAGE) for count, reason in zip(encoded.tolist(), reasons, strict=True)
    ]
    scalars = dict(zip(SCALARS, (pa.array(encoded), pa.array(left_out), pa.array(reasons, pa.string())), strict=True))
    kept = _picture_rows(held, vectors) if per_image else None
    return Rows(keys, absent, unit(sums), scalars, kept)


def _picture_rows(held: _Post, vectors: npt.NDArray[np.float32]) -> PictureRows:
    every = np.zeros((len(held.rows), vectors.shape[1]), dtype=np.float32)
    every[[reason is None for reason in held.reasons]] = vectors
    return PictureRows(np.array(held.rows, np.int32), np.array(held.places, np.int32), held.reasons, every)


def _model(loaded: Sequence[ImageModel | None], n: int) -> ImageModel:
    model = loaded[n]
    assert model is not None, "a shard wants only what is loaded"
    return model
