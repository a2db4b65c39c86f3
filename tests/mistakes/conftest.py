"""A small dataset and runs of it in three states, made once, and the process that commands are forked from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from tests.commands import postmill
from tests.mistakes.forked import Forks, forks


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``data`` and ``other``, which are datasets, and runs of the first: planned, packed, and trained."""
    folder = tmp_path_factory.mktemp("mistakes")
    write_sample(folder / "data", posts=60, influencers=6, seed=1, part_size=64 << 10)
    write_sample(folder / "other", posts=8, influencers=2, seed=2)
    assert postmill("plan", folder / "data", folder / "planned") == 0
    for name, before in (("packed", "planned"), ("run", "packed")):
        shutil.copytree(folder / before, folder / name)
        if name == "packed":
            assert postmill("ingest", folder / name) == 0
    assert postmill("encode", folder / "run", "--encoder", "metadata", "--models", "light") == 0
    assert postmill("train", folder / "run", "--model", "followers", "--seeds", "1", "--split", "random") == 0
    return folder


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forks(tmp_path_factory.mktemp("streams")) as forked:
        yield forked


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A folder with those of the datasets and runs that words name, linked file by file."""

    def put(words: str) -> Path:
        for name in ("data", "other", "planned", "packed", "run"):
            if name in words:
                shutil.copytree(made / name, tmp_path / name, copy_function=os.link)
        return tmp_path

    return put
