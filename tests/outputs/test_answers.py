"""What `--json` answers: one object with the fields of docs/output.md, whatever the command and however it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from postmill.cli import app
from postmill.console.display import answering
from postmill.console.output import out
from postmill.ingest.sample.write import write_sample
from postmill.shards.formats import plan as plans
from postmill.shards.run.folder import open_run
from postmill.train.evaluation import results
from tests.outputs.answer_fields import ANSWERS, documented, fields, seen

DOC = (Path(__file__).resolve().parents[2] / "docs" / "output.md").read_text()
GROUP: Any = typer.main.get_command(app)


def asked(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postmill.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})


def answered(*words: object, code: int = 0) -> dict[str, Any]:
    done = asked(*words, "--json")
    assert done.returncode == code, done.stderr
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    write_sample(folder / "data", posts=400, influencers=24, seed=3)
    for words in (
        ("plan", folder / "data", folder / "run"),
        ("ingest", folder / "run"),
        ("encode", folder / "run", "--encoder", "metadata"),
        ("encode", folder / "run", "--encoder", "emotion", "--models", "light"),
        ("train", folder / "run", "--model", "mean", "--model", "history", "--seeds", 2),
    ):
        done = asked(*words)
        assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.parametrize("title", ANSWERS)
def test_the_document_gives_exactly_the_fields_of_the_code(title: str) -> None:
    section = DOC.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    assert [row[0].strip(" `") for row in rows] == documented(title)
    assert all(cell.strip() for row in rows for cell in row)


def test_every_command_that_takes_json_is_in_the_document() -> None:
    takes = {name for name, command in GROUP.commands.items() if any("--json" in each.opts for each in command.params)}
    assert takes == {title.partition(",")[0] for title in ANSWERS} - {"Any command that failed"}


@pytest.mark.parametrize("title", [title for title in ANSWERS if title != "Any command that failed"])
def test_an_answer_has_these_fields_alone(title: str, run: Path, tmp_path: Path) -> None:
    words: dict[str, list[object]] = {
        "predict": ["predict", run, run, "--model", "history", "--output", tmp_path / "p.csv"],
        "export": ["export", run, tmp_path / "exported", "--to", "csv"],
        "train": ["train", run, "--model", "mean", "--model", "history", "--seeds", 2],
        "inspect, of an archive": ["inspect", run.parent / "data" / "Post_images"],
        "inspect, of a folder": ["inspect", run.parent / "data"],
    }
    found = seen(answered(*words.get(title, [title, run])))
    known = {*fields(ANSWERS[title]), *documented(title)}
    of_maps = {field for field in found - known if field.rpartition(".")[0] in known}
    assert found - of_maps <= known
    assert {field for field in documented(title) if "." not in field} <= found


def test_the_plan_and_the_faults_are_the_numbers_of_the_run(run: Path) -> None:
    told = answered("plan", run)
    counts = plans.counts(open_run(run))
    assert told["counts"]["planned_posts"] == counts.planned_posts > 0 and told["invented"] is True
    faults = answered("faults", run)
    assert faults["total"] == sum(each["faults"] for each in faults["faults"]) >= counts.faults > 0


def test_the_results_are_those_of_metrics_json(run: Path) -> None:
    told = answered("report", run)
    for result in results.read_results(open_run(run)):
        for split, of_split in result.splits.items():
            for metric, value in of_split.pooled.items():
                where = {"model": result.name, "split": split, "metric": metric}
                (cell,) = (each for each in told["results"] if each.items() >= where.items())
                interval = of_split.interval.get(metric)
                assert cell["known"]["value"] == value
                assert cell["known"]["interval"] == (None if interval is None else [interval.low, interval.high])
    assert {caveat["kind"] for caveat in told["caveats"]} >= {"invented data"}
    assert {cell["model"] for cell in told["results"]} == {"mean", "history"}


def test_what_is_wrong_is_told_with_its_place_and_what_mends_it(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "run"))
    assert answered("verify", other)["right"] is True
    (other / "posts" / "posts-000000.tar").write_bytes(b"nothing of it")
    done = asked("verify", other, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["right"] is False and "error: " in done.stderr
    assert any(found["place"].endswith("posts-000000.tar") and found["mend"] for found in told["wrong"])


def test_more_faults_than_allowed_are_no_failure_to_answer(run: Path) -> None:
    assert answered("plan", run, "--max-faults", 0, code=3)["counts"]["faults"] > 0


@pytest.mark.parametrize(
    ("words", "code", "cause"),
    [
        (["status", "nowhere"], 2, "does not exist"),
        (["verify", "nowhere"], 2, "does not exist"),
        (["plan", "nowhere", "new"], 2, "does not exist"),
        (["train", "nowhere", "--model", "fusoin"], 2, "'fusoin'"),
        (["faults", "--no-such-option", "nowhere"], 2, "No such option"),
        (["predict", "nowhere", "nowhere"], 2, "does not exist"),
    ],
)
def test_a_failure_is_an_object_too_with_the_words_of_the_error(
    words: list[str], code: int, cause: str, tmp_path: Path
) -> None:
    places = [str(tmp_path / word) if word in ("nowhere", "new") else word for word in words]
    done = asked(*places, "--json")
    assert done.returncode == code
    error = json.loads(done.stdout)["error"]
    assert set(error) == {"cause", "place", "hint", "exit_code"} and error["exit_code"] == code
    assert cause in error["cause"] and error["cause"] in done.stderr and error["hint"] in done.stderr


HASTY = (
    "from postmill.ingest.remote import patience; patience.UNREACHED_S = 1.0; "
    "from postmill.console.start import main; main()"
)


def test_an_error_says_no_secret_of_an_address() -> None:
    command = [sys.executable, "-c", HASTY, "plan", "http://user:hunter2@127.0.0.1:9/data", "new", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert done.returncode and "error" in json.loads(done.stdout)
    assert "hunter2" not in done.stdout + done.stderr


def test_an_answer_that_cannot_be_written_is_said(run: Path) -> None:
    command = [sys.executable, "-m", "postmill.cli", "faults", str(run), "--json"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output: cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_after_an_answer_is_not_answered_again(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    out.answered = True
    answering.failed("cause", "place", "hint", 1)
    assert capsysbinary.readouterr().out == b""
    out.answered = False
    answering.failed("cause", "place", "hint", 1)
    assert json.loads(capsysbinary.readouterr().out)["error"]["cause"] == "cause"
    out.answered = False
