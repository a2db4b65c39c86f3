"""Parts that come one by one: in any order, slowly, under other names, while everything is killed; the same run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postmill.ingest.pack.evict import evict, spare_parts
from postmill.ingest.pack.stages import awaited, ingest
from postmill.ingest.sample.write import write_sample
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.run import folder as runs
from postmill.shards.runtime.progress import Silent
from tests import datasets
from tests.commands import postmill, refused
from tests.integration.jobs import PROGRAM, temporaries
from tests.integration.sources.coming import arrive, begun, in_order, made, pictures_first, shuffled
from tests.integration.sources.feeding import FOLDERS


def undisturbed(folder: Path, given: bool) -> Path:
    """A folder with a dataset, `data`, and what an undisturbed run makes of it, `run`."""
    if given:
        (folder / "data").symlink_to(datasets.GIVEN.resolve())
    else:
        write_sample(folder / "data", posts=200, influencers=8, part_size=200 << 10)
    assert postmill("plan", folder / "data", folder / "run", "--shard-size", "1") == 0
    assert postmill("ingest", folder / "run") == 0
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return undisturbed(tmp_path_factory.mktemp("whole"), given=False)


@pytest.mark.skipif(not datasets.GIVEN.is_dir(), reason="real posts are not here")
def test_real_posts_that_come_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    test_parts_that_come_one_by_one_make_the_run_of_them_all(
        undisturbed(tmp_path / "whole", given=True), tmp_path, shuffled
    )


def times(run: Path) -> dict[str, int]:
    return {str(path): path.stat().st_ino for folder in ("spool", "posts") for path in (run / folder).glob("*-*")}


@pytest.mark.parametrize("order", [in_order, shuffled, pictures_first])
def test_parts_that_come_one_by_one_make_the_run_of_them_all(
    whole: Path, tmp_path: Path, order: Callable[[list[Path]], list[Path]]
) -> None:
    data, run, later = begun(whole / "data", tmp_path)
    opened = runs.open_run(run)
    assert {part.name for part in awaited(opened)} == {part.name for part in later}
    finished: dict[str, int] = {}
    kept = []
    for part in order(later):
        arrive(whole / "data", data, part)
        assert postmill("ingest", run, "--evict", "--yes") == 0
        now = times(run)
        assert {path: now.get(path) for path in finished} == finished, "a finished window was done again"
        finished = now
        kept.append(sum(path.stat().st_size for folder in FOLDERS for path in (data / folder).iterdir()))
    assert made(run) == made(whole / "run")
    assert awaited(opened) == []
    assert {path.name for folder in FOLDERS for path in (data / folder).iterdir()}.isdisjoint(p.name for p in later)
    if order is in_order:  # of each archive the last part, one that has just come, and one that reaches into it
        largest = max(part.stat().st_size for part in later)
        assert max(kept) <= kept[-1] + 2 * largest
    assert postmill("plan", data, run) == 0, "parts that are gone need not come back"
    assert postmill("verify", run) == 0


def started(run: Path) -> subprocess.Popen[str]:
    words = [*PROGRAM, "ingest", str(run), "--follow", "--evict", "--yes"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def trickle(data: Path, parts: list[Path], done: threading.Event) -> None:
    """Bring parts as downloads do: in pieces, now under their names and now under others, some of them twice."""
    draw = random.Random(5)
    for number, part in enumerate(parts):
        target = data / part.parent.name / part.name
        content = part.read_bytes()
        written = target if number % 2 else target.with_name(f"{part.name}.crdownload")
        if number == 1:  # a transfer that breaks off, and begins anew
            target.write_bytes(content[: len(content) // 3])
            time.sleep(0.1)
        with written.open("wb") as file:
            step = len(content) // 4 + 1
            for start in range(0, len(content), step):
                file.write(content[start : start + step])
                file.flush()
                time.sleep(draw.uniform(0, 0.05))
        written.rename(target)
    done.set()


def test_following_ends_with_the_same_run_whatever_is_killed_meanwhile(whole: Path, tmp_path: Path) -> None:
    data, run, later = begun(whole / "data", tmp_path)
    done = threading.Event()
    bringing = threading.Thread(target=trickle, args=(data, shuffled(later), done))
    bringing.start()
    draw = random.Random(7)
    killed = 0
    while not done.is_set() or killed < 3:
        process = started(run)
        try:
            process.wait(draw.uniform(0.3, 2.5))
        except subprocess.TimeoutExpired:
            process.send_signal(draw.choice([signal.SIGKILL, signal.SIGTERM]))
            killed += 1
        said, _ = process.communicate(timeout=60)
        assert process.returncode in (0, 75, -signal.SIGKILL, -signal.SIGTERM), said
        if process.returncode == 0:
            break
    bringing.join()
    process = started(run)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert made(run) == made(whole / "run")
    assert temporaries(run) == []


def test_metadata_that_comes_between_two_stages_is_for_the_next_pass(whole: Path, tmp_path: Path) -> None:
    data, run, later = begun(whole / "data", tmp_path)
    late = next(part for part in later if part.parent.name == "Post_metadata")
    for part in later:
        if part != late:
            arrive(whole / "data", data, part)
    stages = ingest(runs.open_run(run))
    assert [part.name for part in next(stages).awaited] == [late.name]
    arrive(whole / "data", data, late)
    assert [(summary.done, summary.waiting > 0) for summary in stages] == [(0, True), (0, True)]
    assert postmill("ingest", run) == 0
    assert made(run) == made(whole / "run")


@pytest.fixture
def one_late(whole: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Where the last numbered part of the pictures is to come, all others being there, and the run; and the part."""
    data, _, later = begun(whole / "data", tmp_path)
    late = later.pop(max(n for n, part in enumerate(later) if part.parent.name == "Post_images"))
    for part in later:
        arrive(whole / "data", data, part)
    yield data / late.parent.name / late.name, late


