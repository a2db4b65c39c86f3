"""Datasets that somebody has unpacked: the same posts as from the split zips, from folders of files as they lie."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.file_tree import PlannedFiles
from postmill.shards.formats import plan
from postmill.shards.run import folder as runs
from postmill.shards.runtime.errors import PostmillError
from tests.commands import postmill, refused
from tests.ingest.test_text_only import Members, members

Shape = Callable[[Path, Path], list[object]]  # from the sample and where to put it, to what is typed of the source


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "data"
    write_sample(folder, posts=200, influencers=8, part_size=100 << 10)
    return folder


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Members:
    return plain(made(tmp_path_factory.mktemp("split") / "run", data))


def made(run: Path, *source: object) -> Path:
    assert postmill("plan", *source[:1], run, *source[1:], "--shard-size", "1") == 0
    assert postmill("ingest", run) == 0
    assert postmill("verify", run) == 0
    return run


def plain(run: Path) -> Members:
    """The members of each post, what is compressed in them decompressed: a deflated entry is taken as it is."""
    return {
        key: {name: gzip.decompress(content) if name.endswith(".gz") else content for name, content in post.items()}
        for key, post in members(run).items()
    }


def texts(data: Path, target: Path) -> None:
    target.mkdir()
    for path in data.glob("*.txt"):
        shutil.copyfile(path, target / path.name)


def unpack(data: Path, folder: str, target: Path) -> None:
    (archive,) = (data / folder).glob("*.zip")
    subprocess.run(["7z", "x", "-y", f"-o{target}", str(archive)], check=True, stdout=subprocess.DEVNULL)


def as_unzip_leaves_it(data: Path, target: Path) -> list[object]:
    texts(data, target)
    for folder in ("Post_metadata", "Post_images"):
        unpack(data, folder, target)
    assert (target / "info").is_dir() and (target / "image").is_dir()
    return [target]


def in_the_folders_of_the_archives(data: Path, target: Path) -> list[object]:
    texts(data, target)
    for folder in ("Post_metadata", "Post_images"):
        unpack(data, folder, target / folder)
    return [target]


def sorted_into_folders(data: Path, target: Path) -> list[object]:
    as_unzip_leaves_it(data, target)
    for folder in ("info", "image"):
        for path in list((target / folder).iterdir()):
            home = target / folder / path.name[0] / path.name.partition("-")[0]
            home.mkdir(parents=True, exist_ok=True)
            path.rename(home / path.name)
    (target / "image" / ".DS_Store").write_bytes(b"\0")
    return [target]


def pictures_alone_unpacked(data: Path, target: Path) -> list[object]:
    unpack(data, "Post_images", target)
    return [data, "--images", target / "image"]


def links_to_files(data: Path, target: Path) -> list[object]:
    store = target.with_name("store")
    as_unzip_leaves_it(data, store)
    texts(data, target)
    for folder in ("info", "image"):
        (target / folder).mkdir()
        for number, path in enumerate((store / folder).iterdir()):
            blob = path.rename(path.with_name(f"blob{number}"))
            (target / folder / path.name).symlink_to(os.path.relpath(blob, target / folder))
    return [target]


def one_ordinary_zip(data: Path, target: Path) -> list[object]:
    work = target.with_name("work")
    as_unzip_leaves_it(data, work)
    texts(data, target)
    command = ["zip", "-q", "-r", str((target / "all.zip").resolve()), "info", "image"]
    subprocess.run(command, cwd=work, check=True)
    return [target, "--metadata", target / "all.zip", "--images", target / "all.zip"]


SHAPES = (
    as_unzip_leaves_it,
    in_the_folders_of_the_archives,
    sorted_into_folders,
    pictures_alone_unpacked,
    links_to_files,
    one_ordinary_zip,
)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_posts_are_those_of_the_split_zips(data: Path, expected: Members, tmp_path: Path, shape: Shape) -> None:
    run = made(tmp_path / "run", *shape(data, tmp_path / "data"))
    assert plain(run) == expected


@pytest.fixture
def unpacked(data: Path, tmp_path: Path) -> Path:
    as_unzip_leaves_it(data, tmp_path / "data")
    return tmp_path / "data"


def test_only_what_is_planned_is_read(unpacked: Path, expected: Members, tmp_path: Path) -> None:
    stranger = unpacked / "image" / "nobody-1.jpg"
    os.mkfifo(unpacked / "image" / "pipe")
    stranger.write_bytes(b"of no row")
    assert postmill("plan", unpacked, tmp_path / "run", "--shard-size", "1") == 0
    stranger.unlink()
    assert postmill("ingest", tmp_path / "run", "--workers", "2") == 0
    assert plain(tmp_path / "run") == expected


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes; the run was planned with"),
        (lambda path: path.write_bytes(b""), "has 0 bytes; the run was planned with"),
    ],
)
def test_a_file_that_is_not_what_it_was_is_named_and_the_same_command_goes_on(
    unpacked: Path, expected: Members, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    run = tmp_path / "run"
    assert postmill("plan", unpacked, run, "--shard-size", "1") == 0
    opened = runs.open_run(run)
    name = plan.entries(opened, plan.IMAGES, 0)["name"][1].as_py().decode()
    path = unpacked / "image" / name
    content = path.read_bytes()
    spoil(path)
    said = refused("ingest", run)
    assert words in str(said) and name in str(said)
    assert "other names or lengths" in str(refused("plan", unpacked, run)) or "files, and now" in str(
        refused("plan", unpacked, run)
    )
    path.write_bytes(content)
    assert postmill("ingest", run) == 0
    assert plain(run) == expected


def test_a_plan_that_names_what_is_not_below_the_folder_is_refused(unpacked: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert postmill("plan", unpacked, run) == 0
    opened = runs.open_run(run)
    planned = plan.entries(opened, plan.METADATA, 0)
    for name in (b"../../etc/passwd", b"/etc/passwd", b"a/../../b"):
        names = [name, *planned["name"].to_pylist()[1:]]
        hostile = planned.set_column(planned.schema.get_field_index("name"), "name", [names])
        with pytest.raises(PostmillError, match="not below the folder"):
            PlannedFiles(unpacked / "info", hostile)


def test_links_that_lead_to_no_file_are_told_and_the_others_are_read(
    unpacked: Path, expected: Members, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone, loop, *_ = sorted((unpacked / "image").glob("*.jpg"))
    away = [path.rename(tmp_path / path.name) for path in (gone, loop)]
    gone.symlink_to(tmp_path / "store" / "blob")
    loop.symlink_to(loop.name)
    (unpacked / "image" / "up").symlink_to("..")
    with caplog.at_level("INFO", "postmill"):
        assert postmill("plan", unpacked, tmp_path / "run", "--shard-size", "1") == 0
    assert "2 links lead to no file" in caplog.text and gone.name in caplog.text
    assert postmill("ingest", tmp_path / "run") == 0
    found = plain(tmp_path / "run")
    assert 1 <= sum(found.get(key) != post for key, post in expected.items()) <= 4, "others than theirs changed"
    for path, target in zip((gone, loop), away, strict=True):
        path.unlink()
        path.symlink_to(target)
    assert plain(made(tmp_path / "whole", unpacked)) == expected


def test_a_part_that_is_a_link_to_itself_is_told(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    (last,) = (tmp_path / "data" / "Post_images").glob("*.zip")
    last.unlink()
    last.symlink_to(last.name)
    for part in last.parent.glob("*.z[0-9]*"):
        part.unlink()
    said = refused("plan", tmp_path / "data", tmp_path / "run")
    assert last.name in (said.hint or "") and "link to a file that is not here" in (said.hint or "")
