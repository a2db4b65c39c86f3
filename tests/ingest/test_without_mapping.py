"""A dataset without its mapping: the posts and pictures that names bring together, and the others counted."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.formats import plan
from postmill.shards.run import folder as runs
from tests import datasets
from tests.commands import paste, postmill, refused
from tests.ingest.test_text_only import members, records, told

Listed = Mapping[str, list[str]]  # the pictures of each post, as the mapping has them


def made(run: Path, *words: object) -> Path:
    assert postmill("plan", *words[:1], run, *words[1:], "--shard-size", "1") == 0
    assert postmill("ingest", run) == 0
    assert postmill("verify", run) == 0
    return run


@pytest.fixture(scope="module", params=["sample", "built", "given"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("named") / "data"
    if request.param == "sample":
        write_sample(folder, posts=300, influencers=8, part_size=100 << 10)
    elif request.param == "built":
        datasets.build(folder)
    elif not datasets.GIVEN.is_dir():
        pytest.skip("no real posts beside the project")
    else:
        return datasets.GIVEN.resolve()
    return folder


def listed_in(source: Path) -> Listed:
    rows = (line.split("\t") for line in (source / "JSON-Image_files_mapping.txt").read_text().splitlines()[1:])
    return {row[1].removesuffix(".info"): ast.literal_eval(row[2]) for row in rows}


def test_where_names_determine_a_post_it_is_the_same(source: Path, tmp_path: Path) -> None:
    mapped, named = made(tmp_path / "mapped", source), made(tmp_path / "named", source, "--mapping", "none")
    listed, missing = listed_in(source), {record["key"] for record in records(mapped) if record["missing_images"]}
    told_by_name = {post for post, images in listed.items() if images == [f"{post}.jpg"]}
    before, after = members(mapped), members(named)
    assert len(told_by_name) > 80
    both = told_by_name & before.keys() - missing
    assert {key: after[key] for key in both} == {key: before[key] for key in both}
    assert after.keys() & listed.keys() <= {post for post, images in listed.items() if f"{post}.jpg" in images}
    counts = plan.counts(runs.open_run(named))
    assert counts.mapping_rows == 0 and counts.mapped_posts == counts.planned_posts + counts.lost
    assert counts.mapped_posts == counts.metadata_entries - counts.reasons.get("unmapped_metadata", 0)
    left = {fault["entry"] for fault in told(named) if fault["reason"] == "unmapped_image"}
    assert counts.planned_images + len(left) == counts.images_entries
    others = {f"{image}" for post, images in listed.items() for image in images if image != f"{post}.jpg"}
    assert {str(name).partition("-")[2] for name in left - unlisted(mapped)} <= others | {
        f"{post}.jpg" for post in listed.keys() - after.keys()
    }


def unlisted(run: Path) -> set[object]:
    return {fault["entry"] for fault in told(run) if fault["reason"] == "unmapped_image"}


Make = Callable[..., Path]


def test_pictures_with_numbers_stand_in_their_order(
    make_dataset: Make, make_info: Callable[..., bytes], tmp_path: Path
) -> None:
    posts = ("7", "7_2", "8", "9", "10")
    pictures = ["7_10.jpg", "7_2.jpg", "7_1.jpg", "7.jpg", "8_1.PNG", "8_2.webp", "9.mp4", "11.jpg"]
    data = make_dataset(
        {f"ann-{post}.info": make_info(post) for post in posts} | {"readme.info": b"{}"},
        {f"ann-{name}": name.encode() for name in pictures} | {"bob-8.jpg": b"of another"},
        [],
    )
    run = made(tmp_path / "run", data, "--mapping", "none", "--pictureless")
    images = {record["post_id"]: record["images"] for record in records(run)}
    assert images == {"7": ["7.jpg", "7_1.jpg", "7_10.jpg"], "7_2": ["7_2.jpg"], "8": ["8_1.PNG", "8_2.webp"]} | {
        "9": [],
        "10": [],
    }
    assert unlisted(run) == {"ann-9.mp4", "ann-11.jpg", "bob-8.jpg"}
    assert {fault["entry"] for fault in told(run) if fault["reason"] == "unmapped_metadata"} == {"readme.info"}


def test_a_run_knows_that_it_has_none(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert postmill("plan", source, run, "--mapping", "none", "--images", "none") == 0
    before = (run / "run.json").read_bytes()
    assert postmill("plan", run) == postmill("plan", source, run) == 0
    assert (run / "run.json").read_bytes() == before
    mapping = source / "JSON-Image_files_mapping.txt"
    assert "another mapping file" in str(refused("plan", source, run, "--mapping", mapping))
    (run / "run.json").unlink()
    paste(refused("ingest", run), {"SOURCE": f"{source}"})


def test_what_is_said_where_names_tell_nothing(
    make_dataset: Make, make_info: Callable[..., bytes], tmp_path: Path
) -> None:
    infos = {"ann-1.info": make_info("1")}
    data = make_dataset(infos, {"ann-2.jpg": b"of another id"}, [])
    (data / "JSON-Image_files_mapping.txt").unlink()
    assert "--mapping none" in str(refused("plan", data, tmp_path / "run").hint)
    said = refused("plan", data, tmp_path / "run", "--mapping", "none")
    assert "none of the 1 posts that the names tell of" in str(said) and "--pictureless" in str(said.hint)
    assert not (tmp_path / "run").exists()
    assert postmill("plan", data, tmp_path / "run", "--mapping", "none", "--pictureless") == 0


def test_metadata_of_other_names_is_refused(
    make_dataset: Make, make_info: Callable[..., bytes], tmp_path: Path
) -> None:
    infos = {f"{number}.info": make_info(str(number)) for number in range(5)} | {"ann-1.info": make_info("1")}
    data = make_dataset(infos, {"ann-1.jpg": b"p"}, [])
    said = refused("plan", data, tmp_path / "run", "--mapping", "none")
    assert "5 of 6 metadata entries are not named USER-POST.info" in str(said)
    assert postmill("plan", data, tmp_path / "run", "--mapping", "none", "--salvage") == 0


def test_a_selection_needs_no_mapping(source: Path, tmp_path: Path) -> None:
    whole = made(tmp_path / "whole", source, "--mapping", "none")
    some = made(tmp_path / "some", source, "--mapping", "none", "--sample", "20")
    chosen, all_of_them = members(some), members(whole)
    assert 15 <= len(chosen) <= 20 and {key: all_of_them[key] for key in chosen} == chosen
    assert sample_is_counted(some)


def sample_is_counted(run: Path) -> bool:
    counts = plan.counts(runs.open_run(run))
    return counts.mapped_posts == counts.planned_posts + counts.lost + counts.not_chosen
