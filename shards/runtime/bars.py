"""Progress as live lines on a terminal: the step, and a bar for the work in hand, at any width."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from postmill.shards.runtime.course import Begin, Course
from postmill.shards.runtime.pace import Contents, Stretch, duration
from postmill.shards.runtime.progress import WORTH_A_LINE_S, Advance

_LEAST_BAR, _MOST_BAR = 8, 40  # columns
_LEAST_LABEL, _MOST_LABEL = 9, 26  # of which something else is left out rather than the end of the label
_REFRESHES = 5  # a second
_SPINNER = "|/-\\"


class Bars:
    """Progress as live lines on a terminal; of each piece of work one stays on the screen when it has ended.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.course = Course()

    @contextmanager
    def track(
        self, label: str, total: int | None, unit: str = "", before: int = 0, contents: Contents | None = None
    ) -> Iterator[Advance]:
        """Draw one bar, and leave a line of what was done; nothing where nothing is to do."""
        with ExitStack() as stack:
            outermost = not self.course.stretches
            stretch = stack.enter_context(self.course.track(label, total, unit, before, contents))
            if outermost and not stretch.idle:
                stack.enter_context(
                    Live(
                        get_renderable=lambda: self,
                        console=self.console,
                        refresh_per_second=_REFRESHES,
                        transient=True,
                        # What is printed meanwhile goes above the bar, unless it goes somewhere else than here.
                        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
                    )
                )
            failed = True
            try:
                yield stretch.advance
                failed = False
            finally:
                if (unit and not stretch.idle) or stretch.elapsed >= WORTH_A_LINE_S:
                    self.console.print(f"{label}: {stretch.ended(failed)}", markup=False, highlight=False)

    def note(self, message: str) -> None:
        """Print the line above the bars."""
        self.console.print(message, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def steps(self, names: Sequence[str], alike: bool = True) -> Iterator[Begin]:
        """Show above the bar which step it is."""
        with self.course.steps(names, alike) as begin:
            yield begin

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines: none is wider than the terminal."""
        plain = options.ascii_only or options.legacy_windows
        if overall := self.course.overall(", " if plain else " — "):
            yield Text(_cut(overall, options.max_width), style="bold", no_wrap=True, end="\n")
        for stretch in list(self.course.stretches):
            yield bar_line(stretch, options.max_width, plain)


def bar_line(stretch: Stretch, width: int, plain: bool = False) -> Text:
    """Return the line of ``stretch``, at most ``width`` columns wide: what matters least is left out first.

    Args:
        stretch: The work.
        width: Columns of the terminal.
        plain: Whether only ASCII can be shown.
    """
    clock, left = duration(stretch.elapsed), stretch.remaining
    share = "" if stretch.share is None or not stretch.unit else f"{100 * stretch.share:.0f} %"
    waits = "" if share else _SPINNER[int(stretch.elapsed * 4) % len(_SPINNER)]
    count = stretch.count if stretch.unit else ""
    time = f"{clock}, {left}" if left else clock
    # From all to the least: the share and the time left stay to the last, the label is cut.
    for parts in (
        (share or waits, count, stretch.rate, time),
        (share or waits, count, time),
        (share or waits, count, left or clock),
        (share or waits, left if stretch.left is not None else clock),
        (share or waits,),
    ):
        told = "  ".join(filter(None, parts))
        room = width - len(told) - 2
        if room >= min(len(stretch.label), max(_LEAST_LABEL, width // 4), _MOST_LABEL):
            break
    label = _cut(stretch.label, max(room, 0))
    line = Text(label, no_wrap=True, end="\n")
    spare = room - len(label) - 2
    if share and spare >= _LEAST_BAR:
        size = min(spare, _MOST_BAR)
        full = round(size * (stretch.share or 0.0))
        mark = "=" if plain else "━"
        line.append("  ").append(mark * full, style="green").append(
            (" " if plain else "─") * (size - full), style="dim"
        )
    return line.append("  ").append(told[: max(width - 2, 0)])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 2, 0)] + ".."[: max(width, 0)]
