"""Datasets of which all is known, from split zips to post shards, against `zip -s 0` and the standard library."""

from __future__ import annotations

import gzip
import json
import subprocess
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import webdataset

from postmill.ingest.pack.stages import StageSummary, ingest
from postmill.ingest.pack.workers import workforce
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.formats import faults, plan, posts
from postmill.shards.formats.units import shard_name
from postmill.shards.run import temporary
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from postmill.shards.state import verify
from tests import datasets
from tests.datasets import KnownDataset


@pytest.fixture(scope="module", params=["built", *(["given"] if datasets.GIVEN.is_dir() else [])])
def known(request: pytest.FixtureRequest) -> KnownDataset:
    if request.param == "given":
        return datasets.given()
    built: KnownDataset = request.getfixturevalue("built")
    return built


@pytest.fixture(scope="module")
def run(known: KnownDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run, _ = make_plan(discover(str(known.folder)), tmp_path_factory.mktemp("known") / "run")
    list(ingest(run))
    return run


@pytest.fixture(scope="module")
def joined(known: KnownDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Every entry of both archives by file name, as Info-ZIP joins them and the standard library reads them."""
    folder = tmp_path_factory.mktemp("joined")
    read = []
    for archive in ("Post_metadata/posts_info.zip", "Post_images/posts_image.zip"):
        single = folder / Path(archive).name
        subprocess.run(["zip", "-q", "-s", "0", known.folder / archive, "--out", single], check=True)
        with zipfile.ZipFile(single) as opened:
            read.append({Path(name).name: opened.read(name) for name in opened.namelist() if not name.endswith("/")})
    return read[0], read[1]


def tars(run: Run) -> list[str]:
    return [str(run.posts / f"{shard_name(shard.shard)}.tar") for shard in plan.shards(run)]


def samples(run: Run) -> list[dict[str, Any]]:
    return list(webdataset.WebDataset(tars(run), shardshuffle=False).decode())


def records(run: Run) -> list[dict[str, Any]]:
    return [row for shard in plan.shards(run) for row in posts.read_records(run, shard.shard).to_pylist()]


def test_all_posts_with_all_pictures(known: KnownDataset, run: Run) -> None:
    read = samples(run)
    assert len(read) == len({sample["__key__"] for sample in read}) == known.posts - len(known.lost) > 90
    assert sum(name.endswith(".jpg") for sample in read for name in sample) == known.pictures
    assert all("." not in sample["__key__"] for sample in read)
    assert any("." in sample["json"]["influencer"] for sample in read)
    post, pictures = known.carousel
    (carousel,) = [sample for sample in read if sample["json"]["post_id"] == post]
    assert carousel["json"]["images"] == list(pictures) and len(pictures) == 2
    (sharing,) = [sample for sample in read if sample["json"]["images"] == [pictures[-1]]]
    assert sharing["__key__"] != carousel["__key__"]


def test_the_planted_faults_and_no_others(known: KnownDataset, run: Run) -> None:
    rows = [row for _, table in faults.tables(run, len(plan.shards(run))) for row in table.to_pylist()]
    assert {(row["influencer"], row["post_id"]): row["reason"] for row in rows if row["post_lost"]} == known.lost
    repeated = ["duplicate_mapping_row"] * known.repeated_rows
    assert Counter(row["reason"] for row in rows) == Counter([*known.lost.values(), *repeated])
    assert sorted(known.lost.values()) == ["metadata_missing", "metadata_unreadable", "no_image"]
    assert plan.counts(run).mapped_posts == known.posts
    assert list(verify.check_counts(run)) == []
    assert list(verify.verify_files(run)) == []


def test_every_members_bytes_are_the_archives(run: Run, joined: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    infos, pictures = joined
    for sample in webdataset.WebDataset(tars(run), shardshuffle=False):
        record = json.loads(sample["json"])
        assert gzip.decompress(sample["raw.json.gz"]) == infos[f"{record['influencer']}-{record['post_id']}.info"]
        for number, image in enumerate(record["images"]):
            assert sample[f"{number}.jpg"] == pictures[f"{record['influencer']}-{image}"]
        assert f"{len(record['images'])}.jpg" not in sample


def test_the_records_say_what_the_info_files_and_the_list_of_accounts_say(
    known: KnownDataset, run: Run, joined: tuple[dict[str, bytes], dict[str, bytes]]
) -> None:
    infos, _ = joined
    lines = [line.split("\t") for line in (known.folder / "influencers.txt").read_text().splitlines()[2:]]
    accounts = {name: (category, *map(int, numbers)) for name, category, *numbers in lines}
    read = records(run)
    assert len(read) == known.posts - len(known.lost)
    for record in read:
        media = json.loads(infos[f"{record['influencer']}-{record['post_id']}.info"])
        edges = media["edge_media_to_caption"]["edges"]
        assert record["likes"] == media["edge_media_preview_like"]["count"]
        assert record["caption"] == (edges[0]["node"]["text"] if edges else None)
        assert record["taken_at"] == media["taken_at_timestamp"]
        assert record["comment_count"] == media["edge_media_to_comment"]["count"]
        assert (record["comments"], record["comments_read"]) == (None, 0)  # their texts were not collected
        assert (record["width"], record["height"]) == (media["dimensions"]["width"], media["dimensions"]["height"])
        numbers = (record["followers"], record["followees"], record["influencer_posts"])
        assert (record["category"], *numbers) == accounts[record["influencer"]] and record["followers"] > 0


def test_the_parquet_holds_the_records_of_the_tar(run: Run) -> None:
    assert records(run) == [sample["json"] for sample in samples(run)]


def test_the_indexes_of_the_ecosystem_count_the_same(known: KnownDataset, run: Run) -> None:
    sizes = json.loads((run.posts / "sizes.json").read_bytes())
    index = json.loads((run.posts / "index.json").read_bytes())
    in_shards = known.posts - len(known.lost)
    assert sum(sizes.values()) == sum(shard["nsamples"] for shard in index["shardlist"]) == in_shards
    assert index["__kind__"] == "wids-shard-index-v1"


def test_a_second_call_does_nothing(known: KnownDataset, run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    again, _ = make_plan(discover(str(known.folder)), run.folder)
    assert [summary.done for summary in ingest(again)] == [0, 0, 0]
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_nothing_is_left_but_what_manifests_state(run: Run) -> None:
    assert not [path for path in run.folder.rglob("*") if path.name.startswith(temporary.TEMPORARY)]


@pytest.mark.parametrize(("shard_bytes", "workers"), [(200_000, 2), (1 << 30, 1)])
def test_windows_of_any_size_and_workers_hold_the_same_posts(
    known: KnownDataset, run: Run, tmp_path: Path, shard_bytes: int, workers: int
) -> None:
    other, _ = make_plan(discover(str(known.folder)), tmp_path / "run", Options(shard_bytes=shard_bytes))
    with workforce(workers, preload="postmill.ingest.pack.stages") as perform:
        summaries = list(ingest(other, perform=perform))
    assert all(isinstance(summary, StageSummary) and summary.skipped == 0 for summary in summaries)

    def content(which: Run) -> dict[str, dict[str, Any]]:
        read = webdataset.WebDataset(tars(which), shardshuffle=False)
        return {s["__key__"]: {k: v for k, v in s.items() if not k.startswith("__")} for s in read}

    assert content(other) == content(run)
    assert list(verify.check_counts(other)) == []


def test_the_table_of_entries_is_ordered_by_offset_and_holds_what_can_be_used(known: KnownDataset, run: Run) -> None:
    table = pq.read_table(run.plan / "entries.parquet").to_pylist()
    offsets = [(row["archive"], row["window"], row["offset"]) for row in table]
    assert offsets == sorted(offsets)
    # An empty info file shows when it is read, and not before.
    planned = known.posts - sum(reason != "metadata_unreadable" for reason in known.lost.values())
    unreadable = sum(reason == "metadata_unreadable" for reason in known.lost.values())
    assert len(table) == planned + known.pictures + unreadable
