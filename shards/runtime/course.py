"""The course of a command: its steps, which may have steps of their own, and the work in hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from postmill.shards.runtime.pace import Clock, Contents, Stretch, about

Begin = Callable[[str], None]
"""Says which of the steps begins, and so that the one before has ended."""


@dataclass
class Level:
    """Steps that follow each other.

    Attributes:
        names: Of all of them, in their order.
        alike: Whether they do the same kind of thing, so that the time of one tells something of the next.
        index: Which is in hand; -1 before the first.
        began: When it began.
        worked: Whether anything was to do in it.
        took: Seconds of those before in which something was to do.
        skipped: How many of those before had nothing to do.
    """

    names: Sequence[str]
    alike: bool
    index: int = -1
    began: float = 0.0
    worked: bool = False
    took: list[float] = field(default_factory=list)
    skipped: int = 0

    @property
    def place(self) -> str:
        """Which step of how many: ``step 3 of 5: encode``."""
        return f"step {self.index + 1} of {len(self.names)}: {self.names[self.index]}"

    def end(self, now: float) -> None:
        """Count the step in hand as ended."""
        if self.index >= 0 and self.worked:
            self.took.append(now - self.began)
        elif self.index >= 0:
            self.skipped += 1


class Course:
    """What a command is doing: levels of steps, and the stretches of work that are open, the outermost first.

    Args:
        clock: Returns the time in seconds.
        on_step: Told when a step of the outermost level begins, and when it ends: the level, whether it is the end,
            and the seconds that it took.
    """

    def __init__(
        self, clock: Clock = time.monotonic, on_step: Callable[[Level, bool, float], None] | None = None
    ) -> None:
        self.clock = clock
        self.levels: list[Level] = []
        self.stretches: list[Stretch] = []
        self._on_step = on_step

    @contextmanager
    def steps(self, names: Sequence[str], alike: bool) -> Iterator[Begin]:
        """Open a level of steps."""
        level = Level(tuple(names), alike)

        def begin(name: str) -> None:
            self._end(level)
            level.index, level.began, level.worked = level.names.index(name), self.clock(), False
            self._tell(level, False)

        self.levels.append(level)
        try:
            yield begin
            self._end(level)
        finally:
            self.levels.remove(level)

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Stretch]:
        """Open a stretch of work."""
        stretch = Stretch(label, total, unit, before, contents, self.clock)
        if not stretch.idle and stretch.unit:
            for level in self.levels:
                level.worked = True
        self.stretches.append(stretch)
        try:
            yield stretch
        finally:
            self.stretches.remove(stretch)

    def overall(self, comma: str = ", ") -> str:
        """Return one line about all steps: which it is, its share, the time left; '' where there is but one."""
        level = next((level for level in self.levels if len(level.names) > 1 and level.index >= 0), None)
        if level is None:
            return ""
        share, left = self._measured(self.levels.index(level))
        later = level.names[level.index + 1 :]
        told = [level.place]
        if share is not None:
            told.append(f"{100 * share:.0f} %" + (" of all" if level.alike else ""))
        told.append(about(left))
        line = comma.join(told)
        return line if level.alike or not later else f"{line}, then {', '.join(later)}"

    @property
    def in_hand(self) -> Stretch | None:
        """The outermost work that is counted, or else any; None where there is none."""
        opened = list(self.stretches)
        return next((stretch for stretch in opened if stretch.unit), opened[0] if opened else None)

    def _measured(self, number: int) -> tuple[float | None, float | None]:
        """Return the share of a level that is done, and the seconds left; of steps that differ, of the one in hand."""
        level = self.levels[number]
        if number + 1 < len(self.levels):
            share, left = self._measured(number + 1)
        else:
            work = self.in_hand if level.alike else None
            share, left = (None, None) if work is None else (work.share if work.unit else None, work.left)
        if not level.alike:
            return share, left
        steps = len(level.names) - level.skipped
        done = len(level.took) + (share or 0.0)
        overall = None if steps <= 0 else min(1.0, done / steps)
        later = len(level.names) - level.index - 1
        if not later:
            return overall, left
        spent = [*level.took] if left is None else [*level.took, self.clock() - level.began + left]
        if not spent:
            return overall, None
        mean = sum(spent) / len(spent)
        rest = max(0.0, mean - (self.clock() - level.began)) if left is None else left
        return overall, rest + later * mean

    def _end(self, level: Level) -> None:
        if level.index >= 0:
            self._tell(level, True)
            level.end(self.clock())

    def _tell(self, level: Level, ended: bool) -> None:
        if self._on_step is not None and self.levels[0] is level and len(level.names) > 1:
            self._on_step(level, ended, self.clock() - level.began)
