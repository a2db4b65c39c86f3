"""`postmill submit` and `postmill retry`: what is missing becomes scripts in ``logs/scripts`` and jobs of Slurm."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postmill.encode.options import Precision
from postmill.jobs import scripts, slurm
from postmill.jobs.arrays import TRAIN, Array, MissingWork, missing_work, ranges
from postmill.jobs.settings import Settings, wants_gpu
from postmill.jobs.slurm import Job, JobMark
from postmill.shards.formats.choices import Stage
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError
from postmill.train.options import TargetName

SCRIPTS = "scripts"
_INGEST = frozenset(stage.value for stage in Stage)
_GLANCE_S = 5.0  # what a look at the status may wait for Slurm

log = logging.getLogger("postmill")


@dataclass(frozen=True)
class Script:
    """A batch script that is not submitted yet: ``name`` without its suffix, and the array it is for."""

    name: str
    text: str
    array: Array


@dataclass(frozen=True)
class Submitted:
    """A script that was submitted: the job's id, and what it waits for as Slurm was told, empty where for nothing."""

    script: Script
    job: str
    dependency: str


def mark(run: Run) -> str:
    """Return what tells this run's jobs from others': a hash of where it lies and of what it is."""
    return hashlib.sha256(f"{run.folder.resolve()}\0{run.fingerprint}".encode()).hexdigest()[:12]


def queue(run: Run, timeout: float = 60.0) -> list[Job]:
    """Return the run's jobs in Slurm's queue.

    Raises:
        PostmillError: Slurm cannot be asked.
    """
    return slurm.queued(mark(run), timeout)


def reachable(run: Run) -> list[Job] | None:
    """Return the run's jobs in Slurm's queue, None where there is no Slurm that answers within seconds."""
    if shutil.which("squeue") is None:
        return None
    try:
        return queue(run, _GLANCE_S)
    except PostmillError:  # a client without a cluster, as on a laptop: what is shown says that nobody answers
        return None


def work(run: Run, settings: Settings, again: bool = False, ask: bool = True) -> MissingWork:
    """Return what is missing and not in the queue.

    Args:
        run: A planned run.
        settings: How to cut it.
        again: Take the tasks that failed too often, too.
        ask: Slurm must answer, with the queue and the size of arrays. Else, where it does not, nothing is taken to be
            queued, and the size to be the usual one.

    Raises:
        PostmillError: Slurm does not answer.
    """
    try:
        return missing_work(run, settings, queue(run), slurm.max_array_size(), again)
    except PostmillError as error:
        if ask:
            raise
        log.info("Slurm was not asked (%s): MaxArraySize is taken to be %d", error, slurm.MAX_ARRAY_SIZE)
        return missing_work(run, settings, [], slurm.MAX_ARRAY_SIZE, again)


def script_of(run: Run, settings: Settings, array: Array, name: str) -> Script:
    """Return the script of ``array``.

    Raises:
        UsageError: A path or an option holds what a batch script cannot.
    """
    kind = "ingest" if array.stage in _INGEST else TRAIN if array.stage == TRAIN else "encode"
    template = scripts.template(kind)
    directives: dict[str, str | None] = {
        "job-name": f"postmill-{array.stage}",
        "comment": str(JobMark(mark(run), array.stage, array.offset, array.count)),
        "output": scripts.pattern(run.folder.resolve() / "logs", f"{name}-%{'A_%a' if array.indices else 'j'}.log"),
    }
    if array.indices:
        limit = "" if settings.limit is None else f"%{settings.limit}"
        directives["array"] = ranges(array.indices) + limit
    limits = {"partition": settings.partition, "account": settings.account, "time": settings.time}
    limits |= {"mem": settings.memory, "cpus-per-task": None if settings.cpus is None else str(settings.cpus)}
    directives.update({option: value for option, value in limits.items() if value is not None})
    if wants_gpu(settings, array.stage):
        directives["gres"] = settings.gres
    directives.update(map(scripts.option, settings.sbatch))
    cpus = int(directives.get("cpus-per-task") or scripts.default(template, "cpus-per-task") or 1)
    arguments = [str(run.folder.resolve())]
    if array.indices:
        arguments += [str(array.count), str(array.offset)]
    arguments += _options(settings, array, cpus)
    venv = None if settings.venv is None else Path(settings.venv)
    text = scripts.render(template, directives, arguments, scripts.environment_lines(settings.modules, venv))
    return Script(name, text, array)


def build(run: Run, settings: Settings, arrays: Sequence[Array]) -> list[Script]:
    """Return a script for each of ``arrays``, named after its stage."""
    seen: dict[str, int] = {}
    made = []
    for array in arrays:
        number = seen[array.stage] = seen.get(array.stage, 0) + 1
        made.append(script_of(run, settings, array, array.stage if number == 1 else f"{array.stage}.{number}"))
    return made


def dependency(array: Array, jobs: Sequence[str]) -> str:
    """Return what ``array`` waits for as sbatch is told; ``jobs`` are the ids of the arrays before it."""
    return ":".join([array.wait, *(job if isinstance(job, str) else jobs[job] for job in array.after)])


def printed(made: Script, others: Sequence[Script]) -> str:
    """Return ``made`` as `--dry-run` prints it: a line with the command, naming what it waits for, then the script."""
    after = made.array.after
    waits = dependency(made.array, [f"JOB_OF_{script.name}" for script in others]) if after else ""
    words = ["sbatch", *([f"--dependency={waits}"] if waits else []), f"{made.name}.sbatch"]
    return f"# {' '.join(words)}\n{made.text}\n"


def submit(run: Run, made: Sequence[Script]) -> Iterator[Submitted]:
    """Write the scripts into the run and submit them in order, yielding each.

    Raises:
        PostmillError: Slurm refuses one; those before it are submitted, and said to be.
    """
    folder = run.logs / SCRIPTS
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[str] = []
    for script in made:
        path = folder.resolve() / f"{script.name}.sbatch"
        publish.put_bytes(path, script.text.encode())
        after = dependency(script.array, jobs) if script.array.after else ""
        try:
            jobs.append(slurm.submit(path, [f"--dependency={after}"] if after else []))
        except PostmillError as error:
            error.hint = f"{error.hint}; then: postmill retry {run.word}"
            raise
        yield Submitted(script, jobs[-1], after)


def _options(settings: Settings, array: Array, cpus: int) -> list[str]:
    if array.stage in _INGEST:
        return ["--stage", array.stage, "--workers", str(max(1, min(cpus, array.pieces)))]
    models = ["--models", settings.models]
    if array.stage == TRAIN:
        study = [] if settings.study is None else ["--study", settings.study]
        target = [] if settings.target == TargetName.LIKES_AND_COMMENTS else ["--target", settings.target]
        return [*models, *study, *target]
    overrides = [f"--model={name}={model}" for name, model in sorted(settings.model_overrides.items())]
    device = Device.CUDA if wants_gpu(settings, array.stage) else Device.CPU
    encoders = [word for name in array.stage.split(".")[1:] for word in ("--encoder", name)]
    precision = [] if settings.precision is Precision.AUTO else ["--precision", settings.precision]
    return [*encoders, *models, *overrides, *precision, "--device", device.value]
