"""2,000 posts as split zips, as one zip, as folders of files, and behind an address: the same posts, byte for byte."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.commands import postmill
from tests.ingest.test_text_only import members, told
from tests.ingest.test_unpacked import plain, texts
from tests.integration.sources.coming import made
from tests.web import serving

Way = Callable[[Path, Path], AbstractContextManager[list[object]]]
"""From the sample and a new folder to what is typed of the source."""


def records(run: Path) -> Mapping[str, Any]:
    """The record of each key, in whichever shard it is."""
    return {
        row["key"]: row for path in (run / "posts").glob("posts-*.parquet") for row in pq.read_table(path).to_pylist()
    }


def lost(run: Path) -> Mapping[tuple[object, ...], int]:
    """How often which post is lost, or lacks something, and why; not where in which archive that stood."""
    return Counter((each["influencer"], each["post_id"], each["reason"], each["post_lost"]) for each in told(run))


def joined(data: Path, target: Path) -> list[object]:
    """Each split zip as one, as zip joins it: entries as they are, at other places."""
    texts(data, target)
    for folder in ("Post_metadata", "Post_images"):
        (last,) = (data / folder).glob("*.zip")
        (target / folder).mkdir()
        subprocess.run(["zip", "-q", "-s", "0", str(last), "--out", str(target / folder / last.name)], check=True)
    return [target]


def shards(run: Path) -> Mapping[str, str]:
    return {name: digest for name, digest in made(run).items() if name.startswith("posts/")}


@contextmanager
def one_zip_each(data: Path, folder: Path) -> Iterator[list[object]]:
    yield joined(data, folder / "data")


@contextmanager
def one_zip_each_behind_an_address(data: Path, folder: Path) -> Iterator[list[object]]:
    joined(data, folder / "data")
    with serving(folder / "data") as host:
        yield [f"http://{host}"]


@contextmanager
def split_behind_an_address(data: Path, folder: Path) -> Iterator[list[object]]:
    with serving(data) as host:
        yield [f"http://{host}"]


@contextmanager
def folders(data: Path, folder: Path) -> Iterator[list[object]]:
    joined(data, folder / "joined")
    texts(data, folder / "data")
    for archive in (folder / "joined").rglob("*.zip"):
        subprocess.run(["unzip", "-q", archive, "-d", folder / "data"], check=True)
    yield [folder / "data"]


@pytest.fixture(scope="module")
def split(sampled: Path) -> Path:
    return sampled / "run"


@pytest.mark.parametrize("way", [one_zip_each, one_zip_each_behind_an_address, split_behind_an_address, folders])
def test_the_posts_are_the_same_whatever_holds_them(sampled: Path, split: Path, tmp_path: Path, way: Way) -> None:
    run = tmp_path / "run"
    with way(sampled / "data", tmp_path) as source:
        assert postmill("plan", *source[:1], run, *source[1:], "--shard-size", "2") == 0
        assert postmill("ingest", run) == 0
    assert postmill("verify", run) == 0
    assert plain(run) == plain(split)
    assert records(run) == records(split)
    assert lost(run) == lost(split)
    if way is not folders:  # a deflated entry is taken as it is for `KEY.raw.json.gz`, and a file has to be compressed
        assert members(run) == members(split)
    if way is split_behind_an_address:
        assert shards(run) == shards(split)
