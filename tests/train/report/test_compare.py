"""Two runs side by side: paired where they may be, never where they may not, and checked like all that a run holds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from postmill.shards.run.folder import Run, open_run
from postmill.shards.runtime.errors import UsageError
from postmill.shards.state import verify
from postmill.train.evaluation import results
from postmill.train.options import Split
from postmill.train.report import compare, describe
from postmill.train.report.compare import Side, write_comparison
from postmill.train.report.finding import CLAIM, WEAK
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]
NAMES = ["mean", "followers", "history"]


@pytest.fixture(scope="module")
def trained(plant_once: MakeRun) -> Run:
    run = plant_once(posts=400, accounts=50, account=0.9, record={"followers": lambda row: 1_000 + row})
    train_run(run, names=NAMES, seeds=5, split_names=("influencer",))
    return run


def copied(run: Run, folder: Path) -> Run:
    shutil.copytree(run.folder, folder)
    return replace(run, folder=folder)


def side(name: str, run: Run) -> Side:
    return Side(name, run, describe.summarise(run), results.read_results(run))


def test_runs_of_the_same_posts_are_paired(trained: Run, tmp_path: Path) -> None:
    other = copied(trained, tmp_path / "other")
    shutil.rmtree(other.models / "history")
    shutil.copytree(other.models / "followers", other.models / "history")  # which is worse
    page = compare.page(side("one", trained), side("two", other))
    claims = [finding for finding in page.findings if finding.strength == CLAIM]
    assert [finding.text.split(":")[0] for finding in claims] == ["history is worse in two than in one"]
    (rest,) = [finding for finding in page.findings if finding.strength == WEAK]
    assert "mean, followers" in rest.text
    stated = {row.model: row["r2"].value for row in results.rows_of(results.read_results(trained), Split.INFLUENCER)}
    assert stated["followers"] is not None and stated["history"] is not None
    assert f"{stated['followers'] - stated['history']:.3f}".replace("-", "\N{MINUS SIGN}") in claims[0].text


def test_runs_of_other_posts_are_not_paired(trained: Run, planted_run: MakeRun) -> None:
    other = planted_run(posts=300, accounts=40, account=0.9, seed=7)
    train_run(other, names=NAMES, seeds=5, split_names=("influencer",))
    page = compare.page(side("one", trained), side("two", other))
    assert page.findings == []
    (reached,) = [table for table in page.tables if table.name == "reached"]
    assert [row[3] for row in reached.rows] == ["not paired"] * 3
    (came_in,) = [table for table in page.tables if table.name == "came-in"]
    assert ["posts in shards", 400, 300] in came_in.rows


def test_the_page_is_a_unit_of_the_run(trained: Run, tmp_path: Path) -> None:
    run, other = copied(trained, tmp_path / "run"), copied(trained, tmp_path / "other")
    before = sorted(path for path in other.folder.rglob("*") if path.is_file())
    done = write_comparison(run, other)
    assert done.written and done.path == run.report / "compare.html"
    assert not write_comparison(run, other).written
    assert sorted(path for path in other.folder.rglob("*") if path.is_file()) == before
    assert not [of for of in verify.verify_files(run) if "report" in str(of)]
    (run.report / "compare.html").write_text("x")
    assert [of for of in verify.verify_files(run) if "compare.html" in str(of)]


def test_two_runs_are_two(trained: Run) -> None:
    with pytest.raises(UsageError, match="is named twice"):
        write_comparison(trained, open_run(trained.folder))


def test_models_of_other_targets_are_not_compared(trained: Run, planted_run: MakeRun) -> None:
    other = planted_run(posts=60, accounts=20)
    train_run(other, names=["mean"], seeds=1, target_name="likes")
    with pytest.raises(UsageError, match="no models of one target") as caught:
        write_comparison(trained, other)
    assert caught.value.hint == f"postmill train {trained.word}; postmill train {other.word}"
    train_run(other, names=["mean"], seeds=1)  # as the hint has it, of the usual target
    assert write_comparison(other, trained).written
