"""A run on a disk that is too small for the dataset: shards come and go, and what is made of them is the same."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from postmill.console import lean
from postmill.console.waiting import Evict
from postmill.encode.options import EncoderName, ModelSet, Precision, usual
from postmill.encode.request import find_models
from postmill.ingest.sample.write import write_sample
from postmill.shards.formats import plan, posts
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.run import folder as runs
from postmill.shards.run import manifests, publish
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Silent
from postmill.shards.state import room, status
from tests import datasets
from tests.commands import paste, postmill, refused
from tests.integration.jobs import digests, temporaries
from tests.integration.kills import resize, small_disk, used
from tests.web import serving

ALL = usual(ModelSet.LIGHT, text_only=False)
QUICK = (EncoderName.SENTIMENT, EncoderName.METADATA)
PROGRAM = """
from postmill import cli
from postmill.console import lean, results, start, steps
from tests.integration.test_lean import QUICK
lean.usual = cli.usual = lambda *_, text_only: QUICK
steps.train = results.report = lambda *words, **options: None  # which other tests kill
start.main()
"""


def pack_and_encode(run: Path, encoders: Sequence[EncoderName], workers: int = 1, shown=None, **options) -> None:
    """The part of `run --lean` that is about the disk, with `encoders` alone."""
    usual = lean.usual
    lean.usual = lambda *_, text_only: encoders
    try:
        opened = runs.open_run(run)
        settings = ModelSet.LIGHT, {}, Device.CPU, Precision.AUTO
        found = find_models(encoders, *settings)
        lean.pack_and_encode(opened, found, *settings, workers, shown or Silent(), **options)
    finally:
        lean.usual = usual


def encode(run: Path, encoders: Sequence[EncoderName]) -> int:
    named = [word for encoder in encoders for word in ("--encoder", encoder)]
    return postmill("encode", run, "--models", "light", "--device", "cpu", *named)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, `data`, and `run`, in which it was packed and encoded as usual."""
    folder = tmp_path_factory.mktemp("whole")
    write_sample(folder / "data", posts=240, influencers=8, part_size=400 << 10)
    assert postmill("plan", folder / "data", folder / "run", "--shard-size", "1") == 0
    assert postmill("ingest", folder / "run") == 0
    assert encode(folder / "run", ALL) == 0
    return folder


def planned(run: Path, source: object, *words: str) -> Path:
    assert postmill("plan", source, run, "--shard-size", "1", *words) == 0
    return run


def made(run: Path) -> dict[str, str]:
    """The SHA-256 of every file of records and embeddings, as far as it is there."""
    return {
        name: digest
        for name, digest in digests(run).items()
        if name.startswith(("embeddings/", "posts/"))
        and not name.endswith((".tar", "index.json", "sizes.json"))
        and not re.fullmatch(r"posts/posts-\d+\.json", name)
    }


def tars(run: Path) -> dict[str, str]:
    return {name: digest for name, digest in digests(run).items() if name.endswith(".tar")}


def stated(run: Path) -> dict[str, str]:
    """The hashes that the manifests of the post shards state of their tars."""
    opened = runs.open_run(run, reading=True)
    return {f"{shard}": posts.tar_state(opened, shard).blake3 for shard in range(plan.counts(opened).shards)}


@contextmanager
def disk(folder: Path, size: int) -> Iterator[bool]:
    """A disk of so many bytes, where one can be had; else no limit."""
    with small_disk(folder) as mounted:
        if mounted:
            resize(folder, size)
        yield mounted


