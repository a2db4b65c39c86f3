"""The commands of a cluster: parse, submit, print."""

from __future__ import annotations

from typing import Annotated

import typer

from postmill.console import steps
from postmill.console.arguments import options, training
from postmill.encode.options import EncoderName, ModelSet, Precision, usual
from postmill.train.options import TargetName


def submit(
    folder: options.RunArgument,
    encoder: options.EncoderOption = None,
    models: options.ModelsOption = ModelSet.PAPER,
    model: options.ModelOption = None,
    gpu_encoder: options.GpuEncoderOption = None,
    gres: options.GresOption = "gpu:1",
    precision: options.PrecisionOption = Precision.AUTO,
    study: training.StudyOption = None,
    target: training.TargetOption = TargetName.LIKES_AND_COMMENTS,
    tasks: Annotated[
        int | None, typer.Option("--tasks", min=1, help="The most tasks of a stage; 1,000, fewer with a GPU.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="The most tasks that run at once.")] = None,
    partition: Annotated[str | None, typer.Option("--partition", help="As for sbatch.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="As for sbatch.")] = None,
    limit_time: Annotated[str | None, typer.Option("--time", help="As for sbatch: 08:00:00.")] = None,
    memory: Annotated[str | None, typer.Option("--mem", help="As for sbatch: 8G.")] = None,
    cpus: Annotated[int | None, typer.Option("--cpus", min=1, help="Cores of a task.")] = None,
    module: Annotated[list[str] | None, typer.Option("--module", help="For `module load`. Repeatable.")] = None,
    venv: options.VenvOption = None,
    sbatch: options.SbatchOption = None,
    again: options.AgainOption = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Submit what is missing to Slurm: an array for each stage, each waiting for the last."""
    from postmill.jobs import settings

    asked = settings.Settings(
        encoders=options.listed(encoder) or tuple(map(str, usual(models, options.overrides(model), text_only=False))),
        gpu_encoders=options.listed(gpu_encoder) or (EncoderName.IMAGE.value,),
        models=models,
        model_overrides=options.overrides(model),
        precision=precision,
        study=study,
        target=target,
        tasks=tasks,
        limit=limit,
        partition=partition,
        account=account,
        time=limit_time,
        memory=memory,
        cpus=cpus,
        gres=gres,
        modules=tuple(module or ()),
        venv=settings.virtual_environment(venv),
        sbatch=tuple(sbatch or ()),
    )
    checked = settings.checked(asked)
    run = steps.open_run(folder)
    if not encoder and run.locations.text_only:
        checked = settings.for_text(checked)
    steps.submit(run, checked, again, dry_run)


def retry(
    folder: options.RunArgument, again: options.AgainOption = False, dry_run: options.DryRunOption = False
) -> None:
    """Submit what is still missing and not in the queue, as the last `postmill submit` was told to."""
    from postmill.jobs.settings import load

    run = steps.open_run(folder)
    steps.submit(run, load(run), again, dry_run)
