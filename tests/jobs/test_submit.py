"""`postmill submit` and `retry` against programs that only write down how they are called."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.encode.options import ModelSet, Precision
from postmill.jobs import slurm, submit
from postmill.jobs.arrays import missing_work
from postmill.jobs.settings import Settings, load, save
from postmill.shards.run import folder as runs
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError, UsageError
from postmill.shards.state import attempts
from postmill.shards.state.tasks import Task
from postmill.train.options import StudyName, TargetName

ROOT = Path(__file__).resolve().parents[2]
WEIRD = [
    "a b",
    "it's",
    'say "x"',
    "$(touch made)",
    "`touch made`",
    "a;b&c|d>e",
    "*?[x]",
    "ünï",
    "#no",
    "%a 100%",
    "[bold]",
]
Make = Callable[..., Run]
Finish = Callable[..., None]


class Scheduler:
    """An sbatch, a squeue and a scontrol."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        self.program("scontrol", 'print("MaxArraySize = 1001")')
        self.program("squeue", f"print(open({str(folder / 'queue')!r}).read(), end='')")
        self.program(
            "sbatch",
            f"""import json, sys
path = {str(folder / "calls")!r}
with open(path, "a") as file:
    file.write(json.dumps([sys.argv[1:], open(sys.argv[-1]).read()]) + "\\n")
print(100 + len(open(path).readlines()), end=";cluster\\n")""",
        )
        (folder / "queue").touch()

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!{sys.executable}\n{body}\n")
        path.chmod(0o755)

    def postmill(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "NO_COLOR": "1", "COLUMNS": "200"}
        (self.folder / "work").mkdir(exist_ok=True)
        words = [sys.executable, "-m", "postmill.cli", *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, env=environment, cwd=self.folder / "work")

    @property
    def calls(self) -> list[tuple[list[str], str]]:
        path = self.folder / "calls"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def scheduler(tmp_path: Path) -> Scheduler:
    return Scheduler(tmp_path)


def test_arrays_are_submitted_in_order_each_waiting_for_the_last(scheduler: Scheduler, planned: Make) -> None:
    run = planned(1, [0, 1, 2], 0)
    done = scheduler.postmill("submit", run.folder, "--encoder", "metadata", "--limit", 2, "--partition", "long")
    assert done.returncode == 0, done.stderr
    scripts = run.folder.resolve() / "logs" / "scripts"
    assert [call for call, _ in scheduler.calls] == [
        ["--parsable", str(scripts / "metadata.sbatch")],
        ["--parsable", "--dependency=afterok:101", str(scripts / "windows.sbatch")],
        ["--parsable", "--dependency=aftercorr:102", str(scripts / "encode.metadata.sbatch")],
        ["--parsable", "--dependency=afterok:103", str(scripts / "train.sbatch")],
    ]
    assert "#SBATCH --array=0-2%2\n" in scheduler.calls[1][1]
    assert all("#SBATCH --partition=long\n" in text for _, text in scheduler.calls)
    assert "windows: 0-2 of 3 tasks as job 102, waits for afterok:101" in done.stdout


@pytest.mark.parametrize("name", WEIRD)
def test_a_weird_path_arrives_whole_and_nothing_of_it_is_run(scheduler: Scheduler, planned: Make, name: str) -> None:
    run = planned(1, [0], 0, name)
    done = scheduler.postmill("submit", run.folder, "--encoder", "metadata")
    assert done.returncode == 0, done.stderr
    folder = str(run.folder.resolve())
    for call, text in scheduler.calls:
        assert call[-1].startswith(f"{folder}/logs/scripts/")
        (line,) = [line for line in text.splitlines() if line.startswith("set -- ")]
        shown = subprocess.run(["bash", "-c", f'{line}\nprintf %s "$1"'], capture_output=True, text=True, check=True)
        assert shown.stdout == folder
    assert list((scheduler.folder / "work").iterdir()) == []


@pytest.mark.parametrize("name", ["new\nline", "back\\slash"])
def test_a_path_that_sbatch_cannot_take_is_refused_before_anything_is_submitted(
    scheduler: Scheduler, planned: Make, name: str
) -> None:
    run = planned(1, [0], 0, name)
    done = scheduler.postmill("submit", run.folder, "--encoder", "metadata")
    assert done.returncode == 2 and "Traceback" not in done.stderr and "next:" in done.stderr
    assert scheduler.calls == [] and not (run.logs / "submit.json").exists()


