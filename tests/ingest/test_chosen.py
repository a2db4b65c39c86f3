"""A part of a dataset: its shards hold the posts of the whole run that are asked for, byte for byte, and no others."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from postmill.ingest.pack.stages import awaited, ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats import faults, plan
from postmill.shards.formats.counts import PlanCounts
from postmill.shards.run import folder as runs
from postmill.shards.run.chosen import Accounts, Chosen
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.state import status as statuses
from postmill.shards.state import verify
from postmill.train.report.describe import summarise
from tests.commands import paste, postmill, refused
from tests.datasets import info, write_dataset
from tests.ingest.pack.packing import members

OF_ACCOUNT = {"ann": "food", "bo.b": "pet", "cy": "fashion", "dee": "fasion", "eve": "fashion 0.5"}
SHARD = 30_000


@dataclass(frozen=True)
class Post:
    """What is known of a mapped post."""

    account: str
    taken_at: int | None
    usable: bool


@dataclass(frozen=True)
class Known:
    """A dataset, what is known of its posts, and the run of everything."""

    folder: Path
    posts: dict[str, Post]
    run: Run


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Ninety posts of five accounts, a fifth carousels, on parts of 64 kB; some are lost, some rows are there twice."""
    noise = random.Random(5)
    root = tmp_path_factory.mktemp("chosen")
    infos, pictures, rows, posts = {}, {}, [], {}
    for n in range(90):
        account = list(OF_ACCOUNT)[n % 5]
        images = [f"{n}_{i}.jpg" for i in range(3 if n % 5 == noise.randrange(5) else 1)]
        time = None if n % 30 == 7 else 1_514_764_800 + n * 86_400 // 2  # two a day from 2018 on
        rows.append((account, str(n), images))
        if n % 11 != 4:
            infos[f"{account}-{n}.info"] = info(str(n), taken_at_timestamp=time)
        pictures |= {f"{account}-{image}": noise.randbytes(noise.randrange(3_000, 9_000)) for image in images}
        posts[str(n)] = Post(account, time, n % 11 != 4)
    infos["ann-none.info"] = info("unmapped")
    pictures["bo.b-none.jpg"] = b"unmapped"
    scattered = [dict(noise.sample(list(files.items()), len(files))) for files in (infos, pictures)]
    influencers = [f"{account}\t{category}\t1000\t10\t5" for account, category in OF_ACCOUNT.items()]
    write_dataset(root / "data", *scattered, [*rows, rows[2], rows[8]], influencers, ["-s", "64k"])
    return Known(root / "data", posts, made(root / "data", root / "everything", Chosen())[0])


def made(root: Path, folder: Path, chosen: Chosen, accounts: list[str] | None = None) -> tuple[Run, PlanCounts]:
    """Plan and ingest, and see that all is as it should be."""
    run, counts = make_plan(discover(str(root)), folder, Options(SHARD, chosen=chosen), accounts=accounts)
    list(ingest(run))
    assert list(verify.verify(run)) == []
    return run, counts


def told(run: Run) -> tuple[int, int, str | None]:
    """What status and report say of posts that are not chosen, of those without a time, and of the selection."""
    status, data = statuses.read(run), summarise(run)
    assert data.adds_up
    assert (status.not_chosen, status.without_time) == (data.not_chosen, data.without_time)
    return data.not_chosen, data.without_time, data.selection


def keys(run: Run) -> set[str]:
    return {name.partition(".")[0] for name in members(run)}


def same_as_everything(known: Known, run: Run, wanted: set[str]) -> None:
    whole = members(known.run)
    assert members(run) == {name: data for name, data in whole.items() if name.partition(".")[0] in wanted}


def seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def test_a_list_of_accounts_takes_their_posts_and_nothing_is_said_of_others(known: Known, tmp_path: Path) -> None:
    names = ["cy", "bo.b", "nobody"]
    run, counts = made(known.folder, tmp_path / "run", Chosen(Accounts.of(names)), names)
    of_them = {key for key, post in known.posts.items() if post.account in names}
    usable = {key for key in of_them if known.posts[key].usable}
    same_as_everything(known, run, usable)
    assert (counts.mapped_posts, counts.planned_posts) == (90, len(usable))
    assert (counts.lost, counts.not_chosen) == (len(of_them - usable), 90 - len(of_them))
    assert told(run)[:2] == (90 - len(of_them), 0)
    faulty = {row["post_id"] for _, table in faults.tables(run, counts.shards) for row in table.to_pylist()}
    assert faulty == (of_them - usable) | {"2", "8"} & of_them
    entries = pq.read_table(run.plan / "entries.parquet", columns=["name"])["name"].to_pylist()
    assert {name.decode().split("/")[1].split("-")[0] for name in entries} == {"cy", "bo.b"}
    table = plan.accounts(run).to_pylist()
    assert [(row["influencer"], row["posts"]) for row in table] == [("bo.b", 18), ("cy", 18), ("nobody", 0)]


def test_a_category_takes_its_mistypings_too(known: Known, tmp_path: Path) -> None:
    run, counts = made(known.folder, tmp_path / "run", Chosen(categories=("fashion",)))
    fashion = {key for key, post in known.posts.items() if post.account in ("cy", "dee", "eve")}
    same_as_everything(known, run, {key for key in fashion if known.posts[key].usable})
    assert counts.not_chosen == 90 - len(fashion)


def test_a_list_and_a_category_take_what_is_in_both(known: Known, tmp_path: Path) -> None:
    names = ["ann", "cy"]
    run, _ = made(known.folder, tmp_path / "run", Chosen(Accounts.of(names), ("fashion",)), names)
    same_as_everything(known, run, {k for k, post in known.posts.items() if post.account == "cy" and post.usable})


