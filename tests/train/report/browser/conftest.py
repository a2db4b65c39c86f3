"""Pages in the system's Chromium, without a network, and what a reader's machine may be set to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from postmill.shards.run.folder import Run
from postmill.train.report.compare import write_comparison
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.machine.needs import leave_out_without
from tests.machine.tools import where
from tests.train.report.tone import encode_tone, invented, put

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
DRAWN_IN_MS = 30_000


@dataclass
class Opened:
    """A page that is open, and what the browser had to say of it."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    leave_out_without("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=where("chromium"), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """Open a page; ``width`` in pixels, ``scripts`` whether they run, ``all_open`` whether what is folded is opened."""
    contexts = []

    def open_page(
        path: Path, width: int = 1280, *, scripts: bool = True, all_open: bool = False, **settings: Any
    ) -> Opened:
        viewport: Any = {"width": width, "height": 900}
        context = chromium.new_context(
            viewport=viewport, java_script_enabled=scripts, offline=True, accept_downloads=True, **settings
        )
        contexts.append(context)
        page = context.new_page()
        seen = Opened(page)
        page.on("console", lambda message: seen.console.append(message.text))
        page.on("pageerror", lambda error: seen.console.append(str(error)))
        page.on("request", lambda request: seen.requests.append(request.url))
        page.goto(path.as_uri())
        if scripts:
            if all_open:
                page.evaluate("document.querySelectorAll('details').forEach(folded => { folded.open = true; })")
            page.wait_for_function(
                "[...document.querySelectorAll('figure')].every(of => !of.querySelector('.definition')"
                " || ['live', 'still'].includes(of.dataset.state) || of.closest('details:not([open])'))",
                timeout=DRAWN_IN_MS,
            )
        return seen

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def reported(plant_once: Callable[..., Run]) -> Run:
    """A run of enough accounts for claims, with models that are shown everything and tables of tone, and its page."""
    run = plant_once(
        posts=900,
        accounts=45,
        lost=4,
        text=0.5,
        account=0.7,
        record={
            "category": lambda row: "food & <b>drink</b>" if row % 5 < 2 else "travel",
            "followers": lambda row: 1_000 * (1 + row % 7),
        },
    )
    train_run(run, names=["mean", "followers", "history", "history-boosting", "metadata", "leak", "boosting"], seeds=5)
    encode_tone(run)
    put(run, invented("food & <b>drink</b>"))
    write_report(run)
    return run


@pytest.fixture(scope="session")
def few(plant_once: Callable[..., Run]) -> Run:
    """A run of ten accounts, of which nothing can be claimed, and its page."""
    run = plant_once(posts=97, accounts=10, text=1.0, noise=0.5)
    train_run(run, names=["mean", "followers", "history", "metadata"], seeds=2)
    write_report(run)
    return run


@pytest.fixture(scope="session")
def untrained(plant_once: Callable[..., Run]) -> Run:
    """A run without a model, and its page."""
    run = plant_once(posts=12, accounts=3)
    write_report(run)
    return run


@pytest.fixture(scope="session")
def compared(reported: Run, few: Run) -> Path:
    """The page that sets two runs side by side."""
    return write_comparison(reported, few).path


@pytest.fixture(params=["reported", "few", "untrained", "compared"])
def each(request: pytest.FixtureRequest) -> Path:
    """Each kind of page."""
    made = request.getfixturevalue(request.param)
    path: Path = made if isinstance(made, Path) else made.report / "index.html"
    return path
