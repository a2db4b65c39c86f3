"""Commands stopped at random moments and in every way end, resumed, with the bytes of an undisturbed run.

POSTMILL_KILLS says how many times, 16 unless it is set, and 4 where locks do not work: each takes five seconds.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.datasets import info, write_dataset
from tests.integration.jobs import PROGRAM, STAGES, Job, Measured, digests, measure, temporaries
from tests.integration.kills import STOPS, small_disk
from tests.machine import tools
from tests.outputs import lockless

KILLS = int(os.environ.get("POSTMILL_KILLS", "16"))
LOCKLESS_KILLS = int(os.environ.get("POSTMILL_KILLS", "4"))
PARTS = 2  # of them, which may go on at once
AGAIN = ("SIGKILL", "SIGTERM", "SIGKILL", "SIGINT all")  # while it resumes


@dataclass(frozen=True)
class World:
    """A dataset, the run folder after each stage, and what each stage takes by stage and workers."""

    source: Path
    after: dict[str, Path]
    measured: dict[tuple[str, int], Measured]

    def before(self, stage: str) -> Path | None:
        number = STAGES.index(stage)
        return self.after[STAGES[number - 1]] if number else None


def write_posts(root: Path) -> None:
    """Posts of which a third are carousels, scattered over archives of several parts; a few are faulty."""
    noise = random.Random(1)
    infos, pictures, rows = {}, {}, []
    for n in range(270):
        images = [f"{n}_{i}.jpg" for i in range(3 if n % 3 == 0 else 1)]
        rows.append(("ann", str(n), images))
        if n % 50 != 7:
            infos[f"ann-{n}.info"] = info(str(n), note=noise.randbytes(900).hex())
        pictures.update({f"ann-{image}": noise.randbytes(noise.randrange(4000, 16000)) for image in images})
    scattered = [{name: files[name] for name in noise.sample(sorted(files), len(files))} for files in (infos, pictures)]
    write_dataset(root, *scattered, rows, options=["-s", "1m"], metadata_options=["-s", "64k"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("unkillable")
    source, run = folder / "data", folder / "run"
    write_posts(source)
    after: dict[str, Path] = {}
    measured: dict[tuple[str, int], Measured] = {}
    for stage in STAGES:
        if stage != "plan":
            other = folder / "other"
            shutil.copytree(run, other)
            measured[stage, 3] = measure(Job(stage, 3, source, other))
        measured[stage, 1] = measure(Job(stage, 1, source, run))
        if stage != "plan":
            assert digests(other) == digests(run)
            shutil.rmtree(other)
        after[stage] = folder / f"after-{stage}"
        shutil.copytree(run, after[stage])
    assert len(list((run / "spool").glob("metadata-*.spool"))) > 3
    assert len(list((run / "posts").glob("*.tar"))) > 5
    return World(source, after, measured)


def slots(draw: random.Random) -> Iterator[tuple[str, str, int]]:
    """Ways, stages and numbers of workers without end: each way in turn, at stages and with workers in random order."""
    decks: dict[str, list[tuple[str, int]]] = {way: [] for way in STOPS}
    while True:
        for way in draw.sample(sorted(STOPS), len(STOPS)):
            if not decks[way]:
                pairs = [(stage, workers) for stage in STAGES for workers in (1, 3) if (stage, workers) != ("plan", 3)]
                decks[way] = [pair for pair in pairs if way != "SIGKILL worker" or pair[1] == 3]
                draw.shuffle(decks[way])
            yield (way, *decks[way].pop())


def disturb(
    world: World, draw: random.Random, way: str, stage: str, workers: int, run: Path, variables: Mapping[str, str]
) -> list[str]:
    """Stop a stage once or twice, do it to the end, compare everything; return the ways that struck."""
    before = world.before(stage)
    if before is not None:
        shutil.copytree(before, run, dirs_exist_ok=True)
    job = Job(stage, workers, world.source, run, variables)
    struck = []
    if STOPS[way](draw, job, world.measured[stage, workers]):
        struck.append(way)
        if draw.random() < 0.3:
            again = draw.choice(AGAIN)
            if STOPS[again](draw, job, world.measured[stage, workers]):
                struck.append(again)
    job.finish()
    assert digests(run) == digests(world.after[stage]), (way, stage, workers)
    if temporaries(run):  # of workers that outlived the killed command for a moment
        job.finish()
    assert temporaries(run) == []
    return struck


@pytest.mark.parametrize("locks", ["", *lockless.KINDS])
@pytest.mark.parametrize("part", range(PARTS))
def test_stopped_at_random_moments(world: World, tmp_path: Path, part: int, locks: str) -> None:
    draw = random.Random(f"{part}{locks}" if locks else part)
    variables = lockless.environment(tmp_path / "locks", locks)
    enough = (LOCKLESS_KILLS if locks else KILLS) // PARTS
    struck: Counter[tuple[str, str, int]] = Counter()
    missed: Counter[tuple[str, str, int]] = Counter()
    for number, (way, stage, workers) in enumerate(slots(draw)):
        if struck.total() >= enough:
            break
        assert number < max(4 * enough, 32), f"too few moments were within the work: {struck} {missed}"
        if way == "read error" and tools.where("strace") is None:
            continue
        with small_disk(tmp_path / str(number)) as mounted:
            if way == "no space" and not mounted:
                continue
            ways = disturb(world, draw, way, stage, workers, tmp_path / str(number), variables)
        print(f"{number}: {stage} with {workers}: {way}: {ways or 'missed'}", flush=True)
        struck.update((stage, hit, workers) for hit in ways)
        if not ways:
            missed[stage, way, workers] += 1
    for title, counts in (("struck", struck), ("missed", missed)):
        print(f"{title}: {counts.total()}")
        for (stage, way, workers), count in sorted(counts.items()):
            print(f"  {stage:<9} {way:<15} {workers} workers  {count}")
    assert enough < 50 or {stage for stage, _, _ in struck} == set(STAGES)


@pytest.mark.parametrize(("workers", "locks"), [(1, ""), (3, ""), (3, "missing"), (3, "of one node")])
def test_two_commands_at_once_on_one_folder_do_no_harm(world: World, tmp_path: Path, workers: int, locks: str) -> None:
    """Each stage by two commands at the same time, or one a little later; then `postmill verify` finds nothing."""
    run, draw = tmp_path / "run", random.Random(workers)
    variables = lockless.environment(tmp_path / "locks", locks)
    for stage in STAGES:
        job = Job(stage, workers, world.source, run, variables)
        both = []
        for _ in range(2):
            both.append(job.start())
            time.sleep(draw.choice([0.0, 0.5]))
        for started in both:
            code, said = started.wait(), started.said()
            assert code == 0, said
        assert digests(run) == digests(world.after[stage]), stage
        assert temporaries(run) == []
    checked = subprocess.run([*PROGRAM, "verify", run], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
