"""The hundred real posts, from split zips to post shards, against what `zip -s 0` and the standard library read."""

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

from ingest.prepare import prepare
from ingest.source import discover
from ingest.stages import StageSummary, ingest
from ingest.workers import workforce
from shards import faults, plan, posts, temporary, verify
from shards.run import Run

LOST = {
    ("virat.kohli", "2929376734148410921"): "metadata_missing",
    ("natgeo", "2944035524186137695"): "metadata_unreadable",
    ("instagram", "2901123107588738258"): "no_image",
}
CAROUSEL = "2934168208530733068"


@pytest.fixture(scope="module")
def real() -> Path:
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "real-posts"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/real-posts is absent")
    return folder.resolve()


@pytest.fixture(scope="module")
def run(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run, _ = prepare(discover(str(real)), tmp_path_factory.mktemp("real") / "run")
    list(ingest(run))
    return run


@pytest.fixture(scope="module")
def joined(real: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Every entry of both archives by file name, as Info-ZIP joins them and the standard library reads them."""
    folder = tmp_path_factory.mktemp("joined")
    read = []
    for archive in (real / "Post_metadata" / "posts_info.zip", real / "Post_images" / "posts_image.zip"):
        whole = folder / archive.name
        subprocess.run(["zip", "-q", "-s", "0", str(archive), "--out", str(whole)], check=True)
        with zipfile.ZipFile(whole) as opened:
            read.append({Path(name).name: opened.read(name) for name in opened.namelist() if not name.endswith("/")})
    return read[0], read[1]


def tars(run: Run) -> list[str]:
    return [str(run.posts / f"{posts.shard_name(shard.shard)}.tar") for shard in plan.shards(run)]


def samples(run: Run) -> list[dict[str, Any]]:
    return list(webdataset.WebDataset(tars(run), shardshuffle=False).decode())


def test_97_posts_with_98_pictures(run: Run) -> None:
    read = samples(run)
    assert len(read) == len({sample["__key__"] for sample in read}) == 97
    assert sum(name.endswith(".jpg") for sample in read for name in sample) == 98
    assert all("." not in sample["__key__"] for sample in read)
    assert {sample["json"]["influencer"] for sample in read} >= {"virat.kohli"}
    (carousel,) = [sample for sample in read if sample["json"]["post_id"] == CAROUSEL]
    assert carousel["json"]["images"] == ["2934168208530733068.jpg", "2937444473186918492.jpg"]


def test_the_planted_faults_and_no_others(run: Run) -> None:
    rows = [row for _, table in faults.tables(run, len(plan.shards(run))) for row in table.to_pylist()]
    assert {(row["influencer"], row["post_id"]): row["reason"] for row in rows if row["post_lost"]} == LOST
    assert Counter(row["reason"] for row in rows) == Counter(
        ["metadata_missing", "metadata_unreadable", "no_image", "duplicate_mapping_row"]
    )
    assert plan.manifest(run).counts["mapped_posts"] == 100
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


def test_likes_and_captions_are_those_of_the_info_files(
    run: Run, joined: tuple[dict[str, bytes], dict[str, bytes]]
) -> None:
    infos, _ = joined
    records = [row for shard in plan.shards(run) for row in posts.read_records(run, shard.shard).to_pylist()]
    assert len(records) == 97
    for record in records:
        info = json.loads(infos[f"{record['influencer']}-{record['post_id']}.info"])
        edges = info["edge_media_to_caption"]["edges"]
        assert record["likes"] == info["edge_media_preview_like"]["count"]
        assert record["caption"] == (edges[0]["node"]["text"] if edges else None)
        assert record["taken_at"] == info["taken_at_timestamp"]
        assert record["comment_count"] == info["edge_media_to_comment"]["count"]
        assert record["category"] == "other" and record["followers"] > 0


def test_the_parquet_holds_the_records_of_the_tar(run: Run) -> None:
    records = [row for shard in plan.shards(run) for row in posts.read_records(run, shard.shard).to_pylist()]
    assert records == [sample["json"] for sample in samples(run)]


def test_the_indexes_of_the_ecosystem_count_the_same(run: Run) -> None:
    sizes = json.loads((run.posts / "sizes.json").read_bytes())
    index = json.loads((run.posts / "index.json").read_bytes())
    assert sum(sizes.values()) == sum(shard["nsamples"] for shard in index["shardlist"]) == 97
    assert index["__kind__"] == "wids-shard-index-v1"


def test_a_second_call_does_nothing(run: Run, real: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    again, _ = prepare(discover(str(real)), run.folder)
    assert [summary.done for summary in ingest(again)] == [0, 0, 0]
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_nothing_is_left_but_what_manifests_state(run: Run) -> None:
    assert not [path for path in run.folder.rglob("*") if path.name.startswith(temporary.TEMPORARY)]


@pytest.mark.parametrize(("shard_bytes", "workers"), [(200_000, 2), (1 << 30, 1)])
def test_windows_of_any_size_and_workers_hold_the_same_posts(
    run: Run, real: Path, tmp_path: Path, shard_bytes: int, workers: int
) -> None:
    other, _ = prepare(discover(str(real)), tmp_path / "run", shard_bytes=shard_bytes)
    with workforce(workers) as perform:
        summaries = list(ingest(other, perform=perform))
    assert all(isinstance(summary, StageSummary) and summary.skipped == 0 for summary in summaries)

    def content(which: Run) -> dict[str, dict[str, Any]]:
        read = webdataset.WebDataset(tars(which), shardshuffle=False)
        return {s["__key__"]: {k: v for k, v in s.items() if not k.startswith("__")} for s in read}

    assert content(other) == content(run)
    assert list(verify.check_counts(other)) == []


def test_entries_table_is_ordered_by_place(run: Run) -> None:
    table = pq.read_table(run.plan / "entries.parquet").to_pylist()
    places = [(row["archive"], row["window"], row["offset"]) for row in table]
    assert places == sorted(places) and len(table) == 98 + 99
