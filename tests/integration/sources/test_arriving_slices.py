"""Slices of one zip that come one by one: their lengths are told by its end, and the run is that of them all."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.runtime.errors import DamagedSource
from tests.commands import postmill, refused
from tests.integration.sources.coming import made
from tests.integration.sources.feeding import FOLDERS

Cut = Callable[[Path, Path], None]  # of a whole zip into slices in a folder
STEMS = {"Post_metadata": "posts_info", "Post_images": "posts_image"}
SLICE = 100_000  # bytes


def as_7z_does(whole: Path, folder: Path) -> None:
    for number, start in enumerate(range(0, whole.stat().st_size, SLICE), 1):
        (folder / f"{whole.name}.{number:03d}").write_bytes(whole.read_bytes()[start : start + SLICE])


def as_hjsplit_does(whole: Path, folder: Path) -> None:
    as_7z_does(whole, folder)
    for path in folder.glob("*.zip.*"):
        path.rename(folder / path.name.replace(".zip.", "."))


def as_split_does(whole: Path, folder: Path) -> None:
    subprocess.run(["split", "-b", str(SLICE), str(whole), str(folder / f"{whole.name}.")], check=True)


def tiny_end(whole: Path, folder: Path) -> None:
    """Of the last slice so little is left that the end record itself begins in the one before."""
    content = whole.read_bytes()
    length = next(each for each in range(SLICE, 2 * SLICE) if 0 < len(content) % each < 12)
    for number, start in enumerate(range(0, len(content), length), 1):
        (folder / f"{whole.name}.{number:03d}").write_bytes(content[start : start + length])


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with an ordinary zip in place of each split one."""
    root = tmp_path_factory.mktemp("zips")
    write_sample(root / "data", posts=200, influencers=8, part_size=100 << 10)
    for folder in FOLDERS:
        (archive,) = (root / "data" / folder).glob("*.zip")
        subprocess.run(["7z", "x", "-y", f"-o{root}/{folder}", str(archive)], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(root / "data" / folder)
        (root / "data" / folder).mkdir()
        whole = root / "data" / folder / f"{STEMS[folder]}.zip"
        subprocess.run(["zip", "-qr", str(whole.resolve()), "."], cwd=root / folder, check=True)
    return root / "data"


def sliced(zips: Path, target: Path, cut: Cut) -> Path:
    for folder in FOLDERS:
        (target / folder).mkdir(parents=True)
        cut(zips / folder / f"{STEMS[folder]}.zip", target / folder)
    for text in zips.glob("*.txt"):
        shutil.copyfile(text, target / text.name)
    return target


def begun(data: Path, target: Path) -> list[Path]:
    """Copy of a dataset what must be there first, the directory of each archive; return the other slices."""
    shutil.copytree(data, target)
    later: list[Path] = []
    for folder in FOLDERS:
        slices = sorted((data / folder).iterdir())
        tail = 2 if slices[-1].stat().st_size < 100 else 1
        later += slices[:-tail]
    for path in later:
        (target / path.relative_to(data)).unlink()
    return later


def planned(come: Path, run: Path) -> bool:
    try:
        return postmill("plan", come, run, "--shard-size", "1", "--await-parts") == 0
    except DamagedSource as error:
        assert "directory of the archive is on parts that are not here" in error.cause
        return False


@pytest.mark.parametrize("cut", [as_7z_does, as_hjsplit_does, as_split_does, tiny_end])
def test_slices_that_come_one_by_one_make_the_run_of_them_all(zips: Path, tmp_path: Path, cut: Cut) -> None:
    data, come, run = sliced(zips, tmp_path / "data", cut), tmp_path / "come", tmp_path / "run"
    assert postmill("plan", data, tmp_path / "whole", "--shard-size", "1") == 0
    assert postmill("ingest", tmp_path / "whole") == 0
    later = begun(data, come)
    there = planned(come, run)
    for path in random.Random(5).sample(later, len(later)):
        arriving = come / path.relative_to(data)
        arriving.write_bytes(path.read_bytes()[:-1])
        there = there or planned(come, run)
        if there:
            assert postmill("ingest", run) == 0  # a slice that is not whole is not taken
            assert postmill("plan", run, "--await-parts") == postmill("plan", come, run) == 0
        shutil.copyfile(path, arriving)
    assert there or planned(come, run)
    assert postmill("ingest", run) == 0
    assert made(run) == made(tmp_path / "whole")
    assert postmill("verify", run) == 0


def test_what_cannot_be_awaited_is_said(zips: Path, tmp_path: Path) -> None:
    data = sliced(zips, tmp_path / "data", as_7z_does)
    images = data / "Post_images"
    slices = sorted(images.iterdir())
    last = slices[-1].rename(tmp_path / slices[-1].name)
    assert "bring the last slice first" in str(refused("plan", data, tmp_path / "run", "--await-parts").hint)
    shutil.copyfile(last, slices[-1])
    slices[0].write_bytes(slices[0].read_bytes() + slices[1].read_bytes()[:100])  # slices of many lengths
    slices[1].write_bytes(slices[1].read_bytes()[100:])
    assert postmill("plan", data, tmp_path / "all") == 0
    slices[2].unlink()
    said = refused("plan", data, tmp_path / "run", "--await-parts")
    assert "not of one length" in str(said) and "bring them all" in str(said.hint)
