"""What is printed of sources that are not whole, and that the commands which it names do what is said of them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import datasets
from tests.ingest.plan import damage

POSTS = 40
MAPPING = "JSON-Image_files_mapping.txt"


def postmill(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postmill.cli", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "a set"
    datasets.write_dataset(
        folder,
        {f"ann-{post}.info": datasets.info(str(post), noise=os.urandom(2000).hex()) for post in range(POSTS)},
        {f"ann-{post}.jpg": os.urandom(4000) for post in range(POSTS)},
        [("ann", str(post), [f"{post}.jpg"]) for post in range(POSTS)],
        options=["-s", "64k"],
    )
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / whole.name))


def page(data: Path) -> None:
    damage.replaced(damage.PAGE)(data / "Post_images/posts_image.z01")


def short(data: Path) -> None:
    damage.cut(0.4)(data / "Post_images/posts_image.z02")


def lost(data: Path) -> None:
    (data / "Post_images/posts_image.z01").unlink()


def empty(data: Path) -> None:
    damage.replaced(b"")(data / "Post_images/posts_image.z01")


def without_end(data: Path) -> None:
    damage.cut_bytes(60)(data / "Post_images/posts_image.zip")


def torn(data: Path) -> None:
    damage.cut(0.9)(data / MAPPING)


def joined(data: Path, without: int | None = None) -> None:
    for folder, stem in (("Post_metadata", "posts_info"), ("Post_images", "posts_image")):
        parts = [*sorted((data / folder).glob("*.z*[0-9]")), data / folder / f"{stem}.zip"]
        content = b"".join(part.read_bytes() for number, part in enumerate(parts) if number != without)
        for part in parts:
            part.unlink()
        parts[-1].write_bytes(content)


def joined_but_one(data: Path) -> None:
    joined(data, without=1)


@pytest.mark.parametrize(
    ("harm", "least"),
    [(page, 10), (short, 10), (lost, 10), (empty, 10), (without_end, 30), (torn, 30), (joined_but_one, 10)],
)
def test_the_command_that_is_named_takes_what_is_there(
    data: Path, tmp_path: Path, harm: Callable[[Path], None], least: int
) -> None:
    harm(data)
    done = postmill("plan", data, tmp_path / "run", "--shard-size", 1, "--strict")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    named = done.stderr.partition("to take what is there all the same: ")[2].strip()
    words = shlex.split(named)
    assert words == ["postmill", "plan", str(data), str(tmp_path / "run"), "--shard-size", "1", "--salvage"]
    done = postmill(*words[1:])
    assert done.returncode == 0, done.stderr
    planned = int(done.stdout.partition("plan: ")[2].split()[0])
    assert least <= planned <= POSTS


def test_joined_parts_are_read_with_a_warning(data: Path, tmp_path: Path) -> None:
    joined(data)
    done = postmill("plan", data, tmp_path / "run")
    assert done.returncode == 0 and f"plan: {POSTS} of {POSTS} mapped posts" in done.stdout, done.stderr
    assert done.stderr.count("parts were joined in one file") == 2
    strict = postmill("plan", data, tmp_path / "strict", "--strict")
    assert strict.returncode == 1 and "were joined in one file" in strict.stderr


@pytest.mark.parametrize("harm", [page, short, lost, torn])
def test_the_same_command_plans_all_when_the_source_is_whole_again(
    whole: Path, data: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    harm(data)
    assert postmill("plan", data, tmp_path / "run").returncode == 1
    shutil.rmtree(data)
    shutil.copytree(whole, data)
    done = postmill("plan", data, tmp_path / "run")
    assert done.returncode == 0 and f"plan: {POSTS} of {POSTS} mapped posts" in done.stdout, done.stderr


def test_inspect_names_its_own_command(data: Path) -> None:
    lost(data)
    done = postmill("inspect", data / "Post_images/posts_image.zip")
    words = shlex.split(done.stderr.partition("to take what is there all the same: ")[2])
    assert words[:2] == ["postmill", "inspect"] and words[-1] == "--salvage"
    assert "missing" in postmill(*words[1:]).stdout


def test_checksums_are_compared_before_anything_is_planned(data: Path, tmp_path: Path) -> None:
    listed = subprocess.run(
        ["sh", "-c", "find . -type f | xargs -d '\n' md5sum"], cwd=data, capture_output=True, check=True
    )
    (tmp_path / "MD5SUMS").write_bytes(listed.stdout)
    part = data / "Post_images/posts_image.z02"
    content = bytearray(part.read_bytes())
    content[5000] ^= 1  # which no header shows
    part.write_bytes(content)
    done = postmill("plan", data, tmp_path / "run", "--checksums", tmp_path / "MD5SUMS")
    assert done.returncode == 1 and f"the md5 of {part.name} is " in done.stderr, done.stderr
    assert not (tmp_path / "run").exists()
    content[5000] ^= 1
    part.write_bytes(content)
    assert postmill("plan", data, tmp_path / "run", "--checksums", tmp_path / "MD5SUMS").returncode == 0
