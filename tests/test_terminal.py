"""What controls a terminal never reaches it, whatever a name holds; and what verify says of an unfinished run."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.table import Table

from postmill.console.output import Terminal
from postmill.ingest.sample.write import write_sample
from postmill.shards.runtime.printable import printable, printable_json
from tests.commands import postmill, refused

HOSTILE = "a\x1b]0;title\x07b\x9b2Jc\x7f\u202ed\u2028e\x00"
SHOWN = r"a\x1b]0;title\x07b\x9b2Jc\x7f\u202ed\u2028e\x00"


def test_characters_that_control_a_terminal_are_written_as_numbers() -> None:
    assert printable(HOSTILE) == SHOWN
    plain = "Grüße, 雨の日 ☔\n\tein «Zeichen»"
    assert printable(plain) == plain == printable(printable(plain))


def test_json_means_the_same_without_them() -> None:
    text = printable_json(json.dumps({HOSTILE: [HOSTILE]}, ensure_ascii=False))
    assert json.loads(text) == {HOSTILE: [HOSTILE]} and text.isprintable()


def test_a_terminal_prints_names_and_cells_without_them() -> None:
    stream = io.StringIO()
    terminal = Terminal(file=stream, force_terminal=False, width=200)
    table = Table("name")
    table.add_row(HOSTILE)
    for shown in (HOSTILE, table):
        terminal.print(shown)
    assert stream.getvalue().count("title") == 2
    assert not set(stream.getvalue()) & {"\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2028", "\x00"}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planned")
    write_sample(folder / "data", posts=40, influencers=8, seed=3)
    postmill("plan", folder / "data", folder / "run")
    return folder / "run"


def test_what_is_not_done_yet_is_said_and_is_not_wrong(planned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert postmill("verify", planned) == 0
    told = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("not done yet: ") for line in told) == 1
    assert told[0].endswith(f"to go on: postmill ingest {planned}") and "of what is done is as it should be" in told[-1]


def test_what_is_not_done_yet_is_wrong_where_all_should_be(planned: Path) -> None:
    assert "things are wrong" in refused("verify", planned, "--complete").cause
