"""A part of a dataset: its shards hold the posts of the whole run that are asked for, byte for byte, and no others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from postmill.ingest.pack.stages import awaited, ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.ingest.zipformat import stretches
from postmill.ingest.zipformat.signatures import LOCAL_HEADER
from postmill.shards.formats import faults, plan
from postmill.shards.run.chosen import Accounts, Chosen
from postmill.shards.run.options import Options
from postmill.shards.run.sources import NONE
from postmill.shards.state import verify
from tests.ingest.chosen import SHARD, Known, keys, made, same_as_everything, seconds, told
from tests.ingest.pack.packing import members
from tests.web import serving


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


def test_a_span_of_time_is_half_open_and_leaves_out_posts_without_a_time(known: Known, tmp_path: Path) -> None:
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


def test_over_a_network_what_is_chosen_comes_ahead_in_ranges_of_its_own(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "REMOTE_GAP", 1_000)
    asked: list[str] = []
    with serving(known.folder, happens=lambda request: asked.append(request.headers.get("Range", ""))) as address:
        chosen = Chosen(sample=6, seed=1)
        run, _ = make_plan(discover(f"http://{address}"), tmp_path / "run", Options(SHARD, chosen=chosen))
        asked.clear()
        list(ingest(run))
    assert list(verify.verify(run)) == []
    same_as_everything(known, run, keys(run))
    assert len(keys(run)) == 6
    entries = {(row["archive"], row["offset"]): row for row in pq.read_table(run.plan / "entries.parquet").to_pylist()}
    wanted = sum(LOCAL_HEADER.size + len(row["name"]) + row["compressed_size"] for row in entries.values())
    ranges = [tuple(map(int, text.removeprefix("bytes=").split("-"))) for text in asked if text]
    assert wanted <= sum(last + 1 - first for first, last in ranges) <= wanted + 1_100 * len(entries)


def test_of_a_dataset_without_pictures_a_part_is_chosen_too(known: Known, tmp_path: Path) -> None:
    locations = replace(discover(str(known.folder)), images=NONE)
    whole, _ = make_plan(locations, tmp_path / "whole", Options(SHARD))
    run, counts = make_plan(locations, tmp_path / "run", Options(SHARD, chosen=Chosen(categories=("pet",), sample=5)))
    for made_run in (whole, run):
        list(ingest(made_run))
        assert list(verify.verify(made_run)) == []
    assert counts.planned_posts == 5
    of_whole = members(whole)
    assert members(run) == {name: data for name, data in of_whole.items() if name.partition(".")[0] in keys(run)}
    assert {known.posts[key].account for key in keys(run)} == {"bo.b"}


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
