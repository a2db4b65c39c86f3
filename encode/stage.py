"""The stage: every finished post shard through every encoder, each pair once."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from typing import Any

from postmill.encode.device import choose_device, single_threaded
from postmill.encode.encoders.image import encode_pictures
from postmill.encode.interface import EncodedShard, EncoderSpec, EncodeSettings, loaded_once, passing
from postmill.encode.models import named_model
from postmill.encode.options import ModelSet, Precision, usual
from postmill.encode.preparation import reader
from postmill.encode.registry import encoder_specs
from postmill.encode.request import check
from postmill.encode.spread import cards_for, encode_on
from postmill.encode.summary import EncoderSummary, EncodeSummary, summary
from postmill.encode.trial import settled
from postmill.shards.formats import embeddings, faults, plan, posts
from postmill.shards.formats.encoders import Encoder, encoders_of, pin_encoder
from postmill.shards.run import temporary
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.pace import Contents
from postmill.shards.runtime.progress import Once, Progress, Silent
from postmill.shards.state import tasks
from postmill.shards.state.tasks import WHOLE, Task

Encode = Callable[[Sequence[int]], tuple[EncoderSummary, ...]]
"""Encodes finished post shards, by their numbers; the summaries are in the order in which encoders were asked for."""


def encode_run(
    run: Run,
    *,
    encoders: Sequence[str] | None = None,
    models: ModelSet = ModelSet.PAPER,
    model_overrides: Mapping[str, str] | None = None,
    device: Device = Device.AUTO,
    precision: Precision = Precision.AUTO,
    per_image: bool = False,
    task: Task = WHOLE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> EncodeSummary:
    """Encode what ingest has finished and no earlier call has encoded.

    A call that is killed leaves only complete embedding shards, and the next one carries on. The bytes depend on the
    post shards, the models, the precision and the kind of processor, not on the number of threads or on how often it
    was killed.

    Args:
        run: The run.
        encoders: Names: of :class:`.options.EncoderName`, or of plug-ins. None: :func:`.options.usual`.
        models: Where models come from that ``model_overrides`` does not name.
        model_overrides: A folder or hub id by the name of an encoder that :func:`.models.check_models` knows.
        device: Where they compute. On several GPUs each has a process, which does its part of the post shards.
        precision: In which number format; ``auto`` as of :class:`.options.Precision`.
        per_image: Keep a vector for each picture beside that of the post.
        task: The share of the post shards that this process does.
        workers: Threads; None: as many as this process has cores.
        progress: Told of stand-ins, of the device, of slower paths, and of every shard.

    Raises:
        UsageError: An argument names something unknown, there is no plan, or an encoder's folder was made with
            another model or setting.
        PostmillError: A model cannot be had, a post shard is damaged, or the disk is full.
    """
    progress = progress or Silent()
    planned = tasks.share(range(plan.counts(run).shards), task)
    overrides = dict(model_overrides or {})
    encoders = usual(models, overrides, text_only=False) if encoders is None else encoders
    check(encoders, models, overrides, device, precision)
    ready = finished(run, planned)
    waiting = len(planned) - len(ready)
    asked: dict[str, Any] = {
        "encoders": list(encoders),
        "models": models,
        "model_overrides": overrides,
        "device": device,
        "precision": precision,
        "per_image": per_image,
    }
    cards = cards_for(device, encoders, ready)
    encode = None if cards else encoding(run, **asked, workers=workers, progress=progress)
    if waiting:
        progress.note(f"{waiting:,} of {len(planned):,} post shards are not finished by ingest and wait")
    if encode is not None:
        return EncodeSummary(encode(ready), waiting)
    done = encode_on(cards, {"run": str(run.folder), **asked}, ready, workers, progress)
    by_folder = {encoder.folder: encoder for encoder in encoders_of(run)}
    return EncodeSummary(tuple(summary(run, by_folder[name], ready, n) for name, n in done.items()), waiting)


def encoding(
    run: Run,
    *,
    encoders: Sequence[str] | None = None,
    models: ModelSet = ModelSet.PAPER,
    model_overrides: Mapping[str, str] | None = None,
    device: Device = Device.AUTO,
    precision: Precision = Precision.AUTO,
    per_image: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Encode:
    """Return what encodes post shards and may be called again and again: models are loaded once.

    Arguments and errors are those of :func:`encode_run`, which encodes all that there are.
    """
    progress = Once(progress or Silent())
    overrides = dict(model_overrides or {})
    encoders = usual(models, overrides, text_only=False) if encoders is None else encoders
    check(encoders, models, overrides, device, precision)
    compute = functools.cache(functools.partial(choose_device, device, workers, progress, precision))
    settings = EncodeSettings(ModelSet(models), overrides, compute, per_image, progress)
    specs = [loaded_once(spec) for spec in encoder_specs(list(dict.fromkeys(encoders)), settings)]

    def settle(*, tries: bool) -> list[EncoderSpec]:
        return settled(run, specs, progress, tries=tries) if precision == Precision.AUTO else specs

    specs = settle(tries=False)
    for encoder in (spec.encoder for spec in specs):
        _check_pin(run, encoder)
        if encoder.stand_in_for:
            progress.note(f"{encoder.encoder}: {encoder.model} stands in for {encoder.stand_in_for}")

    def encode(shards: Sequence[int]) -> tuple[EncoderSummary, ...]:
        nonlocal specs
        _refuse_dropped(run, specs, shards)
        specs = settle(tries=bool(shards))
        summaries: dict[int, EncoderSummary] = {}
        passes = list(_passes(specs))
        with progress.steps([passing([specs[n] for n in numbers]) for numbers in passes]) as begin:
            for numbers in passes:
                group = [specs[n] for n in numbers]
                begin(passing(group))
                try:
                    done = _encode(run, group, shards, overrides, progress)
                except UsageError:
                    specs = settle(tries=False)  # another task may have pinned its own while this one loaded models
                    if [specs[n] for n in numbers] == group:
                        raise
                    done = _encode(run, [specs[n] for n in numbers], shards, overrides, progress)
                summaries.update(zip(numbers, done, strict=True))
        return tuple(summaries[n] for n in range(len(specs)))

    return encode


def finished(run: Run, shards: Sequence[int]) -> list[int]:
    """Return those of ``shards`` that ingest has finished; a task looks at its own alone."""
    return list(posts.done_among(run, shards))


def _refuse_dropped(run: Run, specs: Sequence[EncoderSpec], shards: Sequence[int]) -> None:
    """Refuse, before anything is loaded, pictures that were let go and that an encoder has not seen.

    Raises:
        PostmillError: There are some.
    """
    encoders = [spec.encoder for spec in specs if spec.load_image_model is not None]
    lacking = [
        shard
        for shard in posts.dropped(run, shards if encoders else ())
        if not all(embeddings.is_done(run, encoder, shard) for encoder in encoders)
    ]
    if lacking:
        raise reader.dropped(run, lacking)


def _check_pin(run: Run, encoder: Encoder) -> None:
    """Compare with what is pinned, if anything is, before hours are spent on other encoders; pin anew what was lost."""
    if (run.embeddings / encoder.folder).is_dir():
        pin_encoder(run, encoder)


def _passes(specs: Sequence[EncoderSpec]) -> Iterator[list[int]]:
    """Yield the numbers of the encoders that share a pass: all that read pictures, and each other one alone."""
    of_pictures = [n for n, spec in enumerate(specs) if spec.load_image_model is not None]
    for n, spec in enumerate(specs):
        if spec.load_image_model is None:
            yield [n]
        elif n == of_pictures[0]:
            yield of_pictures


def _encode(
    run: Run, group: Sequence[EncoderSpec], shards: Sequence[int], overrides: Mapping[str, str], progress: Progress
) -> list[EncoderSummary]:
    missing = {
        shard: [n for n, spec in enumerate(group) if not embeddings.is_done(run, spec.encoder, shard)]
        for shard in shards
    }
    todo = [(shard, numbers) for shard, numbers in missing.items() if numbers]
    if todo:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # they do not say of which picture
            for compute in {spec.compute for spec in group if spec.compute is not None}:
                stack.enter_context(single_threaded(compute))
            encoded_shards = stack.enter_context(closing(_encoded_shards(run, group, todo, progress)))
            for card in {spec.compute.card for spec in group if spec.compute is not None}:
                stack.enter_context(card.busy.told(passing(group), progress))
            for n in {n for _, numbers in todo for n in numbers}:
                temporary.sweep(pin_encoder(run, group[n].encoder))
            held = {shard: 0 if (of := posts.counts(run, shard)) is None else of.posts for shard, _ in todo}
            contents = Contents(sum(held.values()), "posts")
            advance = stack.enter_context(progress.track(passing(group), len(todo), "shards", 0, contents))
            writer = stack.enter_context(ThreadPoolExecutor(1))  # so that no device waits for the disk
            written: tuple[int, Future[None]] | None = None
            for (shard, _), by_number in zip(todo, encoded_shards, strict=True):
                if written is not None:
                    written[1].result()
                    advance(1, held[written[0]])
                written = shard, writer.submit(_write, run, group, shard, by_number, overrides)
            if written is not None:
                written[1].result()
                advance(1, held[written[0]])
    return [
        summary(run, spec.encoder, shards, done=sum(n in numbers for _, numbers in todo))
        for n, spec in enumerate(group)
    ]


def _encoded_shards(
    run: Run, group: Sequence[EncoderSpec], todo: Sequence[tuple[int, Sequence[int]]], progress: Progress
) -> Generator[dict[int, EncodedShard], None, None]:
    """Load the encoders that a shard lacks; then yield for each shard what they make of it, by number in ``group``."""
    load = group[0].load
    lacking = {n for _, numbers in todo for n in numbers}
    loading = [group[n].encoder.model for n in sorted(lacking) if group[n].compute is not None]
    with progress.track(f"{passing(group)}: loading {', '.join(loading)}", None) if loading else nullcontext():
        if load is not None:
            encoded_shards = load()(run, [shard for shard, _ in todo])
            return ({0: encoded} for encoded in encoded_shards)
        loaded = [
            spec.load_image_model() if spec.load_image_model is not None and n in lacking else None
            for n, spec in enumerate(group)
        ]
    compute = next(spec.compute for spec in group if spec.compute is not None)
    per_image = any(spec.encoder.preprocessing.get("per_image") for spec in group)
    return encode_pictures(loaded, compute, run, todo, per_image, progress)


def _write(
    run: Run,
    group: Sequence[EncoderSpec],
    shard: int,
    by_number: Mapping[int, EncodedShard],
    overrides: Mapping[str, str],
) -> None:
    for n, encoded in by_number.items():
        rows = encoded.keys, encoded.reasons, encoded.vectors, encoded.scalars, encoded.pictures
        encoder, named = group[n].encoder, named_model(group[n].encoder.encoder, overrides)
        found = faults.table(encoded.faults) if encoded.faults else None
        embeddings.write(run, encoder, shard, *rows, faults=found, named=named)
