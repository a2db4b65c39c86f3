"""The encoders of pictures: one vector for the pictures of a post, every picture read and decoded once for all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.encode import models
from postmill.encode.device import Compute, to_host
from postmill.encode.encoders import clip, efficientnet, image_emotion
from postmill.encode.interface import Absence, EncodedShard, EncoderSpec, EncodeSettings, ImageModel
from postmill.encode.model_files import ModelFiles
from postmill.encode.options import EncoderName
from postmill.encode.preparation.batches import in_batches
from postmill.encode.preparation.picture import FORMATS, MAX_PIXELS, NotAPicture, open_picture
from postmill.encode.preparation.reader import Picture, read_pictures
from postmill.encode.preparation.stream import stream
from postmill.shards.formats import posts
from postmill.shards.formats.embeddings import PictureRows
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.plan import ARCHIVES, IMAGES
from postmill.shards.run.folder import Run

BATCH = 8  # on one core as fast as any, and larger ones fall out of its cache
SCALARS = ("images_encoded", "images_left_out", "left_out_reason")
_COLUMNS = ("key", "influencer", "post_id", "images")  # of the records


def specs(settings: EncodeSettings, names: Sequence[EncoderName]) -> list[EncoderSpec]:
    """Return the encoders ``names`` (``image``, ``image-emotion``), which share one loaded model.

    Raises:
        UsageError: The emotion of pictures is asked for of the packaged model, which knows no words.
        PostmillError: The model cannot be had, or its folder does not describe a CLIP model.
    """
    compute = settings.compute()
    if settings.packaged(EncoderName.IMAGE):
        if EncoderName.IMAGE_EMOTION in names:
            raise image_emotion.no_words()
        model = efficientnet.packaged_efficientnet()
        load = functools.partial(efficientnet.load_image_model, model, compute)
        return [_spec(settings, model, efficientnet.DIMENSIONS, efficientnet.PREPROCESSING, load)]
    model = models.transformers_model(EncoderName.IMAGE, settings.overrides.get(EncoderName.IMAGE))
    dimensions = clip.clip_dimensions(model.folder)
    load_both = functools.cache(
        functools.partial(image_emotion.load, model, compute, settings.progress)
        if EncoderName.IMAGE_EMOTION in names
        else lambda: (clip.load_image_model(model, compute, settings.progress),) * 2
    )
    shared = clip.preprocessing(compute)
    made = {
        EncoderName.IMAGE: lambda: _spec(settings, model, dimensions, shared, lambda: load_both()[0]),
        EncoderName.IMAGE_EMOTION: lambda: image_emotion.spec(
            model, compute, {**shared, **common_preprocessing(settings)}, SCALARS, lambda: load_both()[1]
        ),
    }
    return [made[name]() for name in names]


def spec(settings: EncodeSettings) -> EncoderSpec:
    """Return the image encoder; errors are those of :func:`specs`."""
    return specs(settings, [EncoderName.IMAGE])[0]


def _spec(
    settings: EncodeSettings,
    model: ModelFiles,
    dimensions: int,
    preprocessing: Mapping[str, Any],
    load: Callable[[], ImageModel],
) -> EncoderSpec:
    compute = settings.compute()
    encoder = model.pin(
        EncoderName.IMAGE,
        precision=compute.precision,
        dimensions=dimensions,
        scalars=SCALARS,
        available_before_publication=True,
        preprocessing={
            **preprocessing,
            **common_preprocessing(settings),
            "configuration_sha256": model.configuration_sha256,
        },
    )
    return EncoderSpec(encoder, None, compute, load_image_model=load)


def common_preprocessing(settings: EncodeSettings) -> Mapping[str, Any]:
    """Return what is the same for every encoder of pictures, for its ``encoder.json``."""
    return {
        "post": "mean of the pictures' unit vectors, scaled to length 1",
        "per_image": settings.per_image,
        "formats": list(FORMATS),
        "max_pixels": MAX_PIXELS,
        "orientation": "as stored; EXIF is not applied",
        "batch": BATCH * settings.compute().batch_scale,
    }


@dataclass(frozen=True)
class _Batch:
    """Pictures of a shard, and the numbers of the models that encode them."""

    pictures: Sequence[Picture]
    models: Sequence[int]


@dataclass(frozen=True)
class _Outcome:
    """A picture without its bytes: its post's row, its position in the post, and the reason where it is left out."""

    row: int
    position: int
    reason: Absence | None


