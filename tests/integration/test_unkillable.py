"""Commands stopped at random moments and in every way end, resumed, with the bytes of an undisturbed run.

POSTMILL_KILLS says how many times, 16 unless it is set: each takes five seconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration import kills
from tests.integration.kills import STAGES, STOPS, Job, Measured

KILLS = int(os.environ.get("POSTMILL_KILLS", "16"))
PARTS = 2  # of them, which may go on at once
AGAIN = ("SIGKILL", "SIGTERM", "SIGKILL", "SIGINT all")  # while it resumes


@dataclass(frozen=True)
class World:
    """A dataset, the run folder after each stage, and what each stage takes by stage and workers."""

    source: Path
    after: dict[str, Path]
    measured: dict[tuple[str, int], Measured]

    def before(self, stage: str) -> Path | None:
        place = STAGES.index(stage)
        return self.after[STAGES[place - 1]] if place else None


def write_dataset(root: Path) -> None:
    """Posts of which a third are carousels, scattered over archives of several parts; a few are faulty."""
    noise = random.Random(1)
    infos, pictures, rows = {}, {}, []
    for n in range(270):
        images = [f"{n}_{i}.jpg" for i in range(3 if n % 3 == 0 else 1)]
        rows.append(f"ann\t{n}.info\t{images!r}")
        if n % 50 != 7:
            infos[f"ann-{n}.info"] = json.dumps({"shortcode": str(n), "note": noise.randbytes(900).hex()}).encode()
        pictures.update({f"ann-{image}": noise.randbytes(noise.randrange(4000, 16000)) for image in images})
    for folder, archive, files in (("info", "Post_metadata/posts_info.zip", infos),
                                   ("image", "Post_images/posts_image.zip", pictures)):  # fmt: skip
        plain = root.parent / f"plain-{folder}"
        (plain / folder).mkdir(parents=True)
        (root / archive).parent.mkdir(parents=True)
        names = noise.sample(sorted(files), len(files))
        for name in names:
            (plain / folder / name).write_bytes(files[name])
        listed = "".join(f"{folder}/{name}\n" for name in names)
        size = "64k" if folder == "info" else "1m"
        subprocess.run(["zip", "-q", "-s", size, root / archive, "-@"], input=listed, text=True, cwd=plain, check=True)
        shutil.rmtree(plain)
    (root / "JSON-Image_files_mapping.txt").write_text("\n".join(["influencer info images", *rows, ""]))
    (root / "influencers.txt").write_text("Username\tCategory\t#Followers\t#Followees\t#Posts\n=\nann\tfood\t9\t8\t7\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("unkillable")
    source, run = folder / "data", folder / "run"
    write_dataset(source)
    after: dict[str, Path] = {}
    measured: dict[tuple[str, int], Measured] = {}
    for stage in STAGES:
        if stage != "plan":
            other = folder / "other"
            shutil.copytree(run, other)
            measured[stage, 3] = kills.measure(Job(stage, 3, source, other))
        measured[stage, 1] = kills.measure(Job(stage, 1, source, run))
        if stage != "plan":
            assert kills.digests(other) == kills.digests(run)
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
                places = [(stage, workers) for stage in STAGES for workers in (1, 3) if (stage, workers) != ("plan", 3)]
                decks[way] = [place for place in places if way != "SIGKILL worker" or place[1] == 3]
                draw.shuffle(decks[way])
            yield (way, *decks[way].pop())


def disturb(world: World, draw: random.Random, way: str, stage: str, workers: int, run: Path) -> list[str]:
    """Stop a stage once or twice, do it to the end, compare everything; return the ways that struck."""
    before = world.before(stage)
    if before is not None:
        shutil.copytree(before, run, dirs_exist_ok=True)
    job = Job(stage, workers, world.source, run)
    struck = []
    if STOPS[way](draw, job, world.measured[stage, workers]):
        struck.append(way)
        if draw.random() < 0.3:
            again = draw.choice(AGAIN)
            if STOPS[again](draw, job, world.measured[stage, workers]):
                struck.append(again)
    job.finish()
    assert kills.digests(run) == kills.digests(world.after[stage]), (way, stage, workers)
    if kills.temporaries(run):  # of workers that outlived the killed command for a moment
        job.finish()
    assert kills.temporaries(run) == []
    return struck


@pytest.mark.parametrize("part", range(PARTS))
def test_stopped_at_random_moments(world: World, tmp_path: Path, part: int) -> None:
    draw = random.Random(part)
    wanted = KILLS // PARTS
    struck: Counter[tuple[str, str, int]] = Counter()
    missed: Counter[tuple[str, str, int]] = Counter()
    for number, (way, stage, workers) in enumerate(slots(draw)):
        if struck.total() >= wanted:
            break
        assert number < 4 * wanted, f"too few moments were within the work: {struck} {missed}"
        if way == "read error" and shutil.which("strace") is None:
            continue
        with kills.small_disk(tmp_path / str(number)) as mounted:
            if way == "no space" and not mounted:
                continue
            ways = disturb(world, draw, way, stage, workers, tmp_path / str(number))
        print(f"{number}: {stage} with {workers}: {way}: {ways or 'missed'}", flush=True)
        struck.update((stage, each, workers) for each in ways)
        if not ways:
            missed[stage, way, workers] += 1
    for title, counts in (("struck", struck), ("missed", missed)):
        print(f"{title}: {counts.total()}")
        for (stage, way, workers), count in sorted(counts.items()):
            print(f"  {stage:<9} {way:<15} {workers} workers  {count}")
    assert wanted < 50 or {stage for stage, _, _ in struck} == set(STAGES)


@pytest.mark.parametrize("workers", [1, 3])
def test_two_commands_at_once_on_one_folder_do_no_harm(world: World, tmp_path: Path, workers: int) -> None:
    """Each stage by two commands at the same time, or one a little later; then `postmill verify` finds nothing."""
    run, draw = tmp_path / "run", random.Random(workers)
    for stage in STAGES:
        job = Job(stage, workers, world.source, run)
        both = []
        for _ in range(2):
            both.append(job.start())
            time.sleep(draw.choice([0.0, 0.5]))
        for started in both:
            code, said = started.wait(), started.said()
            assert code == 0, said
        assert kills.digests(run) == kills.digests(world.after[stage]), stage
        assert kills.temporaries(run) == []
    checked = subprocess.run([*job.command()[:2], "verify", run], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
