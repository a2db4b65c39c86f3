"""The encoders of pictures: one vector for the pictures of a post, every picture read and decoded once for all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from postmill.encode import models
from postmill.encode.device import Compute, leaving, to_host
from postmill.encode.encoders import clip, efficientnet, image_emotion, probes
from postmill.encode.encoders.picture_rows import SCALARS as SCALARS
from postmill.encode.encoders.picture_rows import Outcome, ShardResults, rows
from postmill.encode.encoders.picture_rows import unit_vectors as unit_vectors
from postmill.encode.interface import EncodedShard, EncoderSpec, EncodeSettings, ImageModel, with_variants
from postmill.encode.model_files import ModelFiles
from postmill.encode.options import EncoderName
from postmill.encode.preparation.batches import in_batches
from postmill.encode.preparation.picture import FORMATS, MAX_PIXELS
from postmill.encode.preparation.preparers import preparing
from postmill.encode.preparation.reader import Picture, read_pictures
from postmill.encode.preparation.stream import stream
from postmill.shards.formats import posts
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Progress, Silent

BATCH = 8  # on one core as fast as any, and larger ones fall out of its cache
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
        known = model, efficientnet.DIMENSIONS, efficientnet.PREPROCESSING
        load_lite = functools.partial(efficientnet.load_image_model, model)
        return with_variants(lambda on: [_spec(settings, on, *known, functools.partial(load_lite, on))], compute)
    model = models.transformers_model(EncoderName.IMAGE, settings.overrides.get(EncoderName.IMAGE))
    dimensions = clip.clip_dimensions(model.folder)

    def make(compute: Compute) -> list[EncoderSpec]:
        @functools.cache
        def load() -> Sequence[ImageModel]:
            of = model, compute, settings.progress
            return image_emotion.load(*of) if EncoderName.IMAGE_EMOTION in names else [clip.load_image_model(*of)]

        shared = clip.preprocessing(compute)
        known = {**shared, **common_preprocessing(settings)}
        made = {
            EncoderName.IMAGE: lambda: _spec(settings, compute, model, dimensions, shared, lambda: load()[0]),
            EncoderName.IMAGE_EMOTION: lambda: image_emotion.spec(model, compute, known, SCALARS, lambda: load()[-1]),
        }
        return [probes.with_pictures(made[name](), compute, BATCH) for name in names]

    return with_variants(make, compute)


def spec(settings: EncodeSettings) -> EncoderSpec:
    """Return the image encoder; errors are those of :func:`specs`."""
    return specs(settings, [EncoderName.IMAGE])[0]


def _spec(
    settings: EncodeSettings,
    compute: Compute,
    model: ModelFiles,
    dimensions: int,
    preprocessing: Mapping[str, Any],
    load: Callable[[], ImageModel],
) -> EncoderSpec:
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
class _Results:
    """A batch under way: ``values`` holds, by model, inputs, then features, then unit vectors.

    The values are those of the pictures that are not left out, in their order.
    """

    outcomes: Sequence[Outcome]
    values: Mapping[int, Any]


@dataclass(frozen=True)
class _EndOfPictures:
    """All of a shard has been read: its records, and the numbers of the models that encode it."""

    records: Sequence[Mapping[str, Any]]
    models: Sequence[int]


def encode_pictures(
    loaded: Sequence[ImageModel | None],
    compute: Compute,
    run: Run,
    todo: Iterable[tuple[int, Sequence[int]]],
    per_image: bool = False,
    progress: Progress | None = None,
) -> Generator[dict[int, EncodedShard], None, None]:
    """Encode the pictures of post shards with one or several models, of which each picture is decoded once.

    Args:
        loaded: The models; None for one that no shard asks for.
        compute: Where they run.
        run: The run.
        todo: Numbers of post shards, each with the numbers in ``loaded`` of the models that are to encode it.
        per_image: Keep a row for each picture too.
        progress: Told where pictures are prepared in a slower way.

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

    def forward(item: _Results | _EndOfPictures) -> _Results | _EndOfPictures:
        if isinstance(item, _EndOfPictures):
            return item
        made = {n: leaving(compute, _model(loaded, n).forward(inputs)) for n, inputs in item.values.items()}
        return _Results(item.outcomes, made)

    def collect(item: _Results | _EndOfPictures) -> _Results | _EndOfPictures:
        if isinstance(item, _EndOfPictures):
            return item
        vectors = {n: unit_vectors(to_host(compute, features)) for n, features in item.values.items()}
        return _Results(item.outcomes, vectors)

    ways = {n: _model(loaded, n).prepare for n in dict.fromkeys(same) if loaded[n] is not None}
    results = ShardResults()
    with preparing(compute.workers, size, ways, progress or Silent()) as prepare_pictures:

        def prepare(item: _Batch | _EndOfPictures) -> _Results | _EndOfPictures:
            if isinstance(item, _EndOfPictures):
                return item
            reasons, pixels = prepare_pictures([picture.data for picture in item.pictures], item.models)
            pairs = zip(item.pictures, reasons, strict=True)
            return _Results([Outcome(picture.row, picture.position, reason) for picture, reason in pairs], pixels)

        with closing(stream(compute, items(), prepare, forward, collect)) as stepped:
            for item in stepped:
                if isinstance(item, _EndOfPictures):
                    yield {n: rows(item.records, results, same[n], _model(loaded, n), per_image) for n in item.models}
                    results = ShardResults()
                else:
                    results.add(item.outcomes, item.values)


def _same(loaded: Sequence[ImageModel | None]) -> list[int]:
    """Return for each model the number of the first that prepares and encodes pictures as it does."""
    networks = [None if model is None else (model.prepare, model.forward) for model in loaded]
    return [networks.index(network) for network in networks]


def _model(loaded: Sequence[ImageModel | None], n: int) -> ImageModel:
    model = loaded[n]
    assert model is not None, "a shard asks only for what is loaded"
    return model