@dataclass(frozen=True)
class _Results:
    """A batch under way: ``values`` holds, by model, inputs, then features, then unit vectors.

    The values are those of the pictures that are not left out, in their order.
    """

    outcomes: Sequence[_Outcome]
    values: Mapping[int, Any]


@dataclass(frozen=True)
class _EndOfPictures:
    """All of a shard has been read: its records, and the numbers of the models that encode it."""

    records: Sequence[Mapping[str, Any]]
    models: Sequence[int]


@dataclass
class _ShardResults:
    """The results of a shard so far, in the order of the tar."""

    outcomes: list[_Outcome] = field(default_factory=list)
    vectors: dict[int, list[npt.NDArray[np.float32]]] = field(default_factory=dict)  # by model, a batch each

    def add(self, results: _Results) -> None:
        """Append those of a batch."""
        self.outcomes.extend(results.outcomes)
        for n, vectors in results.values.items():
            self.vectors.setdefault(n, []).append(vectors)


def encode_pictures(
    loaded: Sequence[ImageModel | None],
    compute: Compute,
    run: Run,
    todo: Iterable[tuple[int, Sequence[int]]],
    per_image: bool = False,
) -> Generator[dict[int, EncodedShard], None, None]:
    """Encode the pictures of post shards with one or several models, of which each picture is decoded once.

    Args:
        loaded: The models; None for one that no shard asks for.
        compute: Where they run.
        run: The run.
        todo: Numbers of post shards, each with the numbers in ``loaded`` of the models that are to encode it.
        per_image: Keep a row for each picture too.

    Yields:
        For each shard, by number in ``loaded``, one row a post: the mean of the unit vectors of its pictures, scaled
        to length 1, or the mean of what the model tells of each, and how many pictures went into it and were left out,
        with the reason of the first that was.
    """
    size = BATCH * compute.batch_scale
    same = _same(loaded)

    def items() -> Iterator[_Batch | _EndOfPictures]:
        for shard, numbers in todo:
            records = posts.read_records(run, shard, _COLUMNS).to_pylist()
            networks = list(dict.fromkeys(same[n] for n in numbers))
            for batch in in_batches(read_pictures(run, shard, [record["key"] for record in records]), size):
                yield _Batch(batch, networks)
            yield _EndOfPictures(records, numbers)

    def prepare(item: _Batch | _EndOfPictures) -> _Results | _EndOfPictures:
        return item if isinstance(item, _EndOfPictures) else _prepare(loaded, item)

    def forward(item: _Results | _EndOfPictures) -> _Results | _EndOfPictures:
        if isinstance(item, _EndOfPictures):
            return item
        return _Results(item.outcomes, {n: _model(loaded, n).forward(inputs) for n, inputs in item.values.items()})

    def collect(item: _Results | _EndOfPictures) -> _Results | _EndOfPictures:
        if isinstance(item, _EndOfPictures):
            return item
        vectors = {n: unit_vectors(to_host(compute, features)) for n, features in item.values.items()}
        return _Results(item.outcomes, vectors)

    results = _ShardResults()
    for item in stream(compute, items(), prepare, forward, collect):
        if isinstance(item, _EndOfPictures):
            yield {n: _encoded(item.records, results, same[n], _model(loaded, n), per_image) for n in item.models}
            results = _ShardResults()
        else:
            results.add(item)


def _same(loaded: Sequence[ImageModel | None]) -> list[int]:
    """Return for each model the number of the first that prepares and encodes pictures as it does."""
    networks = [None if model is None else (model.prepare, model.forward) for model in loaded]
    return [networks.index(network) for network in networks]


