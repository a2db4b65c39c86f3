"""What a task finds where it begins: host, cores, GPU, scratch; said in its log and written into its record."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postmill.encode.options import Precision
from postmill.shards.runtime import cores as runtime_cores
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.progress import Progress, Silent

# The scheduler's name for the job, and how often it was started before.
_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "AWS_BATCH_JOB_ID", "JOB_ID")
_CORES = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "NSLOTS", "LSB_DJOB_NUMPROC", "NCPUS", "PBS_NUM_PPN")


def in_a_job(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether a scheduler started this process."""
    return any(name in environment for name in _JOBS)


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return the cores given to this process: those it may run on, or fewer if the scheduler says so."""
    allowed = runtime_cores.cores()
    stated = next((environment[name] for name in _CORES if environment.get(name, "").isdigit()), "")
    return min(allowed, int(stated)) if stated and int(stated) else allowed


def facts(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return what a record of this attempt says: ``host``, ``job``, ``restarts``, ``cores`` and ``log``."""
    job = next((environment[name] for name in _JOBS if name in environment), "")
    if "SLURM_ARRAY_JOB_ID" in environment:
        job = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment.get('SLURM_ARRAY_TASK_ID', '')}"
    restarts = environment.get("SLURM_RESTART_COUNT", "0")
    return {
        "host": environment.get("SLURMD_NODENAME") or platform.node(),
        "job": job,
        "restarts": int(restarts) if restarts.isdigit() else 0,
        "cores": cores(environment),
        "log": _log(),
    }


def announce(
    progress: Progress, workers: int | None = None, device: Device | None = None, precision: Precision = Precision.AUTO
) -> None:
    """Say in one line what this task was given, and in another if that is too little.

    Args:
        progress: Told.
        workers: Processes that will work at once; None where that follows from the cores.
        device: Where models will run; None where the work has no use for a GPU.
        precision: As for `postmill encode`.

    Raises:
        UsageError: CUDA was asked for and is not there, or the precision is not for it.
        PostmillError: The precision needs a package that is not installed.
    """
    given, scratch = cores(), Path(tempfile.gettempdir())
    free = shutil.disk_usage(scratch).free
    parts = [f"host {platform.node()}", f"{given} cores given", _gpu(device, precision)]
    progress.note(", ".join([*parts, f"scratch {scratch} with {free / 1e9:.1f} GB free"]))
    if workers is not None and workers > given:
        progress.note(
            f"only {given} cores are given for {workers} workers, which will wait for each other: ask for more "
            f"(--cpus) or give --workers {given}"
        )


def _gpu(device: Device | None, precision: Precision) -> str:
    if device is None:
        return "no GPU needed"
    from postmill.encode.device import choose_device
    from postmill.encode.gpu import visible

    compute = choose_device(device, None, Silent(), precision)
    if compute.device == "cpu":
        # What auto comes to is told by the encoders, each of which may be begun already, or hold a trial.
        return f"no GPU, {'precision auto' if precision == Precision.AUTO else compute.precision}"
    return f"{visible.told()}, {compute.precision}"


def _log() -> str:
    """Return the file that standard error goes to, empty where it is none."""
    try:
        path = Path("/proc/self/fd/2").readlink()
    except OSError:
        return ""
    return str(path) if path.is_file() else ""
