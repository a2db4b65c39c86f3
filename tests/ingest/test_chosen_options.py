"""The options that choose: what is typed, what a run remembers of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from postmill.shards.formats import plan
from postmill.shards.run import folder as runs
from postmill.shards.run.chosen import Accounts, Chosen
from tests.commands import paste, postmill, refused
from tests.ingest.chosen import Known, made, told


def test_a_run_knows_its_selection_and_its_list_of_accounts(known: Known, tmp_path: Path) -> None:
    run, accounts = tmp_path / "run", tmp_path / "accounts.txt"
    accounts.write_bytes("\ufeff# mine\r\n\r\n@cy\r\n bo.b  # both\r\ncy\r\n".encode())
    words = ("--shard-size", "1", "--category", "fasion", "--category", "pet", "--sample", "9")
    assert postmill("plan", known.folder, run, "--accounts", accounts, *words) == 0
    first = runs.open_run(run)
    assert first.options.chosen == Chosen(Accounts.of(["bo.b", "cy"]), ("fashion", "pet"), sample=9)
    stated = [row.copy() for row in plan.accounts(first).to_pylist()]
    accounts.unlink()
    assert postmill("plan", run) == 0
    assert runs.open_run(run) == first
    assert postmill("plan", run, "--shard-size", "2") == 0
    assert plan.accounts(runs.open_run(run)).to_pylist() == stated
    assert postmill("plan", run, "--everything") == 0
    assert runs.open_run(run).options.chosen == Chosen()
    assert not (run / "plan" / plan.ACCOUNTS_FILE).exists()


def test_a_list_that_only_a_lost_plan_had_is_asked_for(known: Known, tmp_path: Path) -> None:
    run, accounts = tmp_path / "run", tmp_path / "accounts.txt"
    accounts.write_text("cy\n")
    postmill("plan", known.folder, run, "--accounts", accounts)
    for path in (run / "plan").iterdir():
        path.unlink()
    error = refused("plan", run)
    assert "list of accounts" in error.cause
    assert paste(error, {"FILE": accounts}) == 0
    assert plan.counts(runs.open_run(run)).planned_posts


def test_a_run_that_was_worked_on_keeps_its_selection(known: Known, tmp_path: Path) -> None:
    run = made(known.folder, tmp_path / "run", Chosen(categories=("pet",)))[0]
    error = refused("plan", run.folder, "--after", "2018-01-03")
    assert "planned with --category pet, and now it is --category pet --after 2018-01-03" in error.cause
    error = refused("plan", run.folder, "--everything")
    assert "planned with --category pet, and now it is --everything" in error.cause
    assert paste(error, {"SOURCE": known.folder, "NEW_RUN": tmp_path / "new"}) == 0


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--category", "pets"), "'pets' is none of the categories"),
        (("--after", "yesterday"), "'yesterday' is no day"),
        (("--after", "2018-02-01", "--before", "2018-02-01"), "no day is on or after"),
        (("--seed", "3"), "needs a sample"),
        (("--accounts", "absent.txt"), "does not exist"),
        (("--accounts", "empty.txt"), "names no account"),
        (("--accounts", "table.txt"), "line 2 is no name of an account: 'cy fashion'"),
        (("--accounts", "others.txt"), "chooses 0 of 90 mapped posts"),
    ],
)
def test_what_chooses_nothing_is_refused(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], cause: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("empty.txt", "# none\n\n"), ("table.txt", "ann\ncy fashion\n"), ("others.txt", "nobody\n")):
        Path(name).write_text(text)
    assert cause in refused("plan", known.folder, "run", *words).cause
    assert not Path("run").exists()


def test_a_run_of_everything_states_no_selection(known: Known) -> None:
    assert "chosen" not in known.run.options.to_json()
    stated = json.loads((known.run.plan / "plan.json").read_bytes())
    assert "not_chosen" not in stated["counts"]
    assert told(known.run) == (0, 0, None)
