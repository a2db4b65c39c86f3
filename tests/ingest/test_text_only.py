"""Runs without pictures, or with posts of which none is there: the same records, from the metadata alone."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.formats import faults, plan
from postmill.shards.run import folder as runs
from tests.commands import paste, postmill, refused

Members = dict[str, dict[str, bytes]]  # by key, then by what follows it


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "data"
    write_sample(folder, posts=200, influencers=8, part_size=100 << 10)
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    return made(data, data.parent / "run")


@pytest.fixture(scope="module")
def text(data: Path) -> Path:
    return made(data, data.parent / "text", "--images", "none")


def made(data: Path, run: Path, *words: str) -> Path:
    assert postmill("plan", data, run, "--shard-size", "1", *words) == 0
    assert postmill("ingest", run) == 0
    assert postmill("verify", run) == 0
    return run


def members(run: Path) -> Members:
    posts: Members = {}
    for path in sorted((run / "posts").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, rest = member.name.partition(".")
                content = tar.extractfile(member)
                assert content is not None
                posts.setdefault(key, {})[rest] = content.read()
    return posts


def told(run: Path) -> list[dict[str, object]]:
    opened = runs.open_run(run)
    return [fault for _, table in faults.tables(opened, plan.counts(opened).shards) for fault in table.to_pylist()]


def records(run: Path) -> Iterator[dict[str, object]]:
    for path in sorted((run / "posts").glob("*.parquet")):
        yield from pq.read_table(path).to_pylist()


def without_pictures(record: dict[str, object]) -> dict[str, object]:
    listed = {*record.pop("images"), *record.pop("missing_images")}  # type: ignore[misc]
    return {**record, "listed": listed}


def test_records_are_those_of_a_run_with_pictures(run: Path, text: Path) -> None:
    full = {record["key"]: without_pictures(record) for record in records(run)}
    alone = {record["key"]: record for record in records(text)}
    assert len(full) > 150 and full.keys() < alone.keys(), "a post is not lost for want of its pictures"
    assert all(record["images"] == [] for record in alone.values())
    alone = {key: without_pictures(record) for key, record in alone.items()}
    assert {key: alone[key] for key in full} == full
    raw = {key: post["raw.json.gz"] for key, post in members(run).items()}
    assert {key: post["raw.json.gz"] for key, post in members(text).items() if key in raw} == raw
    assert {name for post in members(text).values() for name in post} == {"json", "raw.json.gz"}


def test_no_picture_is_looked_for_and_none_is_a_fault(data: Path, text: Path, tmp_path: Path) -> None:
    counts = plan.counts(runs.open_run(text))
    assert counts.planned_images == counts.images_entries == counts.images_windows == 0
    assert counts.mapped_posts == counts.planned_posts + counts.lost
    assert {fault["reason"] for fault in told(text)}.isdisjoint({"no_image", "image_missing", "unmapped_image"})
    alone = tmp_path / "data"
    shutil.copytree(data, alone, ignore=shutil.ignore_patterns("Post_images"))
    again = made(alone, tmp_path / "again", "--images", "none")
    assert members(again) == members(text)


def test_what_the_run_knows_of_its_pictures_need_not_be_typed_again(data: Path, text: Path) -> None:
    before = (text / "run.json").read_bytes()
    assert postmill("plan", text) == 0
    assert postmill("plan", data, text) == 0
    assert (text / "run.json").read_bytes() == before
    said = refused("plan", data, text, "--images", data / "Post_images" / "posts_image.zip")
    assert "another picture archive: none, and now" in str(said)


def test_a_folder_without_pictures_says_how_to_do_without(data: Path, tmp_path: Path) -> None:
    alone = tmp_path / "data"
    shutil.copytree(data, alone, ignore=shutil.ignore_patterns("Post_images"))
    assert "--images none" in str(refused("plan", alone, tmp_path / "run").hint)


def test_posts_without_any_picture_are_kept_where_that_is_asked_for(data: Path, run: Path, tmp_path: Path) -> None:
    lost = {fault["post_id"] for fault in told(run) if fault["reason"] == "no_image"}
    assert lost
    kept = made(data, tmp_path / "kept", "--pictureless")
    before, after = members(run), members(kept)
    assert {key: after[key] for key in before} == before
    added = {record["post_id"]: record for record in records(kept) if record["key"] not in before}
    assert added.keys() >= lost
    assert all(record["images"] == [] and record["missing_images"] for record in added.values())
    assert "--no-pictureless" in str(refused("plan", data, kept, "--no-pictureless"))


def test_a_dataset_without_influencers_is_taken_where_that_is_asked_for(data: Path, run: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("influencers.txt")))
    assert "--influencers none" in str(refused("plan", alone, tmp_path / "without").hint)
    without = made(alone, tmp_path / "without", "--influencers", "none")
    assert members(without).keys() == members(run).keys()
    assert all(record["followers"] is None and record["category"] is None for record in records(without))
    assert "influencer_missing" not in {fault["reason"] for fault in told(without)}
    before = (without / "run.json").read_bytes()
    assert postmill("plan", alone, without) == 0
    assert (without / "run.json").read_bytes() == before
    assert "another influencers file" in str(refused("plan", data, without, "--influencers", data / "influencers.txt"))


def test_metadata_may_come_part_by_part(data: Path, text: Path, tmp_path: Path) -> None:
    alone, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data, alone, ignore=shutil.ignore_patterns("Post_images"))
    first = alone / "Post_metadata" / "posts_info.z01"
    away = first.rename(tmp_path / first.name)
    assert postmill("plan", alone, run, "--shard-size", "1", "--images", "none", "--await-parts") == 0
    assert postmill("ingest", run) == 0
    assert members(run) == {}
    away.rename(first)
    assert postmill("ingest", run) == 0
    assert members(run) == members(text)


def test_encoders_and_models_do_without(text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(text, run)
    capsys.readouterr()
    assert postmill("submit", run, "--dry-run", "--models", "light") == 0
    shown = capsys.readouterr().out
    typed = [line.split() for line in shown.splitlines() if line.startswith("set -- ")]
    assert any("text" in words for words in typed) and not any("image" in words for words in typed)
    assert postmill("encode", run, "--models", "light") == 0
    assert not list((run / "embeddings").glob("image*"))
    assert "is shown pictures alone" in str(refused("train", run, "--model", "image-mlp"))
    assert postmill("train", run, "--model", "history", "--model", "boosting", "--seeds", "1") == 0
    assert postmill("report", run) == 0
    assert "that were not asked for" in (run / "report" / "index.html").read_text()
    metrics = json.loads((run / "models" / "boosting" / "metrics.json").read_text())
    assert "image" not in metrics["settings"]["encoders"]
    assert postmill("verify", run) == 0
    assert postmill("predict", run, run, "--model", "boosting", "--output", tmp_path / "scores.csv") == 0


def test_the_hint_works_as_it_stands(data: Path, tmp_path: Path) -> None:
    alone, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data, alone, ignore=shutil.ignore_patterns("Post_images"))
    assert postmill("plan", alone, run, "--images", "none") == 0
    (run / "run.json").unlink()
    assert paste(refused("ingest", run), {"SOURCE": f"{alone}"}) == 0 or (run / "run.json").exists()
