"""What is printed is whole on a terminal of 40 columns, of 80, and in a pipe: no digit, name or sentence is cut."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.table import Table

from postmill.cli import app
from postmill.console.output import Terminal
from postmill.ingest.sample.write import write_sample
from postmill.shards.formats.reasons import Reason
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import Estimate, ResultRow
from postmill.train.options import Split
from postmill.train.report import terminal
from tests.outputs.widths import on_terminal

GROUP: Any = typer.main.get_command(app)
COMMANDS = list(GROUP.commands)
Printed = Callable[[int | None], str]


def piped(*words: object, columns: int = 40) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postmill.cli", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return subprocess.run(command, capture_output=True, text=True, env={**environment, "COLUMNS": str(columns)})


def printed(*tables: Table, columns: int | None) -> str:
    """The tables on a terminal of so many columns; None: in a pipe."""
    stream = StringIO()
    console = Terminal(file=stream, force_terminal=columns is not None, width=columns, color_system=None)
    for table in tables:
        console.print(table)
    return stream.getvalue()


def results() -> list[Table]:
    names = ("mse", "mae", "r2", "spearman", "within_account")
    cell = Estimate(-0.51234, Interval(-1.61, -0.22), shuffled=-0.123)
    rows = {
        split: [
            ResultRow(model, split, dict.fromkeys(names, cell), 1, 100, 20, {"r2": Estimate(-0.04, None)})
            for model in ("history-boosting", "fusion")
        ]
        for split in Split
    }
    return list(terminal.target_tables(rows, "log(1 + likes)"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("widths")
    write_sample(folder / "data", posts=40, influencers=8, seed=3)
    done = piped("plan", folder / "data", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.parametrize("columns", [40, 80, None])
def test_no_digit_of_the_results_is_cut(columns: int | None) -> None:
    text = printed(*results(), columns=columns)
    assert "…" not in text
    assert text.count("-0.512") == 2 * (1 + 4 + 4) and text.count("-0.123") >= 2 * (1 + 4)
    assert text.count("-0.040") == 2
    if columns is not None:
        assert max(map(len, text.splitlines())) <= columns


def test_results_stay_tables_in_80_columns_and_become_lines_in_40() -> None:
    assert printed(*results(), columns=80).count("┏") == 3
    narrow = printed(*results(), columns=40)
    assert narrow.count("┏") == 1, "the first has room"
    assert "  time-influencer: -0.512" in narrow and "history-boosting\n" in narrow


def test_an_interval_is_never_broken_in_a_table() -> None:
    assert printed(*results(), columns=80).count("-1.61 to -0.22") == printed(*results(), columns=None).count(
        "-1.61 to"
    )


def test_a_table_in_a_pipe_has_a_line_for_each_row() -> None:
    text = printed(*results(), columns=None)
    rows = [line for line in text.splitlines() if "fusion" in line]
    assert len(rows) == 3 and all("-0.512" in row for row in rows)
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("columns", [40, 80, 100])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_names_every_option_whole(name: str, columns: int) -> None:
    code, text = on_terminal(*name.split(), "--help", columns=columns)
    command = GROUP.commands[name] if name else GROUP
    options = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    assert code == 0
    assert {word for word in options if word.startswith("-")} <= set(re.findall(r"--?[A-Za-z][a-z-]*", text))
    assert "…" not in text
    assert set(COMMANDS if not name else ()) <= set(text.split())


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_in_a_pipe_has_no_boxes_and_no_trailing_blanks(name: str) -> None:
    lines = piped(*name.split(), "--help").stdout.splitlines()
    assert lines[0].startswith("Usage: ") and any(line.strip() == "-h, --help" for line in lines)
    assert not [line for line in lines if line != line.rstrip() or "│" in line or len(line) > 100]


@pytest.mark.parametrize("columns", [40, 80])
def test_every_stage_and_count_stands_on_a_narrow_terminal(run: Path, columns: int) -> None:
    code, text = on_terminal("status", run, columns=columns)
    assert code == 0 and "…" not in text
    for stage in ("plan", "metadata", "windows", "spanning", "train", "report"):
        assert re.search(rf"^ ?{stage}\b", text, re.MULTILINE), text
    assert "1/1" in text


@pytest.mark.parametrize("columns", [40, 80])
def test_every_fault_stands_whole_on_a_narrow_terminal(run: Path, columns: int) -> None:
    code, text = on_terminal("faults", run, columns=columns)
    found = [reason for reason in Reason if reason in text]
    assert code == 0 and len(found) >= 3 and "…" not in text


@pytest.mark.parametrize("words", ["status", "faults", "verify", "ingest", "mend", "plan", "inspect"])
def test_in_a_pipe_no_width_is_minded_and_no_line_ends_in_blanks(run: Path, words: str) -> None:
    place = run.parent / "data" if words == "inspect" else run
    piped(words, place)  # so that the next two find the same done
    narrow, wide = (piped(words, place, columns=columns) for columns in (40, 400))
    assert narrow.stdout and re.sub(r"\d", "", narrow.stdout) == re.sub(r"\d", "", wide.stdout)
    lines = [*narrow.stdout.splitlines(), *narrow.stderr.splitlines()]
    assert not [line for line in lines if line != line.rstrip()]


def test_the_words_of_an_error_are_one_line_each_in_a_pipe(tmp_path: Path) -> None:
    done = piped("ingest", tmp_path / "a long name of a run that was never planned")
    beginning, *words = done.stderr.splitlines()
    assert "ingest" in beginning and [line.partition(":")[0].strip() for line in words] == ["error", "next"]
