"""Parts on several disks and servers, links to files, parts that come and places that are named later."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from postmill.ingest.source.places import follow
from postmill.shards.run import folder as runs
from tests.commands import postmill, refused
from tests.ingest.listed.store import SECRET, Store, tars, written


def test_parts_in_two_folders_and_behind_a_server(store: Store, tmp_path: Path, expected: Mapping[str, bytes]) -> None:
    run, disks = tmp_path / "run", [tmp_path / "disk 1", tmp_path / "disk2"]
    names = store.names("Post_images")
    assert len(names) > 5
    for number, name in enumerate(names[:-2]):
        disks[number % 2].mkdir(exist_ok=True)
        shutil.copyfile(store.data / "Post_images" / name, disks[number % 2] / name)
    rest = store.written(tmp_path / "rest", "Post_images", *names[-2:])
    images = [word for place in (disks[0], disks[1] / names[1], rest) for word in ("--images", place)]
    assert "missing" in refused("plan", store.data, run, *images[:-2]).cause
    assert postmill("plan", store.data, run, *images) == 0
    assert postmill("ingest", run) == 0
    assert tars(run) == expected
    assert postmill("plan", run) == 0
    assert postmill("ingest", run, "--evict", "--yes") == 0
    assert not [path for disk in disks for path in disk.iterdir()], "what is behind a server is no hindrance"


def test_a_part_that_two_places_have_is_read_in_the_later_one(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    shutil.copytree(data / "Post_images", first)
    second.mkdir()
    shutil.copyfile(first / "posts_image.z01", second / "posts_image.z01")
    caplog.set_level("INFO")
    words = ["plan", data, tmp_path / "run", "--images", first, "--images", second]
    assert postmill(*words) == 0
    assert "posts_image.z01 is there twice" in caplog.text
    (second / "posts_image.z01").write_bytes(b"short")
    assert "the same part twice" in refused("plan", data, tmp_path / "other", *words[3:]).cause


def test_links_are_read_as_given(data: Path, tmp_path: Path, expected: Mapping[str, bytes]) -> None:
    """As the cache of a hub has its files: names that are links to blobs, named by their hashes."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "4f1c"
    blobs.mkdir()
    for number, path in enumerate(sorted(path for path in data.rglob("*") if path.is_file())):
        shutil.copyfile(path, blobs / f"{number:064x}")
        link = snapshot / path.relative_to(data)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(*[".."] * (len(link.relative_to(tmp_path).parts) - 1), "blobs", f"{number:064x}"))
    run, by_list = tmp_path / "run", tmp_path / "by list"
    assert postmill("plan", snapshot, run) == 0 and postmill("ingest", run) == 0
    assert tars(run) == expected
    assert runs.open_run(run).locations.images == str(snapshot / "Post_images" / "posts_image.zip")
    parts = tmp_path / "parts.txt"
    parts.write_text("".join(f"snapshots/4f1c/Post_images/{path.name}\n" for path in (data / "Post_images").iterdir()))
    (tmp_path / "home" / "link.txt").symlink_to(parts)
    assert postmill("plan", snapshot, by_list, "--images", parts) == 0 and postmill("ingest", by_list) == 0
    assert tars(by_list) == expected
    error = refused("plan", snapshot, tmp_path / "third", "--images", tmp_path / "home" / "link.txt")
    assert str(tmp_path / "home" / "snapshots") in str(error), "paths in a list are taken from where it is named"


def test_parts_are_named_as_they_come(
    store: Store, tmp_path: Path, expected: Mapping[str, bytes], said: Callable[[], str]
) -> None:
    run = tmp_path / "run"
    names = store.names("Post_images")
    last, later = names[-1], names[:-1]
    list_file = store.written(tmp_path / "list", "Post_images", last)
    assert "--await-parts" in (refused("plan", store.data, run, "--images", list_file).hint or "")
    assert postmill("plan", store.data, run, "--images", list_file, "--await-parts") == 0
    assert postmill("ingest", run) == 0
    assert tars(run) != expected and "to another place: --images PLACE" in said()
    store.written(list_file, "Post_images", later[0], last)  # a line more, in the list that the run knows
    other = store.written(tmp_path / "other", "Post_images", *later[1:3])
    disk = tmp_path / "disk"
    disk.mkdir()
    for name in later[3:]:
        shutil.copyfile(store.data / "Post_images" / name, disk / name)
    assert postmill("ingest", run, "--images", other) == 0
    before = len(tars(run))
    assert postmill("ingest", run, "--images", disk, "--evict", "--yes") == 0
    assert before <= len(tars(run)) and tars(run) == expected
    assert runs.open_run(run).locations.images == (str(list_file), str(other), str(disk))
    assert SECRET.encode() not in written(run)
    assert postmill("plan", run) == 0 and postmill("verify", run) == 0


def test_a_list_is_followed_as_lines_are_added(
    store: Store, tmp_path: Path, expected: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_POLL_S", 0.05)
    monkeypatch.setattr(follow, "_POLL_REMOTE_S", 0.05)
    run, list_file = tmp_path / "run", tmp_path / "list"
    names = store.names("Post_images")
    store.written(list_file, "Post_images", names[-1])
    assert postmill("plan", store.data, run, "--images", list_file, "--await-parts") == 0

    def add() -> None:
        for known in range(1, len(names)):
            store.written(tmp_path / "longer", "Post_images", *names[:known], names[-1])
            (tmp_path / "longer").rename(list_file)

    adding = threading.Thread(target=add)
    adding.start()
    assert postmill("ingest", run, "--follow") == 0
    adding.join()
    assert tars(run) == expected


def test_what_is_named_of_a_run_has_to_be_its_parts(store: Store, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", store.data, run) == 0
    before = (run / "run.json").read_bytes()
    stranger = store.written(tmp_path / "stranger", "Post_metadata")
    error = refused("ingest", run, "--images", stranger)
    assert "line 2 is of posts_info" in error.cause and SECRET not in f"{error} {error.hint}"
    (tmp_path / "empty").mkdir()
    assert "is no place of a part" in refused("ingest", run, "--images", tmp_path / "empty").cause
    assert "is no place of a part" in refused("ingest", run, "--images", "none").cause
    store.generation = "2"
    old = stranger.read_text().replace("Post_metadata", "Post_images").replace("posts_info", "posts_image")
    (tmp_path / "old").write_text(old)
    error = refused("ingest", run, "--images", tmp_path / "old")
    assert "may not be read" in error.cause and SECRET not in f"{error} {error.hint}"
    cut = tmp_path / "cut"
    shutil.copytree(store.data / "Post_images", cut)
    with (cut / "posts_image.zip").open("r+b") as file:
        file.seek(-60, 2)
        file.write(b"0123456789")
    error = refused("ingest", run, "--images", cut)
    assert "another picture archive" in error.cause
    with (cut / "posts_image.z01").open("ab") as file:
        file.write(b"x")
    assert "posts_image.z01 had" in refused("ingest", run, "--images", cut).cause
    assert (run / "run.json").read_bytes() == before


def test_text_alone_has_no_parts_of_pictures(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", data, run, "--images", "none") == 0
    assert "no such archive" in refused("ingest", run, "--images", data / "Post_images").cause
    assert "exclude each other" in refused("plan", data, run, "--images", "none", "--images", data).cause
