"""The whole job on a real Slurm, disturbed in every way that a cluster knows, ends with the bytes of a local run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from postmill.shards.formats import plan
from postmill.shards.run import folder as runs
from postmill.shards.state import attempts
from tests.datasets import KnownDataset
from tests.integration.slurm import NODES, Cluster
from tests.runs import plant_secret

ROOT = Path(__file__).resolve().parents[2]
NAMED = "a run 'of' $(one)"  # as no shell may meet it unquoted; the report says a run's name
SUBMIT = ("--models", "light", "--gres", "", "--cpus", "1", "--mem", "500M")


def local(*arguments: object) -> None:
    done = subprocess.run([sys.executable, "-m", "postmill.cli", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def digests(run: Path) -> dict[str, str]:
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and "logs" not in path.parts]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def hurry(cluster: Cluster) -> None:
    """Start soon what was requeued: Slurm lets it wait for two minutes.

    Not at once: credentials and their revocation are compared by the second, and a node that revoked a task's
    credential in this one refuses the new start and fails the task.
    """
    soon = time.time() + 5
    for line in cluster.call("squeue", "--noheader", "--array", "--format=%i|%r|%S").splitlines():
        job, reason, start = line.split("|")
        if "held" in reason.lower():  # a node that was killed while it launched the task still had its number
            for command in (["update", f"NodeName={node}", "State=RESUME"] for node in NODES):
                with contextlib.suppress(AssertionError):  # a node that is not drained
                    cluster.call("scontrol", *command)
            with contextlib.suppress(AssertionError):
                cluster.call("scontrol", "release", job)
        if reason == "BeginTime" and start != "N/A" and datetime.fromisoformat(start).timestamp() > soon:
            with contextlib.suppress(AssertionError):  # it is on its way from one state to another
                cluster.call("scontrol", "update", f"JobId={job}", "StartTime=now+3")


def finish(cluster: Cluster) -> None:
    def empty() -> bool:
        hurry(cluster)
        return not cluster.jobs()

    cluster.until(empty, "the jobs do not end", 1500)


def disturb(cluster: Cluster, run: Path, stage: str, *command: str, spare: str = "") -> str:
    """Do `command` to a task of `stage` that has begun its work, not `spare`; return the task's name in Slurm."""
    opened = runs.open_run(run)
    tasks: list[str] = []
    hurried = 0.0

    def done() -> bool:
        nonlocal hurried
        for record in attempts.read(opened):
            if (
                record.stage.startswith(stage)
                and record.running
                and record.attempts
                and record.attempts[-1].job != spare
            ):
                with contextlib.suppress(AssertionError):  # it ended meanwhile
                    cluster.call(*command, record.attempts[-1].job)
                    tasks.append(record.attempts[-1].job)
                    return True
        if time.monotonic() > hurried + 1:  # a task may work for less than a second
            hurry(cluster)
            assert cluster.jobs(), f"all has ended, and no task of {stage} was seen at work"
            hurried = time.monotonic()
        return False

    cluster.until(done, f"no task of {stage} runs", pause=0.01)
    return tasks[0]


