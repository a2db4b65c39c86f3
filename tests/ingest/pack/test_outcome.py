"""An ingest by which most posts are lost fails with the reasons, and only for what it was asked to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.ingest.plan.make import make_plan
from postmill.ingest.source.layout import discover
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from tests.ingest.pack.packing import Dataset, Info, spoil

POSTS = 30
POST_BYTES = 100_000


def postmill(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postmill.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})


@pytest.fixture
def spoiled(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> Run:
    """A planned run of three windows; in all pictures of the first two a byte was changed since."""
    names = [f"{post:02d}" for post in range(POSTS)]
    infos = {f"ann-{name}.info": make_info(name) for name in names}
    pictures = {f"ann-{name}.jpg": os.urandom(POST_BYTES) for name in names}
    root = make_dataset(infos, pictures, [("ann", name, [f"{name}.jpg"]) for name in names], options=["-0"])
    run, counts = make_plan(discover(str(root)), tmp_path / "run", Options(shard_bytes=1 << 20))
    assert counts.images_windows == 3
    for name in names[:20]:
        spoil(root / "Post_images" / "posts_image.zip", f"image/ann-{name}.jpg")
    return run


def test_an_ingest_that_keeps_fewer_than_half_of_the_posts_fails_and_says_why(spoiled: Run) -> None:
    for _ in range(2):  # what is found done is judged too
        done = postmill("ingest", spoiled.folder)
        assert done.returncode == 1, done.stderr
        assert f"only {POSTS - 20} of {POSTS} planned posts are in its shards (" in done.stderr
        assert "crc_wrong 20" in done.stderr
        assert f"next:  see what is wrong with the sources: postmill faults {spoiled.word}" in done.stderr
    assert len(list(spoiled.posts.glob("posts-*.tar"))) == 3
    assert postmill("faults", spoiled.folder).returncode == 0


def test_a_part_of_the_work_is_judged_by_itself(spoiled: Run) -> None:
    assert postmill("ingest", spoiled.folder, "--shards", "2").returncode == 0
    assert postmill("ingest", spoiled.folder, "--stage", "metadata").returncode == 0
    assert postmill("ingest", spoiled.folder, "--stage", "windows", "--task", "0/3").returncode == 1
    assert postmill("ingest", spoiled.folder, "--stage", "windows", "--task", "2/3").returncode == 0


def test_an_ingest_that_keeps_half_of_the_posts_is_done(make_dataset: Dataset, make_info: Info, tmp_path: Path) -> None:
    infos = {f"ann-{post}.info": make_info(str(post)) for post in range(4)}
    pictures = {f"ann-{post}.jpg": bytes([post]) * 3000 for post in range(4)}
    root = make_dataset(infos, pictures, [("ann", str(n), [f"{n}.jpg"]) for n in range(4)], options=["-0"])
    for post in range(2):
        spoil(root / "Post_images" / "posts_image.zip", f"image/ann-{post}.jpg")
    assert postmill("plan", root, tmp_path / "run").returncode == 0
    assert postmill("ingest", tmp_path / "run").returncode == 0
