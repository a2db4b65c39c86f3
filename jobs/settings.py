"""What `postmill submit` was told; kept in ``logs/submit.json``, so that `postmill retry` needs not be told again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shards import publish
from shards.errors import PostmillError, UsageError
from shards.run import Run

FILE = "submit.json"
MAX_TASKS = 1000  # tasks of a stage, where it has more pieces: several pieces a task


@dataclass(frozen=True)
class Settings:
    """How the work is cut into jobs, and what each job is given.

    Attributes:
        encoders: Names of the encoders.
        gpu_encoders: Those of them that get a GPU.
        models: ``paper`` or ``light``.
        model_overrides: Folder or hub id by encoder.
        precision: As for `postmill encode`, for every encoder.
        tasks: The most tasks that a stage is cut into.
        limit: The most tasks of an array that run at once; None: as many as Slurm lets.
        partition, account, time, memory, cpus: Options of sbatch for every job; None: the template's, or the cluster's.
        gres: What an encoder that gets a GPU asks for; empty where there is none to be had: it then runs on the CPU.
        modules: Names for `module load`.
        venv: Folder of a virtual environment whose programs come first; None: none.
        sbatch: Further options of sbatch, such as ``--qos=high``, for every job.
    """

    encoders: tuple[str, ...]
    gpu_encoders: tuple[str, ...] = ("image",)
    models: str = "paper"
    model_overrides: Mapping[str, str] = field(default_factory=dict)
    precision: str = "auto"
    tasks: int = MAX_TASKS
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


def save(run: Run, settings: Settings) -> None:
    """Keep ``settings`` in the run."""
    run.logs.mkdir(exist_ok=True)
    publish.put_bytes(run.logs / FILE, json.dumps(dataclasses.asdict(settings), indent=1).encode() + b"\n")


def load(run: Run) -> Settings:
    """Return the settings of the last `postmill submit`.

    Raises:
        UsageError: There was none.
        PostmillError: They cannot be read.
    """
    path = run.logs / FILE
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
        lists = {name: tuple(each) for name, each in value.items() if isinstance(each, list)}
        return Settings(**{**value, **lists})
    except FileNotFoundError:
        raise UsageError(
            "was never submitted", place=run.folder, hint=f"say how, once: postmill submit {run.word}"
        ) from None
    except (ValueError, TypeError, AttributeError) as error:
        raise PostmillError(
            f"cannot be read ({error})", place=path, hint=f"submit anew: postmill submit {run.word}"
        ) from error
