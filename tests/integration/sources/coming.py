"""Datasets of which parts are still to come: what must be there first, what comes later, and in which order."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from postmill.shards.runtime.errors import PostmillError
from tests.commands import postmill
from tests.integration.jobs import digests
from tests.integration.sources.feeding import FOLDERS

_STATED = ("run.json", "plan/plan.json")  # what says of a part whether its length was known


def begun(source: Path, folder: Path, shard_size: int = 1) -> tuple[Path, Path, list[Path]]:
    """A place in `folder` with what of a dataset must be there first, a run planned on that, and the parts to come."""
    data, run = folder / "data", folder / "run"
    data.mkdir()
    later = []
    for path in sorted(source.rglob("*")):
        if path.parent.name in FOLDERS and path.suffix != ".zip":
            later.append(path)
        elif path.is_file():
            arrive(source, data, path)
    words = ("plan", data, run, "--shard-size", shard_size, "--await-parts")
    try:
        assert postmill(*words) == 0
    except PostmillError as error:  # the directory may begin before the last part: those parts are named
        first = [part for part in later if part.name in str(error)]
        assert first and not run.exists()
        for part in first:
            arrive(source, data, part)
            later.remove(part)
        assert postmill(*words) == 0
    return data, run, later


def arrive(source: Path, data: Path, file: Path) -> None:
    target = data / file.relative_to(source)
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(file, target)


def made(run: Path) -> dict[str, str]:
    """The SHA-256 of every file of a run, but for those that depend on which parts were there first."""
    return {name: digest for name, digest in digests(run).items() if name not in _STATED}


def in_order(parts: list[Path]) -> list[Path]:
    return sorted(parts, key=lambda path: (path.parent.name == "Post_images", path.name))


def pictures_first(parts: list[Path]) -> list[Path]:
    """Nothing can be done with them before the metadata is there."""
    return sorted(parts, key=lambda path: (path.parent.name == "Post_metadata", path.name))


def shuffled(parts: list[Path]) -> list[Path]:
    return random.Random(3).sample(parts, len(parts))