@pytest.mark.parametrize("raw", [True, False])
def test_a_span_of_time_is_half_open_and_leaves_out_posts_without_a_time(
    known: Known, tmp_path: Path, raw: bool
) -> None:
    after, before = date(2018, 1, 6), date(2018, 1, 20)
    run, counts = made(known.folder, tmp_path / "run", Chosen(after=after, before=before))
    usable = {key: post for key, post in known.posts.items() if post.usable}
    wanted = {
        key
        for key, post in usable.items()
        if post.taken_at is not None and seconds(after) <= post.taken_at < seconds(before)
    }
    assert {usable[key].taken_at for key in wanted} >= {seconds(after)}
    assert seconds(before) in {post.taken_at for post in usable.values()}
    same_as_everything(known, run, wanted)
    assert (counts.planned_posts, counts.not_chosen) == (len(usable), 0)
    shards = [json.loads(path.read_bytes())["counts"] for path in run.posts.glob("posts-*.json")]
    assert sum(shard.get("not_chosen", 0) for shard in shards) == len(usable) - len(wanted)
    timeless = sum(post.taken_at is None for post in usable.values())
    assert timeless and sum(shard.get("without_time", 0) for shard in shards) == timeless
    left_out = len(usable) - len(wanted)
    assert told(run) == (left_out, timeless, "--after 2018-01-06 --before 2018-01-20")
    whole = {row["reason"] for _, table in faults.tables(known.run, 99) for row in table.to_pylist()}
    assert {row["reason"] for _, table in faults.tables(run, counts.shards) for row in table.to_pylist()} == whole


def test_a_sample_is_of_posts_that_can_be_had_and_the_same_wherever_they_lie(known: Known, tmp_path: Path) -> None:
    run, counts = made(known.folder, tmp_path / "run", Chosen(sample=20, seed=3))
    drawn = keys(run)
    assert len(drawn) == counts.planned_posts == 20
    assert (counts.lost, counts.not_chosen) == (0, 70)
    same_as_everything(known, run, drawn)

    more, _ = made(known.folder, tmp_path / "more", Chosen(sample=40, seed=3))
    other, _ = made(known.folder, tmp_path / "other", Chosen(sample=20, seed=4))
    assert drawn < keys(more)
    assert drawn != keys(other)

    rows = (known.folder / "JSON-Image_files_mapping.txt").read_text().splitlines(keepends=True)
    for name in ("Post_metadata", "Post_images"):
        (tmp_path / "turned" / name).mkdir(parents=True)
        for part in (known.folder / name).iterdir():
            (tmp_path / "turned" / name / part.name).symlink_to(part)
    (tmp_path / "turned" / "influencers.txt").symlink_to(known.folder / "influencers.txt")
    (tmp_path / "turned" / "JSON-Image_files_mapping.txt").write_text("".join([rows[0], *reversed(rows[1:])]))
    turned, _ = made(tmp_path / "turned", tmp_path / "turned-run", Chosen(sample=20, seed=3))
    assert members(turned) == members(run)


def test_a_sample_is_drawn_of_what_is_chosen_otherwise(known: Known, tmp_path: Path) -> None:
    run, counts = made(known.folder, tmp_path / "run", Chosen(categories=("pet",), sample=5))
    assert {known.posts[key].account for key in keys(run)} == {"bo.b"}
    assert (counts.planned_posts, counts.lost, counts.not_chosen) == (5, 0, 85)
    _, counts = made(known.folder, tmp_path / "all", Chosen(categories=("pet",), sample=5_000))
    assert counts.planned_posts == sum(post.account == "bo.b" and post.usable for post in known.posts.values())


def test_windows_hold_about_a_shard_of_what_is_chosen_within_one_part(known: Known, tmp_path: Path) -> None:
    run, _ = made(known.folder, tmp_path / "run", Chosen(categories=("pet",)))
    for archive in (plan.METADATA, plan.IMAGES):
        windows = plan.windows(run, archive)
        assert [window.last_part for window in windows] == sorted({window.last_part for window in windows})
        assert all(one.end <= other.start for one, other in pairwise(windows))
    assert 1 < len(windows) < len(plan.windows(known.run, plan.IMAGES))


def test_parts_on_which_nothing_chosen_lies_are_not_waited_for(known: Known, tmp_path: Path) -> None:
    chosen = Chosen(sample=3, seed=1)
    whole, _ = made(known.folder, tmp_path / "whole", chosen)
    needed = {n for window in plan.windows(whole, plan.IMAGES) for n in range(window.first_part, window.last_part + 1)}
    spare = {name for n, (name, _) in enumerate(whole.sources.images.parts[:-1]) if n not in needed}
    assert spare
    some = shutil.copytree(known.folder, tmp_path / "some", ignore=lambda _, names: spare.intersection(names))
    run, _ = make_plan(discover(str(some)), tmp_path / "run", Options(SHARD, chosen=chosen), await_parts=True)
    list(ingest(run))
    assert list(verify.verify(run)) == []
    assert members(run) == members(whole)
    assert awaited(run) == []


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
        (("--accounts", "absent.txt"), "cannot be read"),
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


def test_a_post_of_another_time_in_a_shard_is_found(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes: Callable[[Chosen, int | None], bool] = Chosen.takes
    monkeypatch.setattr(Chosen, "takes", lambda self, time: True)
    run, _ = make_plan(
        discover(str(known.folder)), tmp_path / "run", Options(SHARD, chosen=Chosen(after=date(2018, 1, 9)))
    )
    list(ingest(run))
    monkeypatch.setattr(Chosen, "takes", takes)
    assert any("of another time" in wrong.what for wrong in verify.verify_files(run))
