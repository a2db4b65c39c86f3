"""One step of the work each: do it, and say what was done. What is heavy to load is loaded where it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from postmill.console.output import did, err, out, progress
from postmill.console.streams import emit
from postmill.encode.options import ModelSet, Precision, not_usual, usual
from postmill.ingest.sample.effect import Effect
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import EXIT_FAULTS, UsageError
from postmill.shards.runtime.interrupt import interruptible
from postmill.shards.runtime.progress import Progress
from postmill.shards.state.tasks import WHOLE, Task
from postmill.train.options import FeatureSet, RecipeName, Split, TargetName

if TYPE_CHECKING:
    from postmill.encode.summary import EncoderSummary
    from postmill.jobs.settings import Settings
    from postmill.shards.run.folder import Run
    from postmill.train.stage import TrainSummary


def open_run(folder: Path, *, reading: bool = False) -> Run:
    """Return the run in ``folder``.

    Args:
        folder: Where it lies.
        reading: Whether nothing is made that belongs to it, so that it may be of an older format.

    Raises:
        UsageError: There is none, or it was made in another version of the format.
        PostmillError: Its ``run.json`` is damaged.
    """
    from postmill.shards.run import folder as runs
    from postmill.shards.run.regular import RUN_FILE
    from postmill.shards.runtime import locks

    run = runs.open_run(folder, reading=reading)
    locks.check(run.folder / RUN_FILE)  # here, for worker processes say nothing
    return run


def sample(folder: Path, posts: int, influencers: int, seed: int, effect: Effect) -> None:
    """Write an invented dataset, and say what it is."""
    from postmill.ingest.sample.write import write_sample

    with progress() as shown:
        made = write_sample(folder, posts, influencers, seed, progress=shown, effect=effect)
    out.note(f"{folder}: {made.told}; the planted truth is in truth.json")


def encode(
    run: Run,
    encoders: Sequence[str],
    models: ModelSet,
    overrides: Mapping[str, str],
    device: Device,
    precision: Precision,
    task: Task,
    shown: Progress,
    per_image: bool = False,
) -> None:
    """Run the encoders, and say what each did."""
    with shown.track("encode: loading", None):
        from postmill.encode.stage import encode_run
        from postmill.jobs import machine

    if task == WHOLE:  # a task of an array may have nothing to do
        _refuse_nothing(run)
    if not encoders and (without := not_usual(models, overrides)):
        shown.note(without)
    summary = encode_run(
        run,
        encoders=encoders or usual(models, overrides, text_only=run.locations.text_only),
        models=models,
        model_overrides=overrides,
        device=device,
        precision=precision,
        per_image=per_image,
        task=task,
        workers=machine.cores() if machine.in_a_job() else None,
        progress=shown,
    )
    encoded(run, summary.encoders)
    if summary.waiting:
        out.print(f"encode: {summary.waiting:,} post shards wait for ingest: postmill ingest {escape(run.word)}")


def _refuse_nothing(run: Run) -> None:
    """Refuse to go on with post shards of which none is done.

    Raises:
        UsageError: None is.
    """
    from postmill.shards.formats import plan, posts

    planned = plan.counts(run).shards
    if planned and not any(True for _ in posts.done_shards(run, planned)):
        raise UsageError(f"none of {planned} post shards is done", place=run.posts, hint=f"postmill ingest {run.word}")


def encoded(run: Run, summaries: Sequence[EncoderSummary]) -> None:
    """Say what each encoder did, and what none could use."""
    for encoder in summaries:
        done = did(encoder.done, encoder.skipped)
        out.note(f"encode {encoder.encoder.folder}: {done}; {encoder.absent:,} posts absent")
        if encoder.coverage is not None:
            out.note(f"encode {encoder.encoder.folder}: {encoder.coverage.told()}")
    if left_out := max((encoder.left_out for encoder in summaries), default=0):  # all decode alike
        see = f"see them with: postmill faults {escape(run.word)}"
        out.print(f"encode: {left_out:,} pictures are of no use; {see}", soft_wrap=True)


def train(
    run: Run,
    shown: Progress,
    *,
    names: Sequence[str] = (),
    encoder_models: ModelSet | None = None,
    recipe: RecipeName = RecipeName.POSTMILL,
    features: FeatureSet = FeatureSet.DEFAULT,
    splits: Sequence[Split] = (),
    target: TargetName = TargetName.LIKES_AND_COMMENTS,
    comment_weight: float = 1.0,
    seeds: int | None = None,
    device: Device = Device.CPU,
    task: Task = WHOLE,
) -> TrainSummary:
    """Train, and say what was done; return it."""
    _refuse_nothing(run)
    with shown.track("train: loading", None):
        from postmill.train.stage import train_run

    summary = train_run(
        run,
        names=names or None,
        recipe=recipe,
        feature_set=features,
        split_names=splits or tuple(Split),
        target_name=target,
        comment_weight=comment_weight,
        seeds=seeds,
        encoder_models=encoder_models,
        device=device,
        task=task,
        progress=shown,
    )
    out.note(f"train: {did(len(summary.trained), len(summary.kept))}")
    return summary


def submit(run: Run, settings: Settings, again: bool, dry_run: bool) -> None:
    """Submit what is missing, or print its scripts, and say what was submitted, what was not and why."""
    from postmill.jobs import show, submit
    from postmill.jobs.settings import save
    from postmill.shards.state import attempts

    work = submit.work(run, settings, again, ask=not dry_run)
    scripts = submit.build(run, settings, work.arrays)
    submitted: Sequence[submit.Submitted] = ()
    if dry_run:
        for script in scripts:
            emit(submit.printed(script, scripts).encode("utf-8", "surrogateescape"))
    else:
        save(run, settings)
        submitted = list(submit.submit(run, scripts))
    lines = [*show.submission(work, submitted), *show.given_up_view(run, work, attempts.read(run))]
    nothing = [] if scripts else ["nothing is missing"]
    for line in lines or nothing:
        (err if dry_run else out).print(escape(line), soft_wrap=True, highlight=False)  # the scripts alone go to stdout


def end(run: Run, max_faults: int | None, answer: Callable[[Run], None] | None = None) -> None:
    """Say how many faults the run has, ``answer`` a program, and exit with 3 if they are more than the user allows."""
    from postmill.shards.formats.faults import total_faults

    with interruptible():
        faults = total_faults(run)
    if faults:
        out.print(f"faults: {faults:,}; see them with: postmill faults {escape(run.word)}", soft_wrap=True)
    if answer is not None:
        answer(run)
    if max_faults is not None and faults > max_faults:
        raise typer.Exit(EXIT_FAULTS)
