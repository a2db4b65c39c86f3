"""What a task says of the machine it finds itself on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postmill.encode.options import Precision
from postmill.ingest.plan.make import make_plan
from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.jobs import machine
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import UsageError
from postmill.shards.state import attempts
from postmill.shards.state.tasks import Task

ROOT = Path(__file__).resolve().parents[2]


class Notes:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def track(self, label: str, total: int | None, unit: str = "") -> Iterator[Callable[[int], None]]:
        yield lambda n: None

    def note(self, message: str) -> None:
        self.said.append(message)


def test_cores_are_those_the_scheduler_gives_and_never_more_than_there_are() -> None:
    there = len(os.sched_getaffinity(0))
    assert machine.cores({}) == machine.cores({"SLURM_CPUS_PER_TASK": "100000"}) == there
    assert machine.cores({"SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "2"}) == 1
    assert machine.cores({"NSLOTS": "undefined", "NCPUS": "1"}) == 1


def test_facts_name_the_job_as_the_scheduler_does() -> None:
    array = {"SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3", "SLURM_RESTART_COUNT": "2"}
    found = machine.facts({**array, "SLURMD_NODENAME": "n7"})
    assert (found["job"], found["restarts"], found["host"]) == ("12_3", 2, "n7")
    assert machine.facts({"PBS_JOBID": "9.server"})["job"] == "9.server" and machine.facts({})["job"] == ""


def test_too_few_cores_for_the_workers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 2)
    enough, few = Notes(), Notes()
    machine.announce(enough, workers=2)
    machine.announce(few, workers=8)
    assert len(enough.said) == 1 and re.search(
        r"^host .+, 2 cores given, no GPU needed, scratch /.* GB free$", enough.said[0]
    )
    assert "only 2 cores are given for 8 workers" in few.said[1]


def test_the_device_and_its_number_format_are_said() -> None:
    for precision, said in ((Precision.FLOAT32, "no GPU, float32"), (Precision.AUTO, "no GPU, precision auto")):
        notes = Notes()
        machine.announce(notes, device=Device.CPU, precision=precision)
        assert said in notes.said[0]


def test_a_gpu_asked_for_and_missing_stops_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device"):
        machine.announce(Notes(), device=Device.CUDA)


def test_a_task_logs_where_it_is_and_leaves_a_record_and_a_plain_command_does_not(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", posts=20, influencers=3, seed=1)
    run, _ = make_plan(discover(str(tmp_path / "data")), tmp_path / "run")
    words = [sys.executable, "-m", "postmill.cli", "ingest", str(run.folder), "--stage", "metadata"]
    log = tmp_path / "log"
    subprocess.run(words, capture_output=True, check=True)
    assert attempts.read(run) == []
    with log.open("wb") as file:
        subprocess.run([*words, "--task", "0/1", "--workers", "500"], stdout=file, stderr=file, check=True)
    assert "cores given, no GPU needed" in log.read_text() and "for 500 workers" in log.read_text()
    (record,) = attempts.read(run)
    assert (record.stage, record.attempts[0].code, record.attempts[0].log) == ("metadata", 0, str(log.resolve()))


def test_each_process_of_one_srun_says_which_share_it_does(tmp_path: Path) -> None:
    write_sample(tmp_path / "data", posts=20, influencers=3, seed=1)
    run, _ = make_plan(discover(str(tmp_path / "data")), tmp_path / "run")
    words = [sys.executable, "-m", "postmill.cli", "ingest", str(run.folder), "--stage", "metadata"]
    ranks = [{**os.environ, "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": number} for number in "01"]
    done = [subprocess.run(words, env=env, capture_output=True, text=True, check=True) for env in ranks]
    for number, each in enumerate(done):
        assert f"process {number} of the 2 of this step: share {number}/2" in each.stderr
    assert [(record.task, record.failed) for record in attempts.read(run)] == [(Task(0, 2), False), (Task(1, 2), False)]
    assert sum("ingest metadata: 1 done" in each.stdout for each in done) == 1  # there is but one window