def test_dry_run_prints_the_scripts_and_submits_nothing(scheduler: Scheduler, planned: Make) -> None:
    run = planned(1, [0, 1], 0)
    arguments = ("submit", run.folder, "--encoder", "image", "--dry-run", "--module", "cuda/12", "--sbatch=--qos=high")
    done = scheduler.postmill(*arguments)
    assert done.returncode == 0 and scheduler.calls == [] and not run.logs.exists()
    assert re.findall(r"^# sbatch .*$", done.stdout, re.MULTILINE) == [
        "# sbatch metadata.sbatch",
        "# sbatch --dependency=afterok:JOB_OF_metadata windows.sbatch",
        "# sbatch --dependency=afterok:JOB_OF_windows encode.image.sbatch",  # a GPU does both shards
        "# sbatch --dependency=afterok:JOB_OF_encode.image train.sbatch",
    ]
    assert done.stdout.count("#SBATCH --gres=gpu:1\n") == 1 and done.stdout.count("#SBATCH --qos=high\n") == 4
    assert done.stdout.count("\nmodule load cuda/12\n") == 4 and "--device cuda" in done.stdout
    subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


def test_study_and_target_reach_the_training_and_are_kept_for_retry(scheduler: Scheduler, planned: Make) -> None:
    run = planned(1, [0], 0)
    words = ("--models", "light", "--study", "paper", "--target", "rate")
    assert scheduler.postmill("submit", run.folder, "--encoder", "metadata", *words).returncode == 0
    path = run.folder.resolve()
    assert f"set -- {path} --models light --study paper --target rate\n" in scheduler.calls[-1][1]
    asked = load(run)
    assert (asked.study, asked.target) == (StudyName.PAPER, TargetName.RATE)
    assert scheduler.postmill("submit", run.folder, "--encoder", "metadata").returncode == 0
    assert f"set -- {path} --models paper\n" in scheduler.calls[-1][1] and load(run).study is None


def test_without_slurm_the_scripts_can_still_be_seen(
    planned: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run = planned(1, [0], 0)
    assert len(submit.work(run, Settings(encoders=("metadata",)), ask=False).arrays) == 4
    with pytest.raises(PostmillError, match="not installed here"):
        submit.work(run, Settings(encoders=("metadata",)))
    assert submit.reachable(run) is None


def test_retry_submits_what_is_missing_as_submit_was_told(
    scheduler: Scheduler, planned: Make, ingested: Finish, encoded: Finish
) -> None:
    run = planned(1, list(range(10)), 0)
    refused = scheduler.postmill("retry", run.folder)
    assert refused.returncode == 2 and "never submitted" in refused.stderr
    assert scheduler.postmill("submit", run.folder, "--encoder", "metadata", "--account", "p1").returncode == 0
    ingested(run, 0, 1, 2, 4, 5, 6, spools=["metadata-000000"])
    encoded(run, 0, 1, 2, 4, 5, 6)
    before = len(scheduler.calls)
    done = scheduler.postmill("retry", run.folder)
    assert "windows: 3,7-9 of 10 tasks as job" in done.stdout, done.stderr
    assert "encode.metadata: 3,7-9 of 10 tasks as job" in done.stdout
    again = scheduler.calls[before:]
    assert "#SBATCH --array=3,7-9\n" in again[0][1] and "#SBATCH --account=p1\n" in again[0][1]
    ingested(run, 3, 7, 8, 9)
    encoded(run, 3, 7, 8, 9)
    run.report.mkdir()
    assert "train: one job" in scheduler.postmill("retry", run.folder).stdout


def test_what_is_in_the_queue_is_not_submitted_again(scheduler: Scheduler, planned: Make) -> None:
    run = planned(1, [0, 1], 0)
    assert scheduler.postmill("submit", run.folder, "--encoder", "metadata").returncode == 0
    lines = ["7|0|RUNNING|None|somebody else's|x", "8|N/A|RUNNING|None|(null)"]
    for number, (_, text) in enumerate(scheduler.calls):
        (comment,) = re.findall(r"^#SBATCH --comment=(.*)$", text, re.MULTILINE)
        (array,) = re.findall(r"^#SBATCH --array=(.*)$", text, re.MULTILINE) or [""]
        indices = {"0-1": ["0", "1"], "0": ["0"], "": ["N/A"]}[array]
        lines += [f"{101 + number}|{index}|PENDING|Dependency|{comment}" for index in indices]
    (scheduler.folder / "queue").write_text("\n".join(lines) + "\n")
    before = len(scheduler.calls)
    done = scheduler.postmill("retry", run.folder)
    assert "windows: 0-1 in the queue already" in done.stdout and len(scheduler.calls) == before
    dry = scheduler.postmill("retry", run.folder, "--dry-run")
    assert dry.stdout == "" and "windows: 0-1 in the queue already" in dry.stderr
    state = json.loads(scheduler.postmill("status", run.folder, "--json").stdout)
    assert state["jobs"]["windows"] == {"PENDING": 2} and state["jobs"]["train"] == {"PENDING": 1}


def test_a_task_given_up_is_shown_with_its_log_and_submitted_when_told(scheduler: Scheduler, planned: Make) -> None:
    run = planned(1, [0], 0)
    assert scheduler.postmill("submit", run.folder, "--encoder", "metadata").returncode == 0
    log = run.logs / "metadata.log"
    log.write_text("error: a part is missing\n")
    for _ in range(3):
        with pytest.raises(PostmillError), attempts.recorded(run, "metadata", Task(0, 1), {"log": str(log)}):
            raise PostmillError("no")
    done = scheduler.postmill("retry", run.folder)
    assert "metadata: 0 failed 3 times" in done.stdout and "  error: a part is missing" in done.stdout
    assert "train: not submitted, for it needs tasks that failed" in done.stdout
    assert "metadata: 0 of 1 tasks as job" in scheduler.postmill("retry", run.folder, "--again").stdout


def test_what_sbatch_says_is_passed_on_with_what_to_do_next(scheduler: Scheduler, planned: Make) -> None:
    run = planned(1, [0], 0)
    scheduler.program("sbatch", "import sys; sys.exit('sbatch: error: invalid partition specified: x')")
    done = scheduler.postmill("submit", run.folder, "--encoder", "metadata", "--partition", "x")
    assert done.returncode == 1 and "invalid partition" in done.stderr and "postmill retry" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--encoder", "nonsense"),
        ("--gpu-encoder", "nonsense"),
        ("--models", "nonsense"),
        ("--sbatch", "qos"),
        ("--partition", "a\nb"),
        ("--tasks", "0"),
    ],
)
def test_wrong_usage_is_refused(scheduler: Scheduler, planned: Make, options: tuple[str, ...]) -> None:
    done = scheduler.postmill("submit", planned(1, [0], 0).folder, *options)
    assert done.returncode == 2 and "Traceback" not in done.stderr and scheduler.calls == []