def disk_is_enough(data: Path, run: Path, ordinary: Path, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Pack and encode `data` from an address into `run`, on a disk of `size` bytes where one can be had."""
    capsys.readouterr()
    with serving(data) as address, disk(run.parent, size) as mounted:
        planned(run, f"http://{address}/")
        pack_and_encode(run, ALL)
        said = capsys.readouterr().out
        assert made(run) == made(ordinary)
        assert stated(run) == stated(ordinary)
        assert not tars(run)
        assert postmill("verify", run) == 0
        if mounted:
            assert used(run.parent) <= size
    foretold, most = (float(word) * 1e6 for word in re.findall(r"lean: [a-z ]*(?:about|at most) ([\d.]+) MB", said))
    assert foretold < size
    assert 0.65 * foretold < most <= foretold, "what is foretold is about what it takes, and not less"


@pytest.mark.skipif(not datasets.GIVEN.is_dir(), reason="real posts are not here")
def test_real_posts_on_a_disk_of_a_third_of_their_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ordinary = planned(tmp_path / "run", datasets.GIVEN.resolve())
    assert postmill("ingest", ordinary) == 0
    assert encode(ordinary, ALL) == 0
    size = sum(path.stat().st_size for path in datasets.GIVEN.rglob("*") if path.is_file())
    disk_is_enough(datasets.GIVEN, tmp_path / "disk" / "run", ordinary, size // 3, capsys)


def test_invented_posts_on_a_disk_of_what_the_plan_foretells(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ordinary = runs.open_run(whole / "run")
    needed = room.foretold(ordinary, encoders_of(ordinary))
    assert 0.8 * needed.whole < room.taken(ordinary) <= needed.whole
    disk_is_enough(whole / "data", tmp_path / "disk" / "run", whole / "run", needed.lean(1) + (64 << 10), capsys)


def quickly(whole: Path) -> dict[str, str]:
    """What the quick encoders make."""
    return {
        name: digest
        for name, digest in made(whole / "run").items()
        if not name.startswith("embeddings/") or name.split("/")[1].split(".")[0] in QUICK
    }


def worked_on(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*-*") if "logs" not in path.parts)


@pytest.mark.parametrize("workers", [1, 3])
def test_killed_at_any_time_it_goes_on(whole: Path, tmp_path: Path, workers: int) -> None:
    run = planned(tmp_path / "run", whole / "data")
    command = ["run", str(whole / "data"), str(run), "--models", "light", "--lean", "--workers", str(workers)]
    draw = random.Random(workers)
    killed = 0
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        before = worked_on(run)
        while process.poll() is None and worked_on(run) == before:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.3))
        process.send_signal(draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        said, _ = process.communicate(timeout=120)
        assert process.returncode in (0, 75, -signal.SIGKILL, -signal.SIGTERM), said.decode()
        killed += process.returncode != 0
        assert len(tars(run)) <= 2 * workers, "no more than a few tars at a time"
    assert killed
    pack_and_encode(run, QUICK)
    assert made(run) == quickly(whole)
    assert not tars(run)
    assert temporaries(run) == []
    assert postmill("verify", run) == 0


@pytest.fixture(scope="module")
def _let_go(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = planned(tmp_path_factory.mktemp("lean") / "run", whole / "data")
    pack_and_encode(run, QUICK)
    return run


@pytest.fixture
def let_go(_let_go: Path, tmp_path: Path) -> Path:
    """A run whose tars have been let go."""
    return Path(shutil.copytree(_let_go, tmp_path / "lean"))


def test_what_was_let_go_is_said_and_can_be_had_again(
    whole: Path, let_go: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = len(stated(let_go))
    assert json.loads((let_go / "posts" / "index.json").read_bytes())["shardlist"] == []
    assert json.loads((let_go / "posts" / "sizes.json").read_bytes()) == {}
    for command in ("verify", "status"):
        assert postmill(command, let_go) == 0
        assert f"dropped: the tars of {shards} post shards" in capsys.readouterr().out
    assert status.read(runs.open_run(let_go)).dropped == shards
    assert encode(let_go, QUICK) == 0, "what is done needs no picture"
    assert encode(let_go, [EncoderName.TEXT]) == 0, "nor does what is made of records"
    assert postmill("ingest", let_go) == 0
    assert not tars(let_go), "ingest finds them done"

    with pytest.raises(PostmillError, match="was dropped when every encoder asked for then had done it") as caught:
        encode(let_go, [EncoderName.IMAGE])
    assert not list((let_go / "embeddings").glob("image*"))
    assert paste(caught.value, {}) == 0
    assert tars(let_go) == tars(whole / "run")
    assert encode(let_go, [EncoderName.IMAGE]) == 0
    names = {name: digest for name, digest in digests(let_go).items() if name.startswith("posts/")}
    assert names == {name: digest for name, digest in digests(whole / "run").items() if name.startswith("posts/")}
    assert postmill("verify", let_go) == 0


def test_some_can_be_had_again(let_go: Path) -> None:
    assert postmill("ingest", let_go, "--restore", "--shards", "1") == 0
    assert list(tars(let_go)) == ["posts/posts-000001.tar"]
    assert [each["url"] for each in json.loads((let_go / "posts" / "index.json").read_bytes())["shardlist"]] == [
        "posts-000001.tar"
    ]
    assert postmill("verify", let_go) == 0
    pack_and_encode(let_go, QUICK)
    assert not tars(let_go)
    assert postmill("verify", let_go) == 0


def test_killed_between_manifest_and_tar(whole: Path, let_go: Path) -> None:
    shutil.copyfile(whole / "run" / "posts" / "posts-000000.tar", let_go / "posts" / "posts-000000.tar")
    assert postmill("verify", let_go) == 0
    pack_and_encode(let_go, QUICK)
    assert not tars(let_go)


def test_records_of_a_shard_that_was_let_go_are_still_checked(let_go: Path) -> None:
    records = let_go / "posts" / "posts-000000.parquet"
    content = bytearray(records.read_bytes())
    content[len(content) // 2] ^= 1
    records.write_bytes(content)
    assert refused("verify", let_go)


@pytest.mark.parametrize("name", ["posts-000000.parquet", "posts-000000.idx"])
def test_a_manifest_that_says_so_of_another_file_is_not_believed(let_go: Path, name: str) -> None:
    opened = runs.open_run(let_go)
    manifest = manifests.read(opened.posts, "posts-000000")
    assert manifest is not None
    publish.drop(opened.posts, manifest, name)
    assert manifests.read(opened.posts, "posts-000000") is None
    assert refused("verify", let_go)


def test_parts_that_come_one_by_one_and_go_again(whole: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    later = []
    for path in sorted(whole.joinpath("data").rglob("*")):
        target = data / path.relative_to(whole / "data")
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.parent.name == "Post_images" and path.suffix != ".zip":
                later.append((path, target))
            else:
                shutil.copyfile(path, target)
    planned(run, data, "--await-parts")
    pack_and_encode(run, QUICK)
    assert not made(run).keys() & {"posts/posts-000000.parquet"}
    for n, (path, target) in enumerate(later):
        shutil.copyfile(path, target)
        pack_and_encode(run, QUICK, evict=Evict.DELETE)
        assert len(list((data / "Post_images").iterdir())) <= 3, "the last part, this one, and one that it reaches into"
        assert n == len(later) - 1 or not tars(run)
    assert made(run) == quickly(whole)
    assert postmill("verify", run) == 0


def test_an_embedding_shard_that_is_lost_wants_the_tar_again(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole / "run", tmp_path / "run"))
    opened = runs.open_run(run)
    posts.drop_tar(opened, 0)
    folder = next((run / "embeddings").glob("image*"))
    (folder / "posts-000000.npy").unlink()
    error = refused("encode", run, "--models", "light", "--device", "cpu", "--encoder", "image")
    assert error.place == str(run / "posts" / "posts-000000.tar")
    assert paste(error, {}) == 0
    assert encode(run, [EncoderName.IMAGE]) == 0
    assert digests(run) == digests(whole / "run")
