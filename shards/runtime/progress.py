"""Progress of long work, as stages tell it: nothing of it in a library call, log lines by the clock in a log."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from postmill.shards.runtime.course import Begin, Course, Level
from postmill.shards.runtime.pace import Contents, Stretch, duration
from postmill.shards.runtime.ticking import ticking

LOG_INTERVAL_S = 60.0
WORTH_A_LINE_S = 2.0
"""What is not counted and took less has ended without a word."""

log = logging.getLogger("postmill")


class Advance(Protocol):
    """What counts units as done."""

    def __call__(self, n: int, held: int = 0, /) -> None:
        """Count ``n`` more, which hold ``held`` of what :class:`.pace.Contents` names."""


class Progress(Protocol):
    """How a stage says what it is doing."""

    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> AbstractContextManager[Advance]:
        """Open one bar of ``total`` units (None: not known); the block calls what it is given with each increment.

        Without a ``unit`` nothing is counted: something takes long, such as loading a model. ``before`` of the units
        were done by an earlier call: they show in the count and not in the rate. ``contents`` is what the others hold.
        """

    def note(self, message: str) -> None:
        """Say one line that the user must not miss: a stand-in model, a slower path, something left out."""

    def steps(self, names: Sequence[str], alike: bool = True) -> AbstractContextManager[Begin]:
        """Say which steps follow; the block calls what it is given with the name of each as it begins.

        ``alike`` steps do the same kind of thing, so that from the time that some took that of the others is estimated.
        """


class Silent:
    """Progress that says nothing; the default of every library call."""

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        """Ignore the increments."""
        yield lambda n, held=0: None

    def note(self, message: str) -> None:
        """Hand the line to the log, so that it is not lost."""
        log.info(message)

    @contextmanager
    def steps(self, names: Sequence[str], alike: bool = True) -> Iterator[Begin]:
        """Ignore the steps."""
        yield lambda name: None


class Lines:
    """Progress as log lines: at the start, once a minute by the clock, and at the end.

    Args:
        to: The log.
        interval: Seconds between the lines in between.
    """

    def __init__(self, to: logging.Logger = log, interval: float = LOG_INTERVAL_S) -> None:
        self._log = to
        self._interval = interval
        self.course = Course(on_step=self._step)

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        """Log ``label`` with the count, the rate, the time and the time left; the time taken at the end."""
        with self._by_the_clock(), self.course.track(label, total, unit, before, contents) as stretch:
            if not stretch.idle:
                self._log.info("%s: %s", label, "begins" if total is None else stretch.count)
            failed = True
            try:
                yield stretch.advance
                failed = False
            finally:  # of work that fails too: how far it came
                if unit or failed or stretch.elapsed >= WORTH_A_LINE_S:
                    self._log.info("%s: %s", label, stretch.ended(failed))

    def note(self, message: str) -> None:
        """Log the line."""
        self._log.info(message)

    @contextmanager
    def steps(self, names: Sequence[str], alike: bool = True) -> Iterator[Begin]:
        """Log each step as it begins and ends, and once a minute which it is."""
        with self._by_the_clock(), self.course.steps(names, alike) as begin:
            yield begin

    @contextmanager
    def _by_the_clock(self) -> Iterator[None]:
        """Say how far the work is every minute while the block lasts, unless a block around it does."""
        with ExitStack() as stack:
            if not self.course.levels and not self.course.stretches:
                stack.enter_context(ticking(self._interval, self._tick))
            yield

    def _tick(self) -> None:
        work, overall = self.course.in_hand, self.course.overall()
        told = [] if work is None else [f"{work.label}: {work.told()}"]
        if line := "; ".join(filter(None, [*told, overall])):
            self._log.info("%s", line)

    def _step(self, level: Level, ended: bool, seconds: float) -> None:
        self._log.info("%s%s", level.place, f": done in {duration(seconds)}" if ended else "")


class Together:
    """Progress that is told in two ways at once, as on a terminal and in a file."""

    def __init__(self, first: Progress, second: Progress) -> None:
        self._both = (first, second)

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        """Tell both."""
        first, second = self._both
        work = (label, total, unit, before, contents)
        with first.track(*work) as one, second.track(*work) as other:

            def advance(n: int, held: int = 0) -> None:
                one(n, held)
                other(n, held)

            yield advance

    def note(self, message: str) -> None:
        """Tell both."""
        for progress in self._both:
            progress.note(message)

    @contextmanager
    def steps(self, names: Sequence[str], alike: bool = True) -> Iterator[Begin]:
        """Tell both."""
        first, second = self._both
        with first.steps(names, alike) as one, second.steps(names, alike) as other:

            def begin(name: str) -> None:
                one(name)
                other(name)

            yield begin


class Once:
    """Progress that says a line once, however often it is told it, as by a model that is loaded twice.

    Args:
        outer: Told everything else.
    """

    def __init__(self, outer: Progress) -> None:
        self._outer = outer
        self._said: set[str] = set()

    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> AbstractContextManager[Advance]:
        """Hand it on."""
        return self._outer.track(label, total, unit, before, contents)

    def note(self, message: str) -> None:
        """Hand the line on, unless it was said before."""
        if message not in self._said:
            self._said.add(message)
            self._outer.note(message)

    def steps(self, names: Sequence[str], alike: bool = True) -> AbstractContextManager[Begin]:
        """Hand them on."""
        return self._outer.steps(names, alike)


class Within(Once):
    """Progress of the steps of something that has a bar of its own: their notes, each once, and a line a minute.

    Args:
        outer: Where that bar is.
        interval: Seconds between the lines.
    """

    def __init__(self, outer: Progress, interval: float = LOG_INTERVAL_S) -> None:
        super().__init__(outer)
        self._interval = interval

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        """Say ``label`` with the count, the rate and the time once a minute, and nothing of what is shorter."""
        stretch = Stretch(label, total, unit, before, contents)
        with ticking(self._interval, lambda: self._outer.note(f"{label}: {stretch.told()}")):
            yield stretch.advance

    @contextmanager
    def steps(self, names: Sequence[str], alike: bool = True) -> Iterator[Begin]:
        """Ignore them: they come again and again."""
        yield lambda name: None