def unit_vectors(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows of ``vectors``, shape (N, D), scaled to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


def _prepare(loaded: Sequence[ImageModel | None], batch: _Batch) -> _Results:
    outcomes: list[_Outcome] = []
    inputs: dict[int, list[npt.NDArray[Any]]] = {n: [] for n in batch.models}
    for picture in batch.pictures:
        try:
            image = open_picture(picture.data)
        except NotAPicture as error:
            outcomes.append(_Outcome(picture.row, picture.position, error.reason))
            continue
        outcomes.append(_Outcome(picture.row, picture.position, None))
        for n in batch.models:
            inputs[n].append(_model(loaded, n).prepare(image))
    return _Results(outcomes, {n: np.stack(arrays) for n, arrays in inputs.items() if arrays})


def _encoded(
    records: Sequence[Mapping[str, Any]], results: _ShardResults, network: int, model: ImageModel, per_image: bool
) -> EncodedShard:
    keys = [record["key"] for record in records]
    vectors = np.concatenate([np.empty((0, model.dimensions), np.float32), *results.vectors.get(network, [])])
    names, told = ((), vectors) if model.scores is None else (model.scores[0], model.scores[1](vectors))
    sums = np.zeros((len(keys), told.shape[1]), dtype=np.float32)
    encoded = np.zeros(len(keys), dtype=np.int32)
    left_out = np.zeros(len(keys), dtype=np.int32)
    reasons: list[str | None] = [None] * len(keys)
    # One after the other, in the order of the tar: sums do not depend on how pictures fell into batches.
    remaining = iter(told)
    for outcome in results.outcomes:
        if outcome.reason is None:
            sums[outcome.row] += next(remaining)
            encoded[outcome.row] += 1
        else:
            left_out[outcome.row] += 1
            reasons[outcome.row] = reasons[outcome.row] or outcome.reason
    absent = [
        None if count else (reason or Absence.NO_IMAGE) for count, reason in zip(encoded.tolist(), reasons, strict=True)
    ]
    scalars = dict(zip(SCALARS, (pa.array(encoded), pa.array(left_out), pa.array(reasons, pa.string())), strict=True))
    faults = [_fault(records[outcome.row], outcome) for outcome in results.outcomes if outcome.reason is not None]
    if model.scores is not None:
        means = sums / np.maximum(encoded, 1)[:, None]
        told_of = {name: pa.array(means[:, n], mask=encoded == 0) for n, name in enumerate(names)}
        return EncodedShard(keys, absent, None, {**told_of, **scalars}, None, faults)
    rows = _picture_rows(results.outcomes, vectors) if per_image else None
    return EncodedShard(keys, absent, unit_vectors(sums), scalars, rows, faults)


def _fault(record: Mapping[str, Any], left_out: _Outcome) -> Fault:
    return Fault(
        str(left_out.reason),
        influencer=record["influencer"],
        post_id=record["post_id"],
        archive=ARCHIVES[IMAGES],
        detail=f"{record['images'][left_out.position]} of the mapping, {record['key']}.{left_out.position}.jpg",
    )


def _picture_rows(outcomes: Sequence[_Outcome], vectors: npt.NDArray[np.float32]) -> PictureRows:
    reasons = [outcome.reason for outcome in outcomes]
    all_vectors = np.zeros((len(outcomes), vectors.shape[1]), dtype=np.float32)
    all_vectors[[reason is None for reason in reasons]] = vectors
    return PictureRows(
        rows=np.array([outcome.row for outcome in outcomes], np.int32),
        images=np.array([outcome.position for outcome in outcomes], np.int32),
        reasons=reasons,
        vectors=all_vectors,
    )


def _model(loaded: Sequence[ImageModel | None], n: int) -> ImageModel:
    model = loaded[n]
    assert model is not None, "a shard asks only for what is loaded"
    return model
