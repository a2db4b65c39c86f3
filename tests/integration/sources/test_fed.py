"""2,000 posts whose parts come while they are worked on, and go when that is done: the same run, on a small disk."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import datasets
from tests.commands import postmill
from tests.integration.jobs import PROGRAM, temporaries
from tests.integration.sources.coming import begun, in_order, made, shuffled
from tests.integration.sources.feeding import on_disk

ROOT = Path(__file__).resolve().parents[3]
NO_LIMIT = 1 << 60


class Watched:
    """What a thread sees of a run while it grows: the most that lay on the disk, and what was made twice."""

    def __init__(self, data: Path, run: Path) -> None:
        self._data, self._run = data, run
        self._versions: dict[str, set[int]] = defaultdict(set)
        self._over = threading.Event()
        self.most = 0

    def look(self) -> None:
        self.most = max(self.most, on_disk(self._data))
        for path in [path for folder in ("spool", "posts") for path in (self._run / folder).glob("*-*.json")]:
            self._versions[path.name].add(path.stat().st_ino)

    def go_on(self) -> None:
        while not self._over.wait(0.01):
            self.look()

    def end(self) -> None:
        self._over.set()
        self.look()

    def twice(self) -> list[str]:
        return [name for name, versions in self._versions.items() if len(versions) > 1]

    def done(self) -> int:
        return len(self._versions)


@contextmanager
def watching(data: Path, run: Path) -> Iterator[Watched]:
    watched = Watched(data, run)
    thread = threading.Thread(target=watched.go_on)
    thread.start()
    try:
        yield watched
    finally:
        watched.end()
        thread.join()


class Commands:
    """The feeder and the ingest, each of which is started again whenever it was killed."""

    def __init__(self, source: Path, data: Path, run: Path, way: str, room: int, parts: list[Path]) -> None:
        self._feed = [
            "tests.integration.sources.feeding",
            source,
            data,
            way,
            room,
            *[part.relative_to(source) for part in parts],
        ]
        self._ingest = [*PROGRAM[1:], "ingest", run, "--follow", "--evict", "--yes"]
        self._log = run.with_name("said")

    def feeder(self) -> subprocess.Popen[bytes]:
        return self._start([sys.executable, "-m", *map(str, self._feed)])

    def ingest(self) -> subprocess.Popen[bytes]:
        return self._start([sys.executable, *map(str, self._ingest)])

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def said(self) -> str:
        return self._log.read_text()


def ends_as_undisturbed(whole: Path, run: Path) -> None:
    assert made(run) == made(whole)
    assert temporaries(run) == []
    assert postmill("verify", run) == 0


def feed(source: Path, data: Path, run: Path, way: str, room: int, parts: list[Path], kills: int, seed: int) -> Watched:
    """Feed and follow to the end, killing either at any moment, `kills` times each; return what was seen."""
    commands = Commands(source, data, run, way, room, parts)
    draw = random.Random(seed)
    with watching(data, run) as watched:
        feeder, ingest = commands.feeder(), commands.ingest()
        for _ in range(kills):
            time.sleep(draw.uniform(0.2, 1.2))
            feeder.kill()
            feeder.wait()
            feeder = commands.feeder()
            time.sleep(draw.uniform(0.2, 1.2))
            ingest.send_signal(draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
            # By the signal itself before Python has begun to answer it, and when it ends.
            assert ingest.wait(60) in (0, 75, -signal.SIGKILL, -signal.SIGTERM), commands.said()
            ingest = commands.ingest()
        assert feeder.wait(300) == 0 and ingest.wait(300) == 0, commands.said()
    print(f"{way}: {watched.most:,} bytes of parts lay there at most, of {on_disk(source):,}; {watched.done()} units")
    return watched


@pytest.mark.parametrize(
    ("order", "way", "kills", "small"),
    [
        (in_order, "own", 0, True),
        (in_order, "part", 4, True),
        (shuffled, "crdownload", 4, False),
        (shuffled, "own", 4, False),
    ],
)
def test_parts_that_come_and_go_make_the_undisturbed_run(
    sampled: Path, tmp_path: Path, order: Callable[[list[Path]], list[Path]], way: str, kills: int, small: bool
) -> None:
    source = sampled / "data"
    data, run, later = begun(source, tmp_path, shard_size=2)
    assert sum(part.parent.name == "Post_images" for part in later) >= 5
    first = on_disk(data)
    # What must be there, a part that is coming, one that has come, and one that reaches into it.
    room = first + 3 * max(part.stat().st_size for part in later) if small else NO_LIMIT
    watched = feed(source, data, run, way, room, order(later), kills, seed=len(way) + kills)
    assert watched.twice() == []
    assert watched.most <= room
    assert on_disk(data) == first, "a part that nothing needs is still there"
    ends_as_undisturbed(sampled / "run", run)


@pytest.mark.skipif(not datasets.GIVEN.is_dir(), reason="real posts are not here")
def test_real_posts_that_come_and_go(tmp_path: Path) -> None:
    source, whole = datasets.GIVEN.resolve(), tmp_path / "whole"
    assert postmill("plan", source, whole, "--shard-size", "1") == 0 and postmill("ingest", whole) == 0
    data, run, later = begun(source, tmp_path)
    watched = feed(source, data, run, "part", NO_LIMIT, shuffled(later), kills=2, seed=1)
    assert watched.twice() == []
    ends_as_undisturbed(whole, run)
