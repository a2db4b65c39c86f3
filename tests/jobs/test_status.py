"""What `postmill status` says: counts that add up, and a JSON that other programs rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from postmill.jobs import show
from postmill.jobs.slurm import Job, JobMark
from postmill.shards.formats import models
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.runtime import pace
from postmill.shards.runtime.errors import Interrupted, PostmillError
from postmill.shards.state import attempts, status, underway
from postmill.shards.state.status import StageStatus
from postmill.shards.state.tasks import Task

Make = Callable[..., Run]
Finish = Callable[..., None]


def stages(run: Run, now: float | None = None) -> dict[str, StageStatus]:
    return {stage.stage: stage for stage in status.read(run, now).stages}


def counts(stage: StageStatus) -> tuple[int | None, int, int, int, int]:
    return stage.total, stage.done, stage.running, stage.failed, stage.waiting


def test_a_run_without_a_plan(planned: Make) -> None:
    run = planned(1, [0], 0)
    (run.plan / "plan.json").unlink()
    assert [counts(stage) for stage in status.read(run).stages] == [(1, 0, 0, 0, 1)]


def test_what_is_done(planned: Make, ingested: Finish, encoded: Finish) -> None:
    run = planned(2, [0, 1, 2], 1)
    ingested(run, 0, 1, spools=["metadata-000000", "metadata-000001", "window-000000"])
    encoded(run, 0)
    found = stages(run)
    assert list(found) == ["plan", "metadata", "windows", "spanning", "encode metadata", "train", "report"]
    assert counts(found["metadata"]) == (2, 2, 0, 0, 0)
    assert counts(found["windows"]) == (3, 1, 0, 0, 2), "window 1 has its shard and lacks its spool"
    assert counts(found["encode metadata"]) == (4, 1, 0, 0, 3)
    assert (found["metadata"].bytes, found["windows"].bytes) == (10, 15)
    told = status.read(run)
    assert (told.posts, told.lost, told.faults) == (20, 2 + 2, {"no_image": 2 + 2})


def test_a_unit_of_another_run_or_without_its_files_is_not_done(planned: Make, ingested: Finish) -> None:
    run = planned(1, [0, 1, 2], 0)
    ingested(run, 0, 1, 2)
    (run.posts / "posts-000000.data").unlink()
    other = json.loads((run.posts / "posts-000001.json").read_bytes()) | {"run": "0" * 64}
    (run.posts / "posts-000001.json").write_text(json.dumps(other))
    (run.posts / "posts-000002.json").write_text("{")
    assert counts(stages(run)["windows"])[1] == 0


def test_what_is_in_hand_is_told_from_leftovers_by_its_lock(planned: Make) -> None:
    run = planned(1, [0, 1], 1)
    run.posts.mkdir()
    (run.posts / ".tmp-posts-000001.tar-00000000").touch()
    assert counts(stages(run)["windows"]) == (2, 0, 0, 0, 2)
    with publish.unit(run.posts, "posts-000002", run.fingerprint) as unit:
        unit.file("posts-000002.tar")
        assert counts(stages(run)["spanning"]) == (1, 0, 1, 0, 0)
        assert counts(stages(run)["windows"]) == (2, 0, 0, 0, 2)


def attempt(run: Run, stage: str, task: Task, error: BaseException) -> None:
    with pytest.raises(type(error)), attempts.recorded(run, stage, task, {"log": ""}):
        raise error


def test_a_failed_tasks_missing_pieces_are_failed_and_a_running_ones_are_not(planned: Make, ingested: Finish) -> None:
    run = planned(1, list(range(8)), 0)
    ingested(run, 0, 4, spools=["metadata-000000"])
    attempt(run, "windows", Task(0, 4), PostmillError("x"))
    attempt(run, "windows", Task(1, 4), Interrupted("x"))
    assert counts(stages(run)["windows"]) == (8, 2, 0, 1, 5)
    with attempts.recorded(run, "windows", Task(0, 4), {}), attempts.recorded(run, "windows", Task(2, 4), {}):
        assert counts(stages(run)["windows"]) == (8, 2, 2, 0, 4)
        assert status.read(run).failed == ()


def test_a_task_that_is_given_up_is_shown_with_the_end_of_its_log(planned: Make, tmp_path: Path) -> None:
    run = planned(1, [0], 0)
    log = run.logs / "windows.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("\n".join(map(str, range(20))) + "\nerror: the disk is full\n")
    for _ in range(3):
        with (
            pytest.raises(PostmillError),
            attempts.recorded(run, "windows", Task(0, 1), {"log": str(log), "host": "n1"}),
        ):
            raise PostmillError("no")
    (failed,) = status.read(run).failed
    assert (failed.failures, failed.given_up, failed.code, failed.host) == (3, True, 1, "n1")
    assert len(failed.tail) == 10 and failed.tail[-1] == "error: the disk is full"
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w"))
    console.print(show.status_view("run", status.read(run), None))
    shown = console.export_text()
    assert "windows task 0/1 ended with exit code 1 on n1; it failed 3 times and is given up" in shown
    assert "  error: the disk is full" in shown


def ago(run: Run, now: float, *seconds: float) -> None:
    """Let the first post shards be done so long before ``now``."""
    for shard, time in enumerate(seconds):
        os.utime(run.posts / f"posts-{shard:06d}.json", (now - time, now - time))


def test_a_rate_is_of_the_time_from_piece_to_piece_and_only_while_something_runs(
    planned: Make, ingested: Finish
) -> None:
    run = planned(1, list(range(10)), 0)
    ingested(run, 0, 1, 2, 3, spools=["metadata-000000"])
    now = 1_600_000_000.0
    ago(run, now, 7200, 1800, 900, 600)
    quiet = stages(run, now)["windows"]
    assert (quiet.per_hour, quiet.seconds_left) == (None, None), "nobody is at it"
    with attempts.recorded(run, "windows", Task(9, 10), {}):
        at_work = stages(run, now)["windows"]
        assert at_work.per_hour == pytest.approx(6), "two more in the twenty minutes from the first to the last"
        assert at_work.seconds_left == pytest.approx(6 / 6 * 3600)
        assert stages(run, now + 300)["windows"].per_hour == pytest.approx(6), "it does not decay while one is in hand"
        assert stages(run, now + 86400)["windows"].per_hour is None
        ago(run, now, 3500, 3490, 20, 10)
        assert stages(run, now)["windows"].per_hour == pytest.approx(360), "an hour ago somebody else was at it"
        assert stages(run, now + 900)["windows"].per_hour is None, "it is at something else by now"


def test_training_is_seen_with_how_many_models_there_will_be_and_what_it_takes(planned: Make) -> None:
    run = planned(1, [0], 0)
    for name in ("mean", "fusion", "leak"):
        with models.publishing(run, name) as unit:
            unit.file("model.safetensors").write(b"weights")
    assert counts(stages(run)["train"]) == (None, 3, 0, 0, 0)
    with underway.underway(run, "train", ["mean", "boosting", "fusion", "stack"], each=10) as work:
        assert counts(stages(run)["train"]) == (5, 1, 1, 0, 3), "leak stays, and the others are made, some of them anew"
        assert stages(run)["train"].seconds_left is None, "nothing was measured yet"
        work.unit(False)
        work.started -= 100
        work.part(5)
        told = stages(run)["train"]
        assert counts(told) == (5, 2, 1, 0, 2)
        assert told.seconds_left == pytest.approx(100 / 5 * 25, rel=0.01), "25 of the 30 trainings of three models"
    assert counts(stages(run)["train"]) == (None, 3, 0, 0, 0) and not list((run.logs / "underway").iterdir())


@pytest.mark.parametrize("left", ["Infinity", "NaN", "-1", "1e300", '"x"', "null"])
def test_a_time_that_is_none_is_not_shown(planned: Make, left: str) -> None:
    run = planned(1, [0], 0)
    with underway.underway(run, "train", ["mean"]):
        (path,) = (run.logs / "underway").iterdir()
        with path.open("a") as file:
            file.write(f'{{"done": 0, "seconds_left": {left}}}\n')
        assert stages(run)["train"].seconds_left is None and counts(stages(run)["train"])[2] == 1


def test_a_report_is_seen_while_it_is_made(planned: Make) -> None:
    run = planned(1, [0], 0)
    with underway.underway(run, "report", ["index"]):
        assert counts(stages(run)["report"]) == (1, 0, 1, 0, 0)
    assert counts(stages(run)["report"]) == (1, 0, 0, 0, 1)


def test_what_a_kill_left_of_it_is_not_taken_for_work_and_is_cleared(planned: Make) -> None:
    run = planned(1, [0], 0)
    text = (
        "import os, sys; from pathlib import Path; from postmill.shards.run.folder import open_run;"
        "from postmill.shards.state.underway import underway;"
        "work = underway(open_run(Path(sys.argv[1])), 'train', ['mean']); work.__enter__(); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", text, run.folder]).returncode == 9
    (left,) = (run.logs / "underway").iterdir()
    assert counts(stages(run)["train"]) == (None, 0, 0, 0, 0)
    with underway.underway(run, "report", ["index"]):
        assert not left.exists() and counts(stages(run)["report"])[2] == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": 1}', '{"process": {"machine": "x", "pid": 1}}\n', "\0"])
def test_a_file_of_another_kind_there_is_no_work(planned: Make, text: str) -> None:
    run = planned(1, [0], 0)
    (run.logs / "underway").mkdir(parents=True)
    (run.logs / "underway" / "train-1.jsonl").write_text(text)
    assert underway.read(run) == []


# Names and types of the JSON object: a change here is a change for whoever reads it.
STAGE = {
    "stage": str,
    "total": int | None,
    "done": int,
    "running": int,
    "failed": int,
    "waiting": int,
    "bytes": int,
    "per_hour": float | None,
    "seconds_left": float | None,
}
FAILED = {
    "stage": str,
    "index": int,
    "count": int,
    "failures": int,
    "given_up": bool,
    "code": int | None,
    "host": str,
    "log": str,
    "tail": list,
}
TOP = {
    "stages": list,
    "posts": int,
    "lost": int,
    "waiting": int,
    "not_chosen": int,
    "without_time": int,
    "dropped": int,
    "faults": dict,
    "invented": bool,
}
TOP |= {"failed": list, "jobs": dict | None}


def typed(value: dict[str, Any], contract: dict[str, Any]) -> None:
    assert value.keys() == contract.keys()
    assert {name for name, kind in contract.items() if not isinstance(value[name], kind)} == set()


def test_the_json_is_a_contract(planned: Make, ingested: Finish) -> None:
    run = planned(1, [0, 1], 0)
    ingested(run, 0)
    attempt(run, "windows", Task(1, 2), PostmillError("x"))
    told = status.read(run)
    alone = json.loads(json.dumps(show.as_json(told, None)))
    typed(alone, TOP)
    for stage in alone["stages"]:
        typed(stage, STAGE)
    for failed in alone["failed"]:
        typed(failed, FAILED)
    assert alone["failed"] and alone["jobs"] is None
    assert alone["faults"] == {"no_image": 3}
    jobs = [Job("1", n, state, "None", JobMark("0", "windows", 0, 2)) for n, state in enumerate(("RUNNING", "PENDING"))]
    assert show.as_json(told, jobs)["jobs"] == {"windows": {"RUNNING": 1, "PENDING": 1}}


def test_the_table_names_every_stage_fault_and_job(
    planned: Make, ingested: Finish, encoded: Finish, tmp_path: Path
) -> None:
    run = planned(1, [0], 0, "a [bold] run")
    ingested(run, 0, spools=["metadata-000000"])
    encoded(run, 0)
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    jobs = [Job("1", None, "PENDING", "Dependency", JobMark("0", "train", 0, 1))]
    console.print(show.status_view(str(run.folder), status.read(run), jobs))
    shown = " ".join(console.export_text().split())  # a long path is broken into lines
    for words in ("a [bold] run", "windows", "encode metadata", "1/1", "no_image 3", "Slurm train: 1 PENDING"):
        assert words in shown


def test_sizes_and_times_for_people() -> None:
    assert [pace.size(n) for n in (0, 999, 1500, 2_345_678, 189 * 10**9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.3 MB",
        "189.0 GB",
    ]
    assert pace.size(40 * 10**12) == "40.0 TB"
    assert [pace.duration(s) for s in (5, 300, 7260)] == ["5 s", "5 min", "2 h 01 min"]