@pytest.mark.parametrize(
    ("content", "beside", "why"),
    [
        (None, "", "is not here"),
        (lambda whole: b"", "", "is not here"),
        (lambda whole: whole[: len(whole) // 2], "", "its entries need at least"),
        (lambda whole: whole, ".aria2", "lies beside it"),
        (lambda whole: bytes(len(whole)), "", "holds zeros at byte"),
        (lambda whole: b"<!DOCTYPE html>" + b"quota exceeded " * (len(whole) // 15 - 1), "", "is a web page"),
    ],
)
def test_a_part_that_is_not_whole_is_not_taken_and_the_reason_is_said(
    one_late: tuple[Path, Path],
    tmp_path: Path,
    content: Callable[[bytes], bytes] | None,
    beside: str,
    why: str,
    whole: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target, part = one_late
    run = tmp_path / "run"
    if content is not None:
        target.write_bytes(content(part.read_bytes()))
    if beside:
        target.with_name(f"{target.name}{beside}").touch()
    capsys.readouterr()
    assert postmill("ingest", run) == 0
    assert f"{target.name} " in (told := capsys.readouterr().out.replace("\n", " ")) and why in told
    assert made(run) != made(whole / "run")
    assert postmill("verify", run) == 0
    if beside:
        target.with_name(f"{target.name}{beside}").unlink()
    shutil.copyfile(part, target)
    assert postmill("ingest", run) == 0
    assert made(run) == made(whole / "run")


def test_a_part_that_grows_while_it_is_looked_at_is_not_taken(one_late: tuple[Path, Path], tmp_path: Path) -> None:
    target, part = one_late
    content = part.read_bytes()
    for name in target.parent.glob("*.z*"):  # no sibling tells how long it will be
        if name.suffix != ".zip":
            name.unlink()
    target.write_bytes(content)
    stop = threading.Event()

    def write_on() -> None:
        while not stop.wait(0.01):
            os.utime(target)

    writing = threading.Thread(target=write_on)
    writing.start()
    try:
        opened = runs.open_run(tmp_path / "run")
        assert "is still being written" in [part.why for part in awaited(opened) if part.name == target.name]
    finally:
        stop.set()
        writing.join()
    assert target.name not in [part.name for part in awaited(opened)]


def test_only_the_parts_with_the_directory_must_be_there(whole: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(whole / "data", tmp_path / "data"))
    (last,) = (data / "Post_images").glob("*.zip")
    last.rename(tmp_path / "away")
    assert "posts_image" in str(refused("plan", data, tmp_path / "run", "--await-parts"))
    assert not (tmp_path / "run").exists()


def test_what_is_awaited_is_said_of_parts_that_lack_without_the_option(whole: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(whole / "data", data)
    sorted((data / "Post_images").glob("*.z0*"))[1].unlink()
    said = refused("plan", data, tmp_path / "run")
    assert said.hint is not None and "--await-parts" in said.hint


def test_a_part_goes_only_when_what_was_made_of_it_is_whole(whole: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(whole / "data", data)
    shutil.copytree(whole / "run", run)
    assert postmill("plan", data, run) == 0
    opened = runs.open_run(run)
    spare = spare_parts(opened, Silent())
    assert {part.archive for part in spare} <= {METADATA, IMAGES}
    assert len(spare) > 3 and not [part for part in spare if part.path.suffix == ".zip"]
    first = next(part for part in spare if part.archive == IMAGES)
    shard = run / "posts" / "posts-000000.tar"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert first.name not in [part.name for part in spare_parts(opened, Silent())], "its shard is damaged"
    shard.unlink()
    assert first.name not in [part.name for part in spare_parts(opened, Silent())], "its shard is not done"
    assert postmill("ingest", run) == 0
    target = first.path.rename(tmp_path / first.name)
    first.path.symlink_to(target)
    left = spare_parts(opened, Silent())
    assert first.name not in [part.name for part in left], "a link takes no room"
    assert [part.name for part in evict(left)] == [part.name for part in left]
    assert target.exists()
    assert postmill("verify", run) == 0
    assert made(run) == made(whole / "run")


def test_yes_alone_deletes_nothing(whole: Path) -> None:
    assert "--evict" in str(refused("ingest", whole / "run", "--yes").hint)
