"""How a folder becomes a run: whole or not at all, and never over the work of another."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postmill.shards.run import folder as runs
from postmill.shards.run import manifests, pinned, publish, temporary
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.run.sources import PinnedText
from postmill.shards.runtime.errors import PostmillError, UsageError
from tests.runs import LOCATIONS, SOURCES

OTHER_OPTIONS = Options(shard_bytes=100)
OTHER_SOURCES = replace(SOURCES, mapping=PinnedText(9, "09"))


def planned(run: Run, scratch: Path, content: str = "x") -> Path:
    """A finished plan in a folder of its own, as it is published."""
    made = scratch / "plan"
    with publish.unit(made, pinned.PLAN, run.fingerprint) as unit:
        unit.file("posts.parquet").write(f"{content} of {run.fingerprint}".encode())
        pinned.state(unit, run)
    return made


def published(run: Run, before: pinned.Pinned | None = None) -> None:
    with temporary.scratch(run.folder) as scratch:
        pinned.publish_plan(run, planned(run, scratch), before)


def of(folder: Path, options: Options | None = None) -> Run:
    return runs.new(folder, SOURCES, options or Options(), LOCATIONS)


def worked_on(run: Run) -> None:
    """Make something beside the plan."""
    with publish.unit(run.posts, "posts-000000", run.fingerprint) as unit:
        unit.file("posts-000000.tar").write(b"x")


def is_whole(run: Run) -> bool:
    opened = runs.open_run(run.folder)
    return opened == run and manifests.done(run.plan, pinned.PLAN, run.fingerprint) is not None


def test_a_plan_and_its_run_are_published_together(tmp_path: Path) -> None:
    run = of(tmp_path / "run")
    assert pinned.look(run.folder) is None
    published(run)
    assert is_whole(run)
    assert pinned.look(run.folder) == pinned.Pinned(run.fingerprint, SOURCES, Options(), LOCATIONS)


def test_a_plan_says_what_it_was_pinned_to(tmp_path: Path) -> None:
    run = of(tmp_path)
    published(run)
    (tmp_path / "run.json").unlink()
    assert pinned.look(tmp_path) == pinned.Pinned(run.fingerprint, SOURCES, Options(), None)


@pytest.mark.parametrize(
    "left", [[], [".tmp-scratch-x"], ["plan", "plan/.tmp-x"], ["plan", "plan/posts.parquet"], ["logs"]]
)
def test_a_folder_of_leftovers_counts_as_empty(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).touch() if "." in name[1:] else (tmp_path / name).mkdir()
    run = of(tmp_path)
    assert pinned.look(tmp_path) is None
    published(run)
    assert is_whole(run)


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="neither empty nor a run folder"):
        pinned.look(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_of_somebody_elses_posts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "a.json").write_text("{}")
    with pytest.raises(UsageError, match="neither empty nor a run folder"):
        pinned.look(tmp_path)


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        pinned.look(tmp_path / "run")


def test_a_run_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    first, second = of(tmp_path), runs.new(tmp_path, OTHER_SOURCES, Options(), LOCATIONS)
    published(first)
    with pytest.raises(UsageError, match="another mapping file"):
        published(second, before=None)
    assert is_whole(first)


def test_a_plan_that_came_meanwhile_is_not_replaced_before_its_run_json_is_there(tmp_path: Path) -> None:
    first, second = of(tmp_path), of(tmp_path, OTHER_OPTIONS)
    published(first)
    (tmp_path / "run.json").unlink()  # as if its writer were just about to put it
    with pytest.raises(UsageError, match="--shard-size"):
        published(second, before=None)
    runs.put(first)
    assert is_whole(first)


def test_the_same_plan_made_twice_at_once_is_one(tmp_path: Path) -> None:
    run = of(tmp_path)
    with temporary.scratch(tmp_path) as one, temporary.scratch(tmp_path) as two:
        made = planned(run, one), planned(run, two)
        for each in made:
            pinned.publish_plan(run, each, None)
    assert is_whole(run)


def test_a_plan_is_replaced_by_the_next_that_knew_of_it(tmp_path: Path) -> None:
    published(of(tmp_path))
    anew = of(tmp_path, OTHER_OPTIONS)
    published(anew, before=pinned.look(tmp_path))
    assert is_whole(anew)


def test_a_damaged_plan_is_replaced_by_the_same(tmp_path: Path) -> None:
    run = of(tmp_path)
    published(run)
    (run.plan / "posts.parquet").unlink()
    published(run, before=pinned.look(tmp_path))
    assert is_whole(run) and manifests.done(run.plan, pinned.PLAN, run.fingerprint)


class Killed(BaseException):
    """Stands for a kill: nothing is done after it."""


def steps_of(run: Run, before: pinned.Pinned | None, made: Path, monkeypatch: pytest.MonkeyPatch, stop: int) -> int:
    """Publish, and stop before the step of number `stop` that changes the folder; return how many there were."""
    count = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            if count == stop:
                raise Killed
            count += 1
            return function(*arguments, **options)

        return step

    with monkeypatch.context() as patch:
        for owner, name in ((Path, "rename"), (Path, "replace"), (publish, "remove")):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        pinned.publish_plan(run, made, before)
    return count


@pytest.mark.parametrize("there", ["nothing", "the same", "other options", "damaged"])
def test_a_kill_at_any_step_leaves_no_run_or_a_whole_one(
    tmp_path: Path, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, finished = 0, False
    while not finished:
        folder = tmp_path / str(stop)
        folder.mkdir()
        run, old = of(folder), of(folder, OTHER_OPTIONS)
        if there != "nothing":
            published(old if there == "other options" else run)
        if there == "damaged":
            (run.plan / "posts.parquet").unlink()
        before = pinned.look(folder)
        (tmp_path / f"made-{stop}").mkdir()
        made = planned(run, tmp_path / f"made-{stop}")
        try:
            steps_of(run, before, made, monkeypatch, stop)
            finished = True
        except Killed:
            pass
        if (folder / "run.json").exists():
            opened = runs.open_run(folder)
            repairable = there == "damaged"
            assert repairable or manifests.done(opened.plan, pinned.PLAN, opened.fingerprint) is not None
        if not finished:  # the same command again
            again = tmp_path / f"again-{stop}"
            again.mkdir()
            pinned.publish_plan(run, planned(run, again), pinned.look(folder))
        assert is_whole(run)
        stop += 1
    assert stop > 1


def test_work_tells_whose_it_is(tmp_path: Path) -> None:
    run = of(tmp_path)
    published(run)
    assert pinned.work_of(tmp_path) is None
    run.logs.mkdir()
    (run.logs / "a.log").touch()
    assert pinned.work_of(tmp_path) is None
    worked_on(run)
    assert pinned.work_of(tmp_path) == run.fingerprint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
@pytest.mark.parametrize("name", ["", "posts"])
def test_what_may_not_be_listed_is_not_taken_for_empty(tmp_path: Path, name: str) -> None:
    run = of(tmp_path / "run")
    published(run)
    worked_on(run)
    (run.folder / name).chmod(0)
    try:
        with pytest.raises(PostmillError, match="cannot be read"):
            pinned.look(run.folder)
            pinned.work_of(run.folder)
    finally:
        (run.folder / name).chmod(0o755)


def test_what_cannot_be_listed_is_not_taken_for_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = of(tmp_path)
    published(run)
    worked_on(run)

    def failing(path: object) -> Any:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(PostmillError, match="cannot be read: Input/output error"):
        pinned.work_of(tmp_path)
    monkeypatch.setattr(os, "listdir", failing)
    with pytest.raises(PostmillError, match="cannot be read: Input/output error"):
        pinned.look(tmp_path)