def unended(path: Path) -> int | None:
    """The process of a task that has begun and not ended, by the last line of its record."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    return lines[-1]["process"]["pid"] if lines and lines[-1]["event"] == "start" else None


def logs(run: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text()}" for path in sorted((run / "logs").glob("*.log")))


@pytest.fixture(scope="module")
def undisturbed(built: KnownDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / NAMED
    plant_secret(run)
    local("run", built.folder, run, "--models", "light")
    return run


def test_requeued_cancelled_and_orphaned_tasks_end_with_the_bytes_of_a_local_run(
    cluster: Cluster, undisturbed: Path, built: KnownDataset, tmp_path: Path
) -> None:
    run = tmp_path / NAMED
    plant_secret(run)
    local("plan", built.folder, run)
    cluster.call("scontrol", "update", "PartitionName=main", "State=DOWN")  # nothing begins unseen
    said = cluster.postmill("submit", run, *SUBMIT, "--tasks", 2)
    assert re.search(r"^metadata: 0 of 1 tasks as job \d+$", said, re.MULTILINE), said
    assert re.search(r"^encode\.image: 0-1 of 2 tasks as job \d+, waits for afterok:\d+", said, re.MULTILINE), said
    assert "in the queue already" in cluster.postmill("submit", run, *SUBMIT, "--tasks", 2)

    cluster.call("scontrol", "update", "PartitionName=main", "State=UP")
    disturb(cluster, run, "windows", "scontrol", "requeue")
    requeued = disturb(cluster, run, "encode.text", "scontrol", "requeue")
    cluster.kill_node("nodeb")
    disturb(cluster, run, "encode", "scancel", spare=requeued)
    cluster.start_node("nodeb")
    finish(cluster)
    assert not (run / "report").exists(), "train waits for the task that was cancelled"

    state = json.loads(cluster.postmill("status", run, "--json"))
    left = [stage["stage"] for stage in state["stages"] if stage["total"] != stage["done"]]
    assert any(stage.startswith("encode ") for stage in left) and "report" in left, state
    said = cluster.postmill("retry", run)
    assert re.search(r"^encode\.[a-z.-]+: [\d,-]+ of \d+ tasks as job \d+$", said, re.MULTILINE), said
    finish(cluster)

    assert digests(run) == digests(undisturbed), logs(run)
    assert "nothing is missing" in cluster.postmill("retry", run)
    records = attempts.read(runs.open_run(run))
    restarted = {record.stage.split(".")[0] for record in records for attempt in record.attempts if attempt.restarts}
    assert restarted >= {"windows", "encode"}
    assert {attempt.code for record in records for attempt in record.attempts} <= {0, 75, None}
    assert all(record.attempts[-1].code == 0 and record.failures == 0 for record in records)


def test_a_time_limit_interrupts_and_the_task_requeues_itself(
    cluster: Cluster, built: KnownDataset, tmp_path: Path
) -> None:
    alone, run = tmp_path / "alone", tmp_path / "run"
    for folder in (alone, run):
        local("plan", built.folder, folder)
    local("ingest", alone)
    local("encode", alone, "--encoder", "metadata")
    chosen = ("--encoder", "metadata", "--time", "1", "--sbatch=--signal=B:USR2@20")
    said = cluster.postmill("submit", run, *SUBMIT, *chosen)
    kinds = [shard.kind for shard in plan.shards(runs.open_run(run))]
    last, shards = kinds.index("spanning") - 1, len(kinds)
    assert last > 10 and shards > last + 1
    expected = rf"^encode\.metadata: 0-{last} of {shards} tasks as job \d+, waits for aftercorr:\d+$"
    assert re.search(expected, said, re.MULTILINE), said
    (train,) = re.findall(r"^train: .* as job (\d+)", said, re.MULTILINE)
    cluster.call("scancel", train)

    opened = runs.open_run(run)
    worker: list[int] = []

    def stopped() -> bool:
        for path in attempts.folder(opened).glob("encode.metadata-*.jsonl"):
            begun = unended(path)
            if begun is None:
                continue
            os.kill(begun, signal.SIGSTOP)  # as good as work that takes hours
            shard = int(path.stem.split("-")[1])
            if unended(path) == begun and not (run / "embeddings" / "metadata" / f"posts-{shard:06}.json").exists():
                worker.append(begun)
                return True
            os.kill(begun, signal.SIGCONT)
        return False

    def signalled() -> bool:
        fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{worker[0]}/status").read_text().splitlines())
        pending = int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)
        return bool(pending >> (signal.SIGUSR2 - 1) & 1)

    cluster.until(stopped, "the task does not start", pause=0.01)
    try:
        cluster.until(signalled, "no signal comes ahead of the limit")
    finally:
        os.kill(worker[0], signal.SIGCONT)
    requeued = "requeued: restart 1 of at most 20"
    cluster.until(lambda: requeued in logs(run), "it is not requeued")
    finish(cluster)
    assert digests(run) == digests(alone), logs(run)
    interrupted = [record for record in attempts.read(opened) if 75 in [a.code for a in record.attempts]]
    assert interrupted and all(record.attempts[-1].code == 0 and not record.failures for record in interrupted)


def test_two_nodes_do_the_same_ingest_at_once_on_one_folder(
    cluster: Cluster, built: KnownDataset, tmp_path: Path
) -> None:
    """By hand, with the templates as they are: every task is given twice, to both nodes at the same time."""
    alone, run = tmp_path / "alone", tmp_path / "both"
    for folder in (alone, run):
        local("plan", built.folder, folder, "--shard-size", 2)
    local("ingest", alone)
    (run / "logs").mkdir(exist_ok=True)
    template = ROOT / "jobs" / "templates" / "ingest.sbatch"
    output = f"--output={run}/logs/%x-%A_%a.log"
    cluster.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    after: list[str] = []
    for stage in ("metadata", "windows", "spanning"):
        words = ["sbatch", "--parsable", "--array=0-2", "--mem=500M", f"--job-name={stage}", output, *after]
        jobs = [
            cluster.call(*words, f"--nodelist={node}", template, run, 3, 0, "--stage", stage).strip()
            for node in ("nodea", "nodeb")
        ]
        after = [f"--dependency=afterok:{':'.join(jobs)}"]
    finish(cluster)
    assert digests(run) == digests(alone), logs(run)
    records = attempts.read(runs.open_run(run))
    assert {record.stage for record in records} == {"metadata", "windows", "spanning"}
    for record in records:
        assert {attempt.host for attempt in record.attempts} == {"nodea", "nodeb"}
        assert [attempt.code for attempt in record.attempts] == [0, 0]


def test_a_task_that_fails_three_times_is_given_up_and_its_log_shown(
    cluster: Cluster, built: KnownDataset, tmp_path: Path
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    subprocess.run(["cp", "-r", built.folder, data], check=True)
    local("plan", data, run)
    lost = data / "Post_metadata" / "posts_info.zip"
    lost.rename(tmp_path / "lost")
    cluster.postmill("submit", run, *SUBMIT)
    for _ in range(2):
        finish(cluster)
        assert "metadata: 0 of 1 tasks as job" in cluster.postmill("retry", run)
    finish(cluster)
    said = cluster.postmill("retry", run)
    assert "metadata: 0 failed 3 times" in said and "windows: not submitted" in said and "posts_info.zip" in said
    assert not cluster.jobs()
    (failed,) = json.loads(cluster.postmill("status", run, "--json"))["failed"]
    assert failed["given_up"] and failed["failures"] == 3 and any("posts_info.zip" in line for line in failed["tail"])
    (tmp_path / "lost").rename(lost)
    assert "metadata: 0 of 1 tasks as job" in cluster.postmill("retry", run, "--again")
    cluster.until(lambda: (run / "spool" / "metadata-000000.json").exists(), "it does not go on")
    cluster.call("scancel", "--user", "root")
    finish(cluster)
