"""The tar is read as a stream, and must be what its Parquet file says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.encode.preparation.reader import read_pictures
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError


@pytest.fixture
def run(make_posts: Callable[..., Run]) -> Run:
    return make_posts([[b"a0", b"a1"], [], [b"c0"]])


def test_pictures_come_in_order(run: Run) -> None:
    in_order = [(p.row, p.position, p.data) for p in read_pictures(run, 0, ["post0", "post1", "post2"])]
    assert in_order == [(0, 0, b"a0"), (0, 1, b"a1"), (2, 0, b"c0")]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["post0", "post2", "post1"], "post 1 of the tar is 'post1' where the Parquet beside it has 'post2'"),
        (["post0", "post1"], "post 2 of the tar is 'post2' where the Parquet beside it has no more"),
        (["post0", "post1", "post2", "post3"], "the tar has 3 posts where the Parquet beside it has 4"),
    ],
)
def test_other_keys_are_refused(run: Run, keys: list[str], message: str) -> None:
    with pytest.raises(PostmillError, match=message) as caught:
        list(read_pictures(run, 0, keys))
    tar = run.posts / "posts-000000.tar"
    assert caught.value.hint == f"rm -f -- {tar}; postmill ingest {run.word}"


@pytest.mark.parametrize("length", [0, 700, 2000, 3000])
def test_a_tar_cut_short_is_refused(run: Run, length: int) -> None:
    tar = run.posts / "posts-000000.tar"
    tar.write_bytes(tar.read_bytes()[:length])
    with pytest.raises(PostmillError, match=rf"is damaged: {length} bytes, the manifest says"):
        list(read_pictures(run, 0, ["post0", "post1", "post2"]))


def test_a_missing_tar_is_refused(run: Run) -> None:
    (run.posts / "posts-000000.tar").unlink()
    with pytest.raises(PostmillError, match="is damaged: it is missing"):
        list(read_pictures(run, 0, ["post0"]))


def test_the_folder_may_have_any_name(run: Run, tmp_path: Path) -> None:
    odd = run.folder.rename(tmp_path / "a{1..3}:: pipe:x%20\n")
    assert len(list(read_pictures(dataclasses.replace(run, folder=odd), 0, ["post0", "post1", "post2"]))) == 3
