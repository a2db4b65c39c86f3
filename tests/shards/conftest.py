"""A whole run to spoil copies of."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from postmill.shards.run import folder as runs
from postmill.shards.run.folder import Run
from tests.runs import new_run
from tests.shards.whole_runs import everything


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "data"
    write_sample(folder, posts=160, influencers=14, seed=3)
    return folder


@pytest.fixture(scope="session")
def pristine(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "run"
    everything(source, folder)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the run made of hard links: a test replaces a file, it never writes into one."""
    return Path(shutil.copytree(pristine, tmp_path / "run", copy_function=os.link))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(runs, "version", lambda _: "0.1.0")
    return new_run(tmp_path / "run")
