"""A part that is not what the directory says of it is refused before any work, and named; salvage goes on."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from postmill.ingest.archive import part_check
from postmill.ingest.archive.levels import open_directory
from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.ingest.zipformat.parts import find_parts
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.run.options import Level, Options
from postmill.shards.runtime.errors import DamagedSource
from tests import datasets
from tests.ingest.plan import damage
from tests.ingest.plan.damage import Damage

POSTS = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of whose archives each has at least four parts."""
    noise = random.Random(7)
    folder = tmp_path_factory.mktemp("whole") / "data"
    datasets.write_dataset(
        folder,
        {f"ann-{post}.info": datasets.info(str(post), noise=noise.randbytes(2000).hex()) for post in range(POSTS)},
        {f"ann-{post}.jpg": noise.randbytes(noise.randrange(2000, 6000)) for post in range(POSTS)},
        [("ann", str(post), [f"{post}.jpg"]) for post in range(POSTS)],
        options=["-s", "64k"],
    )
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def refusal(data: Path, run: Path, level: Level = Level.DEFAULT) -> DamagedSource:
    with pytest.raises(DamagedSource) as caught:
        make_plan(discover(str(data)), run, Options(level=level))
    return caught.value


@pytest.mark.parametrize("archive", ["Post_images/posts_image", "Post_metadata/posts_info"])
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage.replaced(damage.PAGE), "is a web page"),
        (damage.replaced(damage.PAGE + bytes(64 << 10)), "is a web page"),
        (damage.replaced(damage.DENIED), "is an XML message"),
        (damage.replaced(damage.POINTER), "is a Git LFS pointer"),
        (damage.cut(0.5), "is shorter than its entries need"),
        (damage.cut_bytes(1), "is shorter than its last entry needs, by 1 bytes"),
        (damage.ZEROS, "holds zeros at byte"),
        (damage.ZEROS_AT_THE_END, "holds zeros at byte"),
        (damage.NOISE, "not the entries that the directory lists there"),
    ],
)
def test_a_middle_part_that_is_not_what_it_should_be_is_named(
    data: Path, tmp_path: Path, archive: str, harm: Damage, words: str
) -> None:
    part = data / f"{archive}.z02"
    harm(part)
    error = refusal(data, tmp_path / "run")
    assert words in error.cause and part.name in error.cause
    assert error.place == str(part)
    assert error.hint == f"fetch {part.name} again, then run the same command"


@pytest.mark.parametrize("harm", [damage.cut(0.5), damage.NOISE])
def test_all_that_are_wrong_are_named_together(data: Path, tmp_path: Path, harm: Damage) -> None:
    for number in (1, 2):
        harm(data / f"Post_images/posts_image.z0{number}")
    error = refusal(data, tmp_path / "run")
    assert "posts_image.z01" in error.cause and "posts_image.z02" in error.cause
    assert error.hint == "fetch posts_image.z01, posts_image.z02 again, then run the same command"


def test_parts_that_were_mixed_up_are_named(data: Path, tmp_path: Path) -> None:
    one, two = (data / f"Post_images/posts_image.z0{number}" for number in (1, 2))
    one.rename(tmp_path / "x")
    two.rename(one)
    (tmp_path / "x").rename(two)
    assert "posts_image.z01, posts_image.z02: not the entries" in refusal(data, tmp_path / "run").cause


@pytest.mark.parametrize("content", [damage.PAGE, damage.POINTER])
def test_a_last_part_that_is_something_else_is_told(data: Path, tmp_path: Path, content: bytes) -> None:
    damage.replaced(content)(data / "Post_images/posts_image.zip")
    assert "posts_image.zip, of" in refusal(data, tmp_path / "run").cause


def test_a_slice_that_is_something_else_is_told(data: Path, tmp_path: Path) -> None:
    sliced = tmp_path / "sliced"
    sliced.mkdir()
    (tmp_path / "plain").mkdir()
    datasets.zip_up(tmp_path / "plain", sliced / "a.zip", {"image/ann-1.jpg": random.Random(3).randbytes(220_000)})
    whole = (sliced / "a.zip").read_bytes()
    (sliced / "a.zip").unlink()
    for number in range(4):
        (sliced / f"a.zip.00{number + 1}").write_bytes(whole[number * 60_000 : (number + 1) * 60_000])
    (sliced / "a.zip.002").write_bytes(damage.POINTER)
    with pytest.raises(DamagedSource, match=r"a\.zip\.002, of .* is a Git LFS pointer"):
        make_plan(discover(str(data), images=str(sliced)), tmp_path / "run")


@pytest.mark.parametrize("harm", [damage.cut(0.5), damage.replaced(damage.PAGE), damage.ZEROS, damage.NOISE])
def test_salvage_goes_on_with_what_the_other_parts_hold(data: Path, tmp_path: Path, harm: Damage) -> None:
    harm(data / "Post_images/posts_image.z02")
    _, counts = make_plan(discover(str(data)), tmp_path / "run", Options(level=Level.SALVAGE))
    assert POSTS // 2 < counts.planned_posts <= POSTS


@pytest.mark.parametrize(("remote", "most"), [(False, 8), (True, 3)])
def test_a_few_headers_of_each_part_are_read(
    whole: Path, monkeypatch: pytest.MonkeyPatch, remote: bool, most: int
) -> None:
    monkeypatch.setattr(part_check, "is_url", lambda path: remote)
    with AddressSpace(find_parts(whole / "Post_images")) as space:
        listing = open_directory(space)
        batches = list(listing.batches())
        read: list[int] = []
        monkeypatch.setattr(AddressSpace, "read", lambda self, *where: _noted(self, read, *where))
        list(part_check.check_parts(space, listing.directory, batches, refuse=True))
        assert 0 < max(Counter(map(space.part_at, read)).values()) <= most


def _noted(space: AddressSpace, read: list[int], offset: int, length: int) -> bytes:
    read.append(offset)
    buffer = bytearray(length)
    space.readinto(offset, memoryview(buffer))
    return bytes(buffer)


@pytest.mark.parametrize("harm", [damage.ZEROS_AT_THE_END, damage.cut(0.5)])
def test_strict_refuses_it_too(data: Path, tmp_path: Path, harm: Damage) -> None:
    harm(data / "Post_images/posts_image.z01")
    assert "posts_image.z01" in refusal(data, tmp_path / "run", Level.STRICT).cause


def test_one_header_that_is_damaged_is_a_fault_and_refuses_nothing(data: Path, tmp_path: Path) -> None:
    part = data / "Post_images/posts_image.z02"
    content = bytearray(part.read_bytes())
    position = content.index(b"PK\x03\x04")
    content[position] ^= 0xFF
    part.write_bytes(content)
    _, counts = make_plan(discover(str(data)), tmp_path / "run")
    assert counts.planned_posts == POSTS


def test_zeros_in_an_archive_of_one_part_are_found(data: Path, tmp_path: Path) -> None:
    images = tmp_path / "one" / "posts_image.zip"
    noise = random.Random(8)
    pictures = {f"image/ann-{post}.jpg": noise.randbytes(4000) for post in range(POSTS)}
    (tmp_path / "plain").mkdir()
    datasets.zip_up(tmp_path / "plain", images, pictures)
    content = images.read_bytes()
    images.write_bytes(content[:100_000] + bytes(100_000) + content[200_000:])
    with pytest.raises(DamagedSource, match=r"posts_image\.zip holds zeros at byte"):
        make_plan(discover(str(data), images=str(images)), tmp_path / "run")
