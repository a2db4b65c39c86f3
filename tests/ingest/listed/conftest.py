"""A dataset, what an undisturbed run makes of it, and a store that serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from tests.commands import postmill
from tests.ingest.listed.store import Store, tars
from tests.web import serving


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listed") / "data"
    write_sample(folder, posts=60, influencers=5, seed=3, part_size=64 << 10)
    return folder


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The tars of an undisturbed run."""
    run = tmp_path_factory.mktemp("expected") / "run"
    assert postmill("plan", data, run) == 0 and postmill("ingest", run) == 0
    return tars(run)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """All that was printed and logged."""
    caplog.set_level("DEBUG")

    def told() -> str:
        captured = capfd.readouterr()
        return captured.out + captured.err + caplog.text

    return told


@pytest.fixture
def store(data: Path) -> Iterator[Store]:
    made = Store(data)
    with serving(data, made.allows, finds=made.finds) as host:
        made.host = host
        yield made
