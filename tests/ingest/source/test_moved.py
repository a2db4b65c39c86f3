"""A dataset that has moved, or is there in part: pointing to it anew is enough, and is what the messages say."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.run import folder as runs
from tests.commands import paste, postmill, refused


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moved") / "data"
    write_sample(folder, posts=60, influencers=5, seed=3, part_size=64 << 10)
    return folder


@pytest.fixture
def data(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "data"))


@pytest.fixture(scope="module")
def expected(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The tars of an undisturbed run."""
    run = tmp_path_factory.mktemp("expected") / "run"
    postmill("plan", pristine, run)
    postmill("ingest", run)
    return tars(run)


def tars(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "posts").glob("*.tar")}


def test_a_dataset_that_moved_is_pointed_to(data: Path, tmp_path: Path, expected: Mapping[str, bytes]) -> None:
    run, place = tmp_path / "run", tmp_path / "new place"
    postmill("plan", data, run)
    data.rename(place)
    error = refused("ingest", run)
    assert "postmill plan NEW_PLACE" in (error.hint or "") and "new run folder" not in (error.hint or "")
    assert paste(error, {"NEW_PLACE": place}) == 0
    assert postmill("ingest", run) == 0
    assert tars(run) == expected


def test_an_archive_that_lay_apart_and_moved_is_pointed_to(
    data: Path, tmp_path: Path, expected: Mapping[str, bytes]
) -> None:
    run, apart, place = tmp_path / "run", tmp_path / "apart", tmp_path / "new place"
    (data / "Post_images").rename(apart)
    postmill("plan", data, run, "--images", apart / "posts_image.z01")
    apart.rename(place)
    error = refused("ingest", run)
    assert "--images NEW_PLACE" in (error.hint or "")
    assert paste(error, {"NEW_PLACE": place / "posts_image.zip"}) == 0
    assert postmill("ingest", run) == 0
    assert tars(run) == expected


def test_parts_that_are_done_with_need_not_move_with_the_others(
    data: Path, tmp_path: Path, expected: Mapping[str, bytes]
) -> None:
    run, place = tmp_path / "run", tmp_path / "new place"
    postmill("plan", data, run)
    postmill("ingest", run, "--stage", "metadata")
    postmill("ingest", run, "--stage", "windows")
    shutil.rmtree(data / "Post_metadata")
    data.rename(place)
    for path in sorted((place / "Post_images").glob("*.z0*"))[:2]:
        path.unlink()
    assert postmill("plan", place, run) == 0
    assert postmill("ingest", run) == 0
    assert tars(run) == expected


def test_a_part_of_another_size_is_named_with_both(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    part = data / "Post_images" / "posts_image.z01"
    with part.open("ab") as file:
        file.write(b"x")
    error = refused("plan", data, run)
    assert f"posts_image.z01 had {part.stat().st_size - 1:,} bytes, and now has {part.stat().st_size:,}" in error.cause
    error = refused("ingest", run)
    assert "the run was planned with posts_image.z01 of" in error.cause and str(part) == error.place


def test_a_dataset_that_is_gone_is_told_and_not_taken_for_another(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    postmill("plan", data, run)
    shutil.rmtree(data)
    caplog.set_level("INFO")
    assert postmill("plan", run) == 0
    assert "not where the run last saw it: metadata, images, mapping, influencers" in caplog.text


def test_a_folder_of_links_is_read_where_the_links_are(
    data: Path, tmp_path: Path, expected: Mapping[str, bytes]
) -> None:
    links = tmp_path / "links"
    for number, path in enumerate(sorted(path for path in data.rglob("*") if path.is_file())):
        disk = tmp_path / f"disk{number % 3}" / path.name
        disk.parent.mkdir(exist_ok=True)
        path.rename(disk)
        (links / path.relative_to(data).parent).mkdir(parents=True, exist_ok=True)
        (links / path.relative_to(data)).symlink_to(disk)
    run = tmp_path / "run"
    postmill("plan", links, run)
    assert postmill("ingest", run) == 0
    assert tars(run) == expected


def test_a_relative_source_is_found_from_any_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    postmill("plan", data.name, "run")
    monkeypatch.chdir(data)
    assert postmill("ingest", tmp_path / "run") == 0
    assert runs.open_run(tmp_path / "run").locations.mapping.startswith(str(data))
