"""What `postmill submit` was told; kept in ``logs/submit.json``, so that `postmill retry` need not be told again."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postmill.encode.options import EncoderName, ModelSet, Precision, usual
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.train.options import StudyName, TargetName

if TYPE_CHECKING:
    from postmill.shards.run.folder import Run

SETTINGS_FILE = "submit.json"
MAX_TASKS = 1000  # tasks of a stage, where it has more pieces: several pieces a task
GPU_SHARDS = 16  # post shards of a task with a GPU, for each GPU: to start takes as long as a shard or two


@dataclass(frozen=True)
class Settings:
    """How the work is cut into jobs, and what each job is given.

    Attributes:
        encoders: Names of the encoders.
        gpu_encoders: Which of them get a GPU.
        models: Where encoders take their models from.
        model_overrides: Folder or hub id by encoder.
        precision: As for `postmill encode`, for every encoder.
        study, target: As for `postmill train`.
        tasks: The most tasks that a stage is cut into; None: MAX_TASKS, and with a GPU one for GPU_SHARDS post shards.
        limit: The most tasks of an array that run at once; None: as many as Slurm lets.
        partition, account, time, memory, cpus: Options of sbatch for every job; None: the template's, or the cluster's.
        gres: What an encoder that gets a GPU asks for; empty where there is none to be had: it then runs on the CPU.
        modules: Names for `module load`.
        venv: Folder of a virtual environment whose programs come first; None: none.
        sbatch: Further options of sbatch, such as ``--qos=high``, for every job.
    """

    encoders: tuple[str, ...]
    gpu_encoders: tuple[str, ...] = (EncoderName.IMAGE.value,)
    models: ModelSet = ModelSet.PAPER
    model_overrides: Mapping[str, str] = field(default_factory=dict)
    precision: Precision = Precision.AUTO
    study: StudyName | None = None
    target: TargetName = TargetName.LIKES_AND_COMMENTS
    tasks: int | None = None
    limit: int | None = None
    partition: str | None = None
    account: str | None = None
    time: str | None = None
    memory: str | None = None
    cpus: int | None = None
    gres: str = "gpu:1"
    modules: tuple[str, ...] = ()
    venv: str | None = None
    sbatch: tuple[str, ...] = ()


def wants_gpu(settings: Settings, stage: str) -> bool:
    """Say whether the tasks of ``stage`` ask for a GPU."""
    return bool(settings.gres) and bool(set(stage.split(".")[1:]) & set(settings.gpu_encoders))


def tasks_of(settings: Settings, stage: str, pieces: int) -> int:
    """Return how many tasks a stage of so many pieces is cut into: none has nothing to do."""
    if settings.tasks is None and pieces and wants_gpu(settings, stage):
        number = settings.gres.rpartition(":")[2]
        cards = int(number) if number.isascii() and number.isdigit() else 1
        return min(max(1, pieces // (GPU_SHARDS * max(1, cards))), MAX_TASKS)
    return min(pieces, MAX_TASKS if settings.tasks is None else settings.tasks)


def for_text(settings: Settings) -> Settings:
    """Return ``settings`` with the encoders that are run where no pictures were asked for."""
    names = tuple(map(str, usual(settings.models, settings.model_overrides, text_only=True)))
    on_gpu = tuple(name for name in settings.gpu_encoders if name in names)
    return dataclasses.replace(settings, encoders=names, gpu_encoders=on_gpu)


def checked(settings: Settings) -> Settings:
    """Return ``settings`` with only those GPU encoders that are encoded at all, having checked every name.

    Raises:
        UsageError: One means nothing, or the precision is not for the device that an encoder gets.
    """
    from postmill.encode.request import check, check_names

    check_names(settings.gpu_encoders, "--gpu-encoder")
    on_gpu = tuple(name for name in settings.encoders if name in settings.gpu_encoders)
    device = Device.CUDA if on_gpu and settings.gres else Device.CPU
    check(settings.encoders, settings.models, settings.model_overrides, device, settings.precision)
    return dataclasses.replace(settings, gpu_encoders=on_gpu)


def virtual_environment(venv: Path | None) -> str | None:
    """Return the virtual environment of the tasks: ``venv``, or that of this command, None where it is in none."""
    if venv is not None:
        return str(venv.resolve())
    return sys.prefix if sys.prefix != sys.base_prefix else None


def save(run: Run, settings: Settings) -> None:
    """Keep ``settings`` in the run."""
    run.logs.mkdir(exist_ok=True)
    from postmill.shards.run import publish  # here: help must not wait for what writes tables

    publish.put_bytes(run.logs / SETTINGS_FILE, json.dumps(dataclasses.asdict(settings), indent=1).encode() + b"\n")


def load(run: Run) -> Settings:
    """Return the settings of the last `postmill submit`.

    Raises:
        UsageError: There was none.
        PostmillError: They cannot be read.
    """
    from postmill.shards.run import regular

    path = run.logs / SETTINGS_FILE
    try:
        value: dict[str, Any] = json.loads(regular.read(path))
        lists = {name: tuple(items) for name, items in value.items() if isinstance(items, list)}
        names: dict[str, StrEnum | None]
        names = {"models": ModelSet(value["models"]), "precision": Precision(value["precision"])}
        names["target"] = TargetName(value["target"])
        names["study"] = None if value["study"] is None else StudyName(value["study"])
        return Settings(**{**value, **lists, **names})
    except FileNotFoundError:
        raise UsageError(
            "was never submitted", place=run.folder, hint=f"say how, once: postmill submit {run.word}"
        ) from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise PostmillError(
            f"cannot be read ({error})", place=path, hint=f"submit anew: postmill submit {run.word}"
        ) from error