def test_workers_are_no_more_than_cores_or_pieces(planned: Make) -> None:
    run = planned(1, list(range(6)), 0)
    for tasks, cpus, workers in ((6, 4, 1), (2, 4, 3), (2, 2, 2)):
        settings = Settings(encoders=("metadata",), tasks=tasks, cpus=cpus)
        made = submit.build(run, settings, missing_work(run, settings, [], 1001).arrays)
        assert f"--stage windows --workers {workers}\n" in made[1].text


def test_an_encoder_gets_a_gpu_where_there_is_one_and_its_own_model(planned: Make) -> None:
    run = planned(1, [0], 0)
    settings = Settings(encoders=("text", "image"), model_overrides={"text": "/my models/x"}, models=ModelSet.LIGHT)
    for gres, device in (("gpu:1", "cuda"), ("", "cpu")):
        each = Settings(**{**vars(settings), "gres": gres})
        made = {script.name: script.text for script in submit.build(run, each, missing_work(run, each, [], 9).arrays)}
        assert f"--device {device}\n" in made["encode.image"] and "--device cpu\n" in made["encode.text"]
        assert "'--model=text=/my models/x'" in made["encode.text"] and "--precision" not in made["encode.text"]
    each = Settings(encoders=("text",), precision=Precision.FLOAT16_MKL, gres="")
    (made_of_text,) = submit.build(run, each, missing_work(run, each, [], 9).arrays)[2:3]
    assert "--precision float16-mkl --device cpu\n" in made_of_text.text


def test_settings_are_kept(planned: Make) -> None:
    run = planned(1, [0], 0)
    settings = Settings(encoders=("text", "image"), model_overrides={"text": "/x"}, modules=("a", "b"), limit=3)
    save(run, settings)
    assert load(run) == settings
    (run.logs / "submit.json").write_text('{"encoders": ["text"], "unknown": 1}')
    with pytest.raises(PostmillError, match="cannot be read"):
        load(run)
    (run.logs / "submit.json").unlink()
    with pytest.raises(UsageError, match="never submitted"):
        load(run)


def test_runs_are_told_apart_by_place_and_content(planned: Make) -> None:
    one, two = planned(1, [0], 0, "one"), planned(1, [0], 0, "two")
    assert submit.mark(one) != submit.mark(two) and submit.mark(one) == submit.mark(runs.open_run(one.folder))
    assert str(slurm.JobMark("ab", "windows", -1, 3)) == "postmill:ab:windows:-1:3"
