"""A desk for each page: the datasets and the finished run that pages are done with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from tests.commands import postmill
from tests.docs.desk import DATA, FEW, MODELS, RUN, SIZE, WALKS, Desk
from tests.ingest.collected import files, put
from tests.web import serving

PICTURE_PARTS = "Post_images/posts_image.z*"


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset, and a finished run of it with all packaged encoders and a few models."""
    folder = tmp_path_factory.mktemp("office")
    write_sample(folder / DATA, **SIZE, part_size=64 << 10)
    run = folder / RUN
    assert postmill("plan", folder / DATA, run, "--shard-size", "1") == 0
    assert postmill("ingest", run) == 0
    assert postmill("encode", run, "--models", "light") == 0
    models = [word for name in MODELS for word in ("--model", name)]
    assert postmill("train", run, *models, "--split", "influencer") == 0
    assert postmill("insights", run) == 0
    assert postmill("report", run) == 0
    return folder


@pytest.fixture
def desk(
    office: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Desk]:
    """A folder in which the names that pages use exist; it is the working directory."""
    folder = tmp_path / "desk"
    shutil.copytree(office / DATA, folder / DATA)
    shutil.copytree(office / RUN, folder / RUN)
    shutil.copytree(office / RUN, folder / "OTHER_RUN")
    lay_out(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.syspath_prepend(str(folder))
    shutil.copytree(folder / DATA, tmp_path / "served" / "instagram")
    walks = getattr(request.node, "callspec", None) is not None and request.node.callspec.params.get("page") in WALKS
    with serving(tmp_path / "served") as server:
        yield Desk(folder, office / RUN, office / DATA, server, MODELS if walks else FEW, monkeypatch)


def lay_out(folder: Path) -> None:
    """Put beside the dataset what else pages name, made of it."""
    data = folder / DATA
    for name, kind in (("Post_metadata", "metadata"), ("Post_images", "pictures")):
        (last,) = (data / name).glob("*.zip")
        command = ["7z", "x", "-y", f"-o{folder / 'unpacked'}", str(last)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        assert list((folder / "unpacked").iterdir()), kind
    for text in data.glob("*.txt"):
        shutil.copyfile(text, folder / "unpacked" / text.name)
    (folder / "postmill").mkdir()  # the clone
    (folder / "NEW_PLACE").symlink_to(data)
    (folder / "Post_images").symlink_to(data / "Post_images")
    parts = sorted(data.glob(PICTURE_PARTS))
    for part in parts:
        (folder / part.name).symlink_to(part)
    subprocess.run(["zip", "-q", "-j", folder / "a.zip", *data.glob("*.txt")], check=True)
    half = len(parts) // 2
    for disk, some in (("disk1/Post_images", parts[:half]), ("disk2", parts[half:])):
        (folder / disk).mkdir(parents=True)
        for part in some:
            (folder / disk / part.name).symlink_to(part)
    for name in ("links.txt", "fresh-links.txt"):
        (folder / name).write_text("".join(f"{part}\n" for part in parts))
    accounts = sorted((data / "JSON-Image_files_mapping.txt").read_text().split("\n")[1:40])
    (folder / "accounts.txt").write_text("".join(f"{name}\n" for name in {row.split("\t")[0] for row in accounts}))
    sums = subprocess.run(["md5sum", *map(str, data.rglob("posts_*"))], capture_output=True, text=True, check=True)
    (folder / "md5sums.txt").write_text(sums.stdout)
    put(folder / "my-profiles", files(10))
    shutil.copytree(data, folder / "Downloads" / "instagram")
