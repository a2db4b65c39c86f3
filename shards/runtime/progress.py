"""Progress of long work: a bar on a terminal, a line a minute in a log, nothing in a library call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

LOG_INTERVAL_S = 60.0

Advance = Callable[[int], None]

log = logging.getLogger("postmill")


class Progress(Protocol):
    """How a stage says what it is doing."""

    def track(self, label: str, total: int | None, unit: str = "", before: int = 0) -> AbstractContextManager[Advance]:
        """Open one bar of ``total`` units (None: not known); the block calls what it is given with each increment.

        ``before`` of them were done by an earlier call: they show in the count and not in the rate.
        """

    def note(self, message: str) -> None:
        """Say one line that the user must not miss: a stand-in model, a slower path, something left out."""


class Silent:
    """Progress that says nothing; the default of every library call."""

    @contextmanager
    def track(self, label: str, total: int | None, unit: str = "", before: int = 0) -> Iterator[Advance]:
        """Ignore the increments."""
        yield lambda n: None

    def note(self, message: str) -> None:
        """Hand the line to the log, so that it is not lost."""
        log.info(message)


class Lines:
    """Progress as log lines: at the start, once a minute, and at the end."""

    @contextmanager
    def track(self, label: str, total: int | None, unit: str = "", before: int = 0) -> Iterator[Advance]:
        """Log ``label`` with the count, the rate per second and the time taken."""
        started = last = time.monotonic()
        done = 0

        def say() -> None:
            count = f"{before + done}" + ("" if total is None else f"/{total}")
            rate = f", {done / max(time.monotonic() - started, 1e-9):.1f}/s" if done else ", done before"
            log.info("%s: %s %s%s", label, count, unit, rate if done or before else "")

        def advance(n: int) -> None:
            nonlocal done, last
            done += n
            if time.monotonic() - last >= LOG_INTERVAL_S:
                last = time.monotonic()
                say()

        try:
            yield advance
        finally:  # of work that fails too: how far it came
            say()

    def note(self, message: str) -> None:
        """Log the line."""
        log.info(message)


class Bars:
    """Progress as live bars on a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def track(self, label: str, total: int | None, unit: str = "", before: int = 0) -> Iterator[Advance]:
        """Draw one bar, which stays on the screen when it is full."""
        from rich import progress as rich  # here, for worker processes, which draw nothing, start sooner without it

        columns = (
            rich.TextColumn("{task.description:<28}"),
            rich.BarColumn(),
            rich.MofNCompleteColumn(),
            rich.TextColumn(unit),
            rich.TimeElapsedColumn(),
            rich.TimeRemainingColumn(),
        )
        with rich.Progress(*columns, console=self.console) as bars:
            task = bars.add_task(label, total=total, completed=before)
            yield lambda n: bars.advance(task, n)

    def note(self, message: str) -> None:
        """Print the line above the bars."""
        self.console.print(message, highlight=False)


class Within:
    """Progress of the steps of something that has a bar of its own: their notes, each once, and a line a minute.

    Args:
        outer: Where that bar is.
    """

    def __init__(self, outer: Progress) -> None:
        self._outer = outer
        self._said: set[str] = set()

    @contextmanager
    def track(self, label: str, total: int | None, unit: str = "", before: int = 0) -> Iterator[Advance]:
        """Say ``label`` with the count once a minute, and nothing of what is shorter."""
        last, done = time.monotonic(), before

        def advance(n: int) -> None:
            nonlocal done, last
            done += n
            if time.monotonic() - last >= LOG_INTERVAL_S:
                last = time.monotonic()
                self._outer.note(f"{label}: {done}{'' if total is None else f'/{total}'} {unit}")

        yield advance

    def note(self, message: str) -> None:
        """Hand the line on, unless it was said before."""
        if message not in self._said:
            self._said.add(message)
            self._outer.note(message)


def for_console(console: Console) -> Progress:
    """Return bars where ``console`` is a terminal, log lines where it is a file or a pipe."""
    return Bars(console) if console.is_terminal else Lines()
