"""`--open`: the page goes to the browser, and where there is none it is said where the page lies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample

DESKTOP = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION")


def postmill(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postmill.cli", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name not in DESKTOP}
    return subprocess.run(command, capture_output=True, text=True, env={**environment, **variables})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open of a run")  # with blanks, as folders have
    write_sample(folder / "data", posts=40, influencers=8, seed=3)
    for words in (("plan", folder / "data", folder / "run"), ("ingest", folder / "run")):
        assert postmill(*words).returncode == 0
    return folder / "run"


def browser(folder: Path, code: int = 0) -> tuple[str, Path]:
    """A browser that notes what it is to open."""
    (folder / "browser").write_text(f'#!/bin/sh\nprintf "%s" "$1" > "{folder}/asked"\nexit {code}\n')
    (folder / "browser").chmod(0o755)
    return str(folder / "browser"), folder / "asked"


def test_the_page_is_opened_in_the_browser_that_is_named(run: Path, tmp_path: Path) -> None:
    program, asked = browser(tmp_path)
    done = postmill("report", run, "--open", BROWSER=program)
    page = run / "report" / "index.html"
    assert done.returncode == 0, done.stderr
    assert asked.read_text() == page.as_uri() and page.is_file() and "%20" in page.as_uri()
    assert f"opened: {page.as_uri()}" in done.stdout


def test_a_page_is_not_opened_unasked(run: Path, tmp_path: Path) -> None:
    program, asked = browser(tmp_path)
    assert postmill("report", run, BROWSER=program).returncode == 0
    assert not asked.exists()


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "there is no display"),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}, "another machine than yours"),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_where_nobody_would_see_it_the_address_is_said(run: Path, variables: dict[str, str], why: str) -> None:
    done = postmill("report", run, "--open", **variables)
    address = (run / "report" / "index.html").as_uri()
    assert done.returncode == 0 and why in done.stdout and address in done.stdout


def test_a_browser_that_fails_is_said_and_the_report_stays(run: Path, tmp_path: Path) -> None:
    program, _ = browser(tmp_path, code=1)
    done = postmill("report", run, "--open", BROWSER=program, PATH=str(tmp_path))
    assert done.returncode == 0 and "no browser could be started" in done.stdout


def test_an_answer_and_a_browser_exclude_each_other(run: Path) -> None:
    done = postmill("report", run, "--open", "--json", BROWSER="true")
    assert done.returncode == 2 and "--open and --json" in done.stderr
