"""Batch scripts: byte for byte as they were agreed on, and safe whatever a path holds."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from shlex import split

import pytest

from postmill.jobs import scripts
from postmill.shards.runtime.errors import UsageError

GOLDEN = Path(__file__).parent / "golden"
WEIRD = [
    "a b",
    "it's",
    'say "x"',
    "$(touch made)",
    "`touch made`",
    "a;b&c|d>e",
    "*?[x]",
    "ünï\u00a0x",
    "tab\tx",
    "-rf",
    "#no",
    "%a",
]
RUN = "/data/my run"
EXAMPLES = {
    "ingest": (
        {"array": "0-99%16", "output": scripts.pattern(Path(RUN) / "logs", "windows-%A_%a.log"), "partition": "long"},
        [RUN, "100", "0", "--stage", "windows", "--workers", "1"],
    ),
    "encode": (
        {"array": "3,7-9", "gres": "gpu:1", "time": "02:00:00", "exclusive": None},
        [RUN, "100", "1001", "--encoder", "image", "--models", "paper", "--device", "cuda"],
    ),
    "train": ({"account": "p123", "mem": "64G"}, [RUN, "--models", "paper"]),
}


@pytest.mark.parametrize("name", ("ingest", "encode", "train"))
def test_a_script_is_byte_for_byte_as_before(name: str) -> None:
    directives, arguments = EXAMPLES[name]
    environment = scripts.environment_lines(["python/3.11", "cuda"], Path("/opt/post mill"))
    assert (
        scripts.render(scripts.template(name), directives, arguments, environment)
        == (GOLDEN / f"{name}.sbatch").read_text()
    )


@pytest.mark.parametrize("name", ("ingest", "encode", "train"))
def test_a_template_is_a_script_that_can_be_submitted_as_it_is(name: str) -> None:
    subprocess.run(["bash", "-n"], input=scripts.template(name), text=True, check=True)
    lines = scripts.template(name).splitlines()
    directives = [at for at, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert not any(line and not line.startswith("#") for line in lines[: directives[-1]]), (
        "sbatch stops at the first command"
    )
    assert {"--signal=B:USR2@120", "--requeue", "--open-mode=append"} <= {lines[at].split()[1] for at in directives}


class Node:
    """Runs a script as a node would, with programs that only write down how they are called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        self.program("scontrol", 'echo "$@" >> "$LOG/scontrol"')
        self.program("squeue", "echo RUNNING")
        self.program("postmill", 'printf "%s\\0" "$@" >> "$LOG/postmill"')
        self.environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "LOG": str(folder), "SLURM_JOB_ID": "12"}

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def start(self, name: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        text = scripts.render(scripts.template(name), {}, arguments, [])
        script = self.folder / "script"
        script.write_text(text)
        (self.folder / "work").mkdir(exist_ok=True)
        words = ["bash", str(script)]
        return subprocess.Popen(
            words, env={**self.environment, **environment}, cwd=self.folder / "work", stdout=subprocess.PIPE, text=True
        )

    def calls(self, program: str) -> str:
        path = self.folder / program
        return path.read_text() if path.exists() else ""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize("weird", [*WEIRD, "new\nline", "\\", ""])
def test_an_argument_arrives_as_it_is(node: Node, weird: str) -> None:
    arguments = (weird, "8", "3", "--stage", "windows", f"--model=text={weird}")
    assert node.start("ingest", *arguments, SLURM_ARRAY_TASK_ID="2").wait() == 0
    assert node.calls("postmill").split("\0")[:-1] == ["ingest", weird, "--task", "5/8", *arguments[3:]]
    assert list((node.folder / "work").iterdir()) == []


def test_training_is_followed_by_the_report_and_not_where_it_failed(node: Node) -> None:
    assert node.start("train", "R", "--models", "light").wait() == 0
    assert node.calls("postmill").split("\0")[:-1] == [
        "train",
        "R",
        "--task",
        "0/1",
        "--models",
        "light",
        "report",
        "R",
    ]
    node.program("postmill", 'echo "$1" >> "$LOG/failing"; exit 1')
    assert node.start("train", "R").wait() == 1
    assert node.calls("failing") == "train\n" and node.calls("scontrol") == ""


def test_tone_is_put_together_before_the_report_where_it_was_encoded(node: Node) -> None:
    described = node.folder / "work" / "R" / "embeddings" / "emotion.lists" / "encoder.json"
    described.parent.mkdir(parents=True)
    described.write_text('{"preprocessing": {"indicators": []}}')
    # Of posts that are not all encoded nothing is put together, and the report is written all the same.
    node.program("postmill", 'echo "$1" >> "$LOG/order"; if [[ $1 == insights ]]; then exit 2; fi')
    assert node.start("train", "R").wait() == 0
    assert node.calls("order") == "train\ninsights\nreport\n"


# What a signal does is told by a postmill that takes a moment to put its work away, as the real one does.
# A signal that comes before the script knows its child reaches it as SIGTERM.
SLOW = """trap 'sleep 0.2; echo "$1" put away >> "$LOG/done"; exit 75' {signal} TERM
touch "$LOG/begun"; for n in {{1..600}}; do sleep 0.1; done"""


def interrupt(node: Node, number: signal.Signals, **environment: str) -> tuple[int, str]:
    node.program("postmill", SLOW.format(signal=number.name))
    process = node.start("encode", "R", "8", "0", **environment)
    while not (node.folder / "begun").exists():
        time.sleep(0.01)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_signal_is_handed_on_waited_for_and_the_task_requeued(node: Node, number: signal.Signals) -> None:
    code, output = interrupt(node, number, SLURM_RESTART_COUNT="3")
    assert (code, node.calls("done")) == (75, "encode put away\n")
    assert node.calls("scontrol") == "requeue 12\n" and "requeued: restart 4 of at most 20" in output


def test_a_task_restarted_too_often_is_left_to_retry(node: Node) -> None:
    code, output = interrupt(node, signal.SIGUSR2, SLURM_RESTART_COUNT="20")
    assert code == 75 and node.calls("scontrol") == "" and "postmill retry R" in output


def test_a_task_that_somebody_cancelled_is_not_requeued(node: Node) -> None:
    node.program("squeue", "echo COMPLETING")
    code, output = interrupt(node, signal.SIGTERM)
    assert code == 75 and node.calls("scontrol") == "" and "not requeued" in output


def test_a_signal_that_kills_postmill_before_it_can_take_it_is_an_interruption(node: Node) -> None:
    node.program("postmill", 'touch "$LOG/begun"; exec sleep 60')
    process = node.start("encode", "R", "8", "0")
    while not (node.folder / "begun").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(60) == 75 and node.calls("scontrol") == "requeue 12\n"


@pytest.mark.parametrize("code", [1, 2, 3, 137])
def test_a_failure_keeps_its_code_and_is_not_requeued(node: Node, code: int) -> None:
    node.program("postmill", f"exit {code}")
    assert node.start("encode", "R", "8", "0").wait() == code and node.calls("scontrol") == ""


@pytest.mark.parametrize("weird", WEIRD)
def test_a_directive_is_one_word_to_a_shell_like_reader(weird: str) -> None:
    line = scripts.directive(weird, "output")
    assert split(line) == [weird]
    assert "\n" not in line


@pytest.mark.parametrize("weird", ["new\nline", "return\r", "nul\0", "bell\a"])
def test_a_directive_refuses_what_no_line_can_hold(weird: str) -> None:
    with pytest.raises(UsageError, match="control character"):
        scripts.directive(weird, "output")


def test_a_log_folder_with_percent_signs_is_not_taken_for_a_pattern_and_a_backslash_is_refused() -> None:
    assert scripts.pattern(Path("/a%A"), "x-%A_%a.log") == "/a%%A/x-%A_%a.log"
    with pytest.raises(UsageError, match="backslash"):
        scripts.pattern(Path("/a\\b"), "x")


@pytest.mark.parametrize("text", ["qos=high", "-q high", "--qos high", "--", "--qos=\n"])
def test_what_is_no_option_of_sbatch_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no option of sbatch"):
        scripts.option(text)


def test_options_of_sbatch() -> None:
    assert scripts.option("--qos=high=er") == ("qos", "high=er") and scripts.option("--exclusive") == (
        "exclusive",
        None,
    )
    assert scripts.default(scripts.template("train"), "mem") == "32G"
