"""One wrong bit in any file of a run, between any two stages: a message that names the file, or the true result.

Each trial flips a random bit of a random file between two stages and goes on. A command may only stop with a message
that names the file, after which what it prints is done, or make what it would have made without. POSTMILL_FLIPS says
how often; POSTMILL_FLIPS=300 is what a release is tried with.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from postmill.encode.stage import encode_run
from postmill.ingest.pack.stages import ingest
from postmill.ingest.plan.make import make_plan
from postmill.ingest.sample.write import write_sample
from postmill.ingest.source.layout import discover
from postmill.shards.formats.choices import Stage
from postmill.shards.run import folder as runs
from postmill.shards.run import secret
from postmill.shards.run.options import Options
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.state.verify import verify
from postmill.train.predict import predict
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.runs import plant_secret

FLIPS = int(os.environ.get("POSTMILL_FLIPS", "24"))
COMMANDS = {"plan": (0,), "ingest": (1, 2, 3), "encode": (4,), "train": (5,), "report": (6,), "predict": (7,)}
Step = Callable[[Path, Path], object]


def staged(stage: Stage) -> Step:
    return lambda _, folder: list(ingest(runs.open_run(folder), [stage]))


STEPS: tuple[Step, ...] = (
    lambda source, folder: make_plan(discover(str(source)), folder, Options(shard_bytes=1 << 17)),
    *map(staged, Stage),
    lambda _, folder: encode_run(
        runs.open_run(folder), encoders=["metadata", "sentiment"], models="light", device="cpu", workers=1
    ),
    lambda _, folder: train_run(runs.open_run(folder), names=["metadata"], seeds=1, split_names=["random"]),
    lambda _, folder: write_report(runs.open_run(folder)),
    lambda _, folder: (folder.parent / "predicted").write_bytes(
        repr(predict(runs.open_run(folder), "metadata", folder).to_pylist()).encode()
    ),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flips") / "data"
    write_sample(folder, posts=90, influencers=12, seed=5)
    return folder


@pytest.fixture(scope="module")
def states(source: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folder that holds the run as it is after each step."""
    made: list[Path] = []
    for step in STEPS:
        base = tmp_path_factory.mktemp("state")
        if made:
            linked(made[-1], base)
        else:
            plant_secret(base / "run")
        step(source, base / "run")
        made.append(base)
    return made


def linked(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.link, dirs_exist_ok=True)


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and "logs" not in path.parts]


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files(folder)}


def kind(path: Path) -> str:
    return re.sub(r"\d+", "N", f"{path.parent.name}/{path.name}")


def remove(remedy: str) -> None:
    """Do the part of a printed remedy that deletes."""
    for words in re.findall(r"rm -f -- ([^;]+);", remedy):
        for name in shlex.split(words):
            Path(name).unlink(missing_ok=True)


def steps_of(remedy: str) -> list[int]:
    return sorted({step for word in re.findall(r"postmill (\w+)", remedy) for step in COMMANDS.get(word, ())})


def test_no_wrong_bit_ends_in_another_result(source: Path, states: list[Path], tmp_path: Path) -> None:
    true = digests(states[-1])
    stopped: Counter[str] = Counter()
    draw = random.Random(18)
    for trial in range(FLIPS):
        done = draw.randrange(len(STEPS) - 1)
        folder = tmp_path / str(trial)
        linked(states[done], folder)
        by_kind: dict[str, list[Path]] = {}
        for path in files(folder / "run"):
            if path.name == secret.FILE:  # another bit of it makes another secret, as good as the first
                continue
            by_kind.setdefault(kind(path), []).append(path)
        path = draw.choice(by_kind[draw.choice(sorted(by_kind))])
        content = bytearray(path.read_bytes())
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        path.unlink()
        path.write_bytes(content)
        name = str(path.relative_to(folder))
        said = f"trial {trial}: {name}, byte {place}, after step {done}"
        todo = list(range(done + 1, len(STEPS)))
        mended = False
        for _ in range(8):
            try:
                for step in todo:
                    STEPS[step](source, folder / "run")
                break
            except PostmillError as error:
                told = f"{error.place} {error.cause} {error.hint}"
                assert path.name.partition(".")[0] in told, f"{said}: {told}"  # the file, or its unit
                assert error.hint is not None, f"{said}: {told}"
                remedies = [error.hint]
                if "postmill verify" in error.hint:
                    remedies = [each.remedy for each in verify(runs.open_run(folder / "run"))]
                for remedy in remedies:
                    remove(remedy)
                stopped[kind(path)] += 1
                mended = True
                todo = sorted({*steps_of(" ".join(remedies)), *range(done + 1, len(STEPS))})
        else:
            pytest.fail(f"{said}: not mended by what is printed")
        now = digests(folder)
        if mended:
            assert now == true, f"{said}: {sorted(key for key in true | now if true.get(key) != now.get(key))}"
            continue
        made = {key for key in true if key not in digests(states[done])}
        assert {key: now.get(key) for key in made} == {key: true[key] for key in made}, said
        if now != true:  # nothing read it: verify names it, and nothing else, and its remedy mends it
            found = list(verify(runs.open_run(folder / "run")))
            assert {str(each.path.relative_to(folder)) for each in found} <= {name}, f"{said}: {found}"
            for each in found:
                remove(each.remedy)
                for step in steps_of(each.remedy):
                    STEPS[step](source, folder / "run")
            assert digests(folder) == true, said
        shutil.rmtree(folder)
    assert len(stopped) >= min(4, FLIPS // 6)  # it did strike what is read
