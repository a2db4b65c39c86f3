"""The stage: every finished post shard through every encoder, each pair once."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

from encode import device as devices
from encode import image, metadata, models, plugins, sentiment, text
from encode.encoders import ENCODERS, IMAGE, METADATA, SENTIMENT, TEXT, TEXT_WITH_COMMENTS, Recipe, Rows, Settings
from shards import embeddings, manifests, plan, posts, tasks, temporary
from shards.embeddings import Encoder
from shards.errors import UsageError
from shards.posts import shard_name
from shards.progress import Progress, Silent
from shards.run import Run
from shards.tasks import WHOLE, Task


@dataclass(frozen=True)
class EncoderSummary:
    """What was done for one encoder.

    Attributes:
        encoder: Its description; ``encoder.folder`` names its folder.
        done: Post shards encoded by this call.
        skipped: Post shards that had been encoded before.
        posts: Rows in all of them.
        absent: Rows of them that are marked absent.
    """

    encoder: Encoder
    done: int
    skipped: int
    posts: int
    absent: int


@dataclass(frozen=True)
class EncodeSummary:
    """What a call did.

    Attributes:
        encoders: One for each encoder, in the order in which they were asked for.
        waiting: Post shards of this share that ingest has not finished, and that are therefore not encoded.
    """

    encoders: tuple[EncoderSummary, ...]
    waiting: int


def encode_run(
    run: Run,
    *,
    encoders: Sequence[str] = ENCODERS,
    models: str = models.PAPER,
    model_overrides: Mapping[str, str] | None = None,
    device: str = "auto",
    precision: str = "auto",
    per_image: bool = False,
    task: Task = WHOLE,
    workers: int | None = None,
    progress: Progress | None = None,
) -> EncodeSummary:
    """Encode what ingest has finished and no earlier call has encoded.

    A call that is killed leaves only whole embedding shards, and the next one carries on. The bytes depend on the
    post shards, the models and the kind of processor, not on the number of threads or on how often it was killed.

    Args:
        run: The run.
        encoders: Some of :data:`encode.encoders.ENCODERS`, or names of plug-ins.
        models: ``paper`` or ``light``.
        model_overrides: A folder or hub id by ``text``, ``sentiment`` or ``image``.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``float32``, ``float16``, ``bfloat16`` or ``float16-mkl``; auto is float32 on the CPU and
            float16 on CUDA.
        per_image: Keep a vector for each picture beside that of the post.
        task: The share of the post shards that this process does.
        workers: Threads; None: as many as this process has cores.
        progress: Told of stand-ins, of the device, and of every shard.

    Raises:
        UsageError: An argument names something unknown, there is no plan, or an encoder's folder was made with
            another model or setting.
        PostmillError: A model cannot be had, a post shard is damaged, or the disk is full.
    """
    says = Silent() if progress is None else progress
    overrides = dict(model_overrides or {})
    check(encoders, models, overrides, device, precision)
    mine = tasks.share(range(plan.manifest(run).counts["shards"]), task)
    finished = frozenset(posts.done_shards(run, mine[-1] + 1 if mine else 0))
    ready = [shard for shard in mine if shard in finished]
    if len(ready) < len(mine):
        says.note(f"{len(mine) - len(ready)} of {len(mine)} post shards are not finished by ingest and wait")
    compute = functools.cache(functools.partial(devices.choose, device, workers, says, precision))
    recipes = _recipes(list(dict.fromkeys(encoders)), Settings(models, overrides, compute, per_image))
    for recipe in recipes:
        _check_pin(run, recipe.encoder)
        if recipe.encoder.stand_in_for:
            says.note(f"{recipe.encoder.encoder}: {recipe.encoder.model} stands in for {recipe.encoder.stand_in_for}")
    by_folder = {each.encoder.folder: each for group in _groups(recipes) for each in _encode(run, group, ready, says)}
    return EncodeSummary(tuple(by_folder[recipe.encoder.folder] for recipe in recipes), len(mine) - len(ready))


def check(
    encoders: Sequence[str], models_set: str, overrides: Mapping[str, str], device: str, precision: str = "auto"
) -> None:
    """Refuse names that mean nothing here.

    Raises:
        UsageError: One of the arguments names something unknown, the hint listing what is known, or the precision is
            not for the device.
    """
    known = (*ENCODERS, *plugins.names())
    for name in encoders:
        if name not in known:
            raise UsageError(f"{name!r} is no encoder", place="--encoders", hint=f"known are: {', '.join(known)}")
    devices.check(device, precision)
    models.check_choice(models_set, overrides)


def find_models(
    encoders: Sequence[str], models_set: str, overrides: Mapping[str, str], device: str, precision: str = "auto"
) -> tuple[Encoder, ...]:
    """Return what each of ``encoders`` would be, having found its model and the device: nothing is encoded.

    For a caller that would rather know now than after hours of ingest that a model cannot be had.

    Raises:
        UsageError: One of the arguments names something unknown, or CUDA was asked for and is not there.
        PostmillError: A model cannot be had.
    """
    check(encoders, models_set, overrides, device, precision)
    compute = functools.cache(functools.partial(devices.choose, device, None, Silent(), precision))
    return tuple(recipe.encoder for recipe in _recipes(encoders, Settings(models_set, dict(overrides), compute)))


def _recipes(names: Sequence[str], settings: Settings) -> list[Recipe]:
    found: dict[str, Recipe] = {}
    of_text = [name for name in names if name in (TEXT, TEXT_WITH_COMMENTS)]
    if of_text:
        found.update(zip(of_text, text.recipes(settings, of_text), strict=True))
    for name, recipe in ((SENTIMENT, sentiment.recipe), (IMAGE, image.recipe)):
        if name in names:
            found[name] = recipe(settings)
    if METADATA in names:
        found[METADATA] = metadata.recipe()
    for name in names:
        if name not in found:
            found[name] = plugins.recipe(name, settings)
    return [found[name] for name in names]


def _check_pin(run: Run, encoder: Encoder) -> None:
    """Compare with what is pinned, if anything is, before hours are spent on other encoders; pin anew what was lost."""
    if (run.embeddings / encoder.folder).is_dir():
        embeddings.pin(run, encoder)


def _groups(recipes: Sequence[Recipe]) -> Iterator[list[Recipe]]:
    """Yield the recipes that share a pass: all that read pictures, and each other one alone."""
    of_pictures = [recipe for recipe in recipes if recipe.load_image_model is not None]
    for recipe in recipes:
        if recipe.load_image_model is None:
            yield [recipe]
        elif recipe is of_pictures[0]:
            yield of_pictures


def _encode(run: Run, group: Sequence[Recipe], shards: Sequence[int], progress: Progress) -> list[EncoderSummary]:
    missing = {
        shard: [n for n, recipe in enumerate(group) if not embeddings.is_done(run, recipe.encoder, shard)]
        for shard in shards
    }
    todo = [(shard, wanted) for shard, wanted in missing.items() if wanted]
    if todo:
        with ExitStack() as stack:
            for compute in {recipe.compute for recipe in group if recipe.compute is not None}:
                stack.enter_context(devices.steady(compute))
            rows = stack.enter_context(closing(_rows(run, group, todo)))
            for n in {n for _, wanted in todo for n in wanted}:
                temporary.sweep(embeddings.pin(run, group[n].encoder))
            label = f"encode {', '.join(recipe.encoder.encoder for recipe in group)}"
            advance = stack.enter_context(progress.track(label, len(todo), "shards"))
            writer = stack.enter_context(ThreadPoolExecutor(1))  # so that no device waits for the disk
            written: Future[None] | None = None
            for (shard, _), found in zip(todo, rows, strict=True):
                if written is not None:
                    written.result()
                    advance(1)
                written = writer.submit(_write, run, group, shard, found)
            if written is not None:
                written.result()
                advance(1)
    return [
        _summary(run, recipe.encoder, shards, done=sum(n in wanted for _, wanted in todo))
        for n, recipe in enumerate(group)
    ]


def _rows(
    run: Run, group: Sequence[Recipe], todo: Sequence[tuple[int, Sequence[int]]]
) -> Generator[dict[int, Rows], None, None]:
    """Load what is wanted; then yield for each shard the rows of the encoders that want it, by place in ``group``."""
    load = group[0].load
    if load is not None:
        rows = load()(run, [shard for shard, _ in todo])
        return ({0: each} for each in rows)
    wanted = {n for _, own in todo for n in own}
    loaded = [
        recipe.load_image_model() if recipe.load_image_model is not None and n in wanted else None
        for n, recipe in enumerate(group)
    ]
    compute = next(recipe.compute for recipe in group if recipe.compute is not None)
    per_image = any(recipe.encoder.preprocessing.get("per_image") for recipe in group)
    return image.encode(loaded, compute, run, todo, per_image)


def _write(run: Run, group: Sequence[Recipe], shard: int, found: Mapping[int, Rows]) -> None:
    for n, rows in found.items():
        scalars, pictures = rows.scalars, rows.pictures
        embeddings.write(run, group[n].encoder, shard, rows.keys, rows.reasons, rows.vectors, scalars, pictures)


def _summary(run: Run, encoder: Encoder, shards: Sequence[int], done: int) -> EncoderSummary:
    counts = [_counts(run, encoder, shard) for shard in shards]
    return EncoderSummary(
        encoder,
        done=done,
        skipped=len(shards) - done,
        posts=sum(count.get("posts", 0) for count in counts),
        absent=sum(count.get("absent", 0) for count in counts),
    )


def _counts(run: Run, encoder: Encoder, shard: int) -> Mapping[str, int]:
    manifest = manifests.read(run.embeddings / encoder.folder, shard_name(shard))
    return {} if manifest is None else manifest.counts
