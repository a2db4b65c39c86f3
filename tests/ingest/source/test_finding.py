"""Datasets as downloads leave them: a folder or two further down, in zips of other names, in a zip once more."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.ingest.source.shapes.finding import find_sources
from postmill.shards.runtime.errors import UsageError
from tests.commands import postmill, refused


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("downloads") / "data"
    write_sample(folder, posts=120, influencers=6, part_size=100 << 10)
    return folder


@pytest.mark.parametrize(
    "below", ["instagram-dataset", "instagram-dataset/Influencers", "a/b/Instagram influencer dataset"]
)
def test_a_dataset_further_down_is_taken_and_said(
    sample: Path, tmp_path: Path, below: str, caplog: pytest.LogCaptureFixture
) -> None:
    there = Path(shutil.copytree(sample, tmp_path / "Downloads" / below))
    (tmp_path / "Downloads" / "holidays").mkdir()
    caplog.set_level("INFO")
    assert find_sources(str(tmp_path / "Downloads")) == discover(str(there))
    assert f"takes metadata, images, mapping, influencers from {there}" in caplog.text
    assert postmill("plan", tmp_path / "Downloads", tmp_path / "run") == 0


def test_sources_in_folders_of_their_own(sample: Path, tmp_path: Path) -> None:
    root = tmp_path / "Downloads"
    for number, name in enumerate(("Post_metadata", "Post_images", "influencers.txt", "JSON-Image_files_mapping.txt")):
        (root / f"drive-download-{number}").mkdir(parents=True)
        copy = shutil.copytree if (sample / name).is_dir() else shutil.copyfile
        copy(sample / name, root / f"drive-download-{number}" / name)
    found = find_sources(str(root))
    assert found.images == str(root / "drive-download-1" / "Post_images" / "posts_image.zip")
    assert found.mapping == str(root / "drive-download-3" / "JSON-Image_files_mapping.txt")


def test_of_several_none_is_taken(sample: Path, tmp_path: Path) -> None:
    root = tmp_path / "Downloads"
    for name in ("one", "two"):
        shutil.copytree(sample, root / name)
    said = refused("plan", root, tmp_path / "run")
    assert "in several folders" in str(said) and str(root / "one") in str(said) and str(root / "two") in str(said)
    assert postmill("plan", root / "two", tmp_path / "run") == 0
    shutil.copytree(sample, root, dirs_exist_ok=True)  # what is in its place is not sought
    assert find_sources(str(root)) == discover(str(root))


def test_zips_of_other_names_are_told_by_what_is_in_them(sample: Path, tmp_path: Path) -> None:
    root, work = tmp_path / "data", tmp_path / "work"
    root.mkdir()
    for name in ("influencers.txt", "JSON-Image_files_mapping.txt"):
        shutil.copyfile(sample / name, root / name)
    for archive in (sample / "Post_metadata" / "posts_info.zip", sample / "Post_images" / "posts_image.zip"):
        subprocess.run(["7z", "x", "-y", f"-o{work}", str(archive)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["zip", "-qr", "-s", "64k", str(root.resolve() / "pictures.zip"), "image"], cwd=work, check=True)
    subprocess.run(["zip", "-qr", str(root.resolve() / "posts (1).zip"), "info"], cwd=work, check=True)
    (root / "other.zip").write_bytes(b"no zip")
    found = find_sources(str(root))
    assert (found.metadata, found.images) == (str(root / "posts (1).zip"), str(root / "pictures.zip"))
    assert postmill("plan", root, tmp_path / "run") == 0
    for name in ("pictures.zip", "posts (1).zip", "pictures.z01", "pictures.z02"):
        (root / name).unlink(missing_ok=True)
    for path in root.glob("pictures.z*"):
        path.unlink()
    subprocess.run(["zip", "-qr", str(root.resolve() / "all.zip"), "info", "image"], cwd=work, check=True)
    both = find_sources(str(root))
    assert both.metadata == both.images == str(root / "all.zip")
    shutil.copyfile(root / "all.zip", root / "all (copy).zip")
    with pytest.raises(UsageError, match="several zips with metadata"):
        find_sources(str(root))


def test_a_zip_of_the_parts_is_named_with_what_unpacks_it(sample: Path, tmp_path: Path) -> None:
    root = tmp_path / "Down loads"
    root.mkdir()
    for number, names in enumerate(
        (("Post_images", "influencers.txt"), ("Post_metadata", "JSON-Image_files_mapping.txt")), 1
    ):
        archive = root.resolve() / f"drive-download-2024-00{number}.zip"
        subprocess.run(["zip", "-qr0", str(archive), *names], cwd=sample, check=True)
    said = refused("plan", root, tmp_path / "run")
    assert "packed once more" in str(said) and "posts_image.z01" in str(said)
    assert said.hint is not None
    commands = said.hint[said.hint.index("unzip") :].split("; ")
    assert len(commands) == 2
    for command in commands:
        subprocess.run(shlex.split(command), check=True, stdout=subprocess.DEVNULL)
    assert postmill("plan", root, tmp_path / "run") == 0


def test_a_zip_of_the_parts_that_is_named_itself(sample: Path, tmp_path: Path) -> None:
    packed = tmp_path / "images.zip"
    subprocess.run(["zip", "-qr0", str(packed.resolve()), "Post_images"], cwd=sample, check=True)
    said = refused("plan", sample, tmp_path / "run", "--images", packed)
    assert said.hint is not None and f"unzip -n {packed} -d" in said.hint


def test_a_run_that_knows_its_sources_is_told_where_they_moved(sample: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(sample, tmp_path / "a" / "b" / "data"))
    assert postmill("plan", tmp_path / "a", tmp_path / "run") == 0
    (tmp_path / "c").mkdir()
    data.rename(tmp_path / "c" / "data")
    assert postmill("plan", tmp_path / "c", tmp_path / "run") == 0
    assert postmill("ingest", tmp_path / "run") == 0
