"""What next: every command that the page names is one, and what is lacking comes first."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
import typer

from postmill.cli import app
from postmill.shards.run.folder import Run
from postmill.train.evaluation import results
from postmill.train.report import describe
from postmill.train.report import page as pages
from postmill.train.report.figures.figure import Question
from postmill.train.report.section import Section
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]


def next_of(run: Run) -> Section:
    models = results.read_results(run)
    sections = pages.page(run, describe.summarise(run), models).sections
    return next(section for section in sections if section.question == Question.NEXT)


def parsed(line: str) -> None:
    """Have the command line read each command of a shell line, as it would before it does anything."""
    group = typer.main.get_command(app)
    for command in line.split(" && "):
        words = shlex.split(command.partition(" > ")[0])
        assert words[0] == "postmill"
        name, inner, rest = group.resolve_command(group.make_context("postmill", words[1:]), words[1:])  # type: ignore[attr-defined]
        inner.make_context(name, rest)


@pytest.mark.parametrize(
    ("accounts", "models", "first"),
    [(40, [], "postmill train run"), (10, ["mean"], ""), (40, ["mean", "metadata"], "postmill report run --figures")],
)
def test_what_is_lacking_comes_first_and_every_command_is_one(
    planted_run: MakeRun, accounts: int, models: list[str], first: str
) -> None:
    run = planted_run(posts=240, accounts=accounts, lost=2)
    if models:
        train_run(run, names=models, seeds=5, split_names=("influencer",))
    section = next_of(run)
    assert section.command.startswith(first) and bool(section.command) == bool(first)
    assert len(section.commands) >= 3
    for command in section.commands:
        parsed(command.command)


def test_an_unfinished_run_is_to_be_finished(planted_run: MakeRun) -> None:
    run = planted_run(posts=40, accounts=10)
    (run.posts / "posts-000001.json").unlink()
    section = next_of(run)
    assert section.command == section.commands[0].command == "postmill ingest run"


def test_a_command_that_is_none_is_told() -> None:
    with pytest.raises(Exception, match="No such option"):
        parsed("postmill report run --figure figures")
