"""How far a piece of work is, at what rate, and for how long still: measured, and in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]

_ENOUGH_S = 0.5  # of work, before a rate is told of it
_PERIODS = (("s", 1), ("min", 60), ("h", 3600))


@dataclass(frozen=True)
class Contents:
    """What the units of a piece of work hold, where that is known: how many of them this call does, and their name."""

    count: int
    unit: str


@dataclass
class Stretch:
    """A piece of work of so many units, of which some are done.

    Attributes:
        label: What it is.
        total: Its units; None where that is not known.
        unit: Their name, in the plural; '' for work that is not counted.
        before: Units that an earlier call did: they show in the count and not in the rate.
        contents: What the units hold, for a rate in posts where the units are shards.
        clock: Returns the time in seconds.
        done: Units that this call has done.
        held: What these held, in ``contents.unit``.
        started: When it began.
    """

    label: str
    total: int | None
    unit: str = ""
    before: int = 0
    contents: Contents | None = None
    clock: Clock = time.monotonic
    done: int = 0
    held: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def advance(self, n: int, held: int = 0) -> None:
        """Count ``n`` units more as done, which hold ``held``."""
        self.done += n
        self.held += held

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do: earlier calls did everything, or there is nothing at all."""
        return self.total is not None and not self.done and self.before >= self.total

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.started

    @property
    def share(self) -> float | None:
        """Which share of all units is done, 0 to 1; None where their number is not known."""
        if not self.total:
            return None
        return min(1.0, (self.before + self.done) / self.total)

    @property
    def left(self) -> float | None:
        """Seconds that the rest takes, at the rate so far; None where nothing was measured yet."""
        if self.total is None or not self.done or self.elapsed < _ENOUGH_S:
            return None
        if self.contents is not None and self.held:
            return self.elapsed * max(0, self.contents.count - self.held) / self.held
        return self.elapsed * max(0, self.total - self.before - self.done) / self.done

    @property
    def count(self) -> str:
        """How many units of how many: ``3 of 8 shards``."""
        done = self.before + self.done
        if self.unit == "bytes":
            return size(done) if self.total is None else f"{size(done)} of {size(self.total)}"
        of = "" if self.total is None else f" of {self.total:,}"
        return f"{done:,}{of} {self.unit}".rstrip()

    @property
    def rate(self) -> str:
        """How much a second, minute or hour, ``31 posts/s``: the first that is one or more; '' where none is known."""
        if not self.done or self.elapsed < _ENOUGH_S:
            return ""
        number, unit = (self.held, self.contents.unit) if self.contents and self.held else (self.done, self.unit)
        per_second = number / self.elapsed
        if unit == "bytes":
            return f"{size(per_second)}/s"
        within, seconds = next(((name, n) for name, n in _PERIODS if per_second * n >= 1), _PERIODS[-1])
        rate = per_second * seconds
        return f"{rate:,.0f} {unit}/{within}" if rate >= 10 else f"{rate:.1f} {unit}/{within}"

    @property
    def remaining(self) -> str:
        """How long it takes still: ``about 5 min left``, or that this is not known yet; '' where it never is."""
        if self.total is None:
            return ""
        return about(self.left)

    def told(self) -> str:
        """Return the line that says how far it is, without the label."""
        share = None if self.share is None or not self.unit else f"{self.share:.0%}".replace("%", " %")
        counted = f"{self.count} ({share})" if share else self.count if self.unit else ""
        return ", ".join(filter(None, (counted, self.rate, duration(self.elapsed), self.remaining)))

    def ended(self, failed: bool = False) -> str:
        """Return the line that says what was done, and in what time, without the label."""
        if self.idle:
            return f"nothing to do, {self.count} done before" if self.before else "nothing to do"
        if not self.unit:
            return f"{'stopped' if failed else 'done'} after {duration(self.elapsed)}"
        rate = f", {self.rate}" if self.rate else ""
        stopped = "stopped at " if failed else ""
        return f"{stopped}{self.count} {'after' if failed else 'in'} {duration(self.elapsed)}{rate}"


def about(seconds: float | None) -> str:
    """Say in words how long something takes still, None: not known yet."""
    return "time left not known yet" if seconds is None else f"about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Write a time in hours and minutes, or in seconds where it is short."""
    if seconds < 0.5:
        return "less than 1 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def size(count: float) -> str:
    """Write a number of bytes for people."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"
