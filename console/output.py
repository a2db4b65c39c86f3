"""Where commands print, and how they say how far they are."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from postmill.console import journal, stopping
from postmill.console.display.fitting import WIDE, fitted
from postmill.encode.options import Precision
from postmill.jobs import machine
from postmill.shards.runtime.announce import announced
from postmill.shards.runtime.bars import Bars
from postmill.shards.runtime.devices import Device
from postmill.shards.runtime.interrupt import interruptible
from postmill.shards.runtime.printable import printable
from postmill.shards.runtime.progress import Lines, Progress, Silent, Together, log
from postmill.shards.runtime.ranks import rank
from postmill.shards.state.tasks import WHOLE, Task, from_environment, parse_task

if TYPE_CHECKING:
    from postmill.shards.run.folder import Run


class Terminal(Console):
    """Where commands print: what controls a terminal comes from styles alone, never out of a name or another text.

    A sentence is one line, which a terminal breaks by itself and a pipe not at all. In a file or a pipe a table has the
    width that it takes, and no line ends in blanks.

    Attributes:
        hushed: Whether only results, warnings and errors are told.
        answered: Whether a program that asked with ``--json`` has its answer.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.hushed = self.answered = False
        if not self.is_terminal:
            self.width = WIDE

    def note(self, text: str) -> None:
        """Print what only reassures: nothing of it with ``--quiet``."""
        if not self.hushed:
            self.print(text)

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as rich does, sentences each on one line."""
        if all(isinstance(each, str) for each in objects):
            how.setdefault("soft_wrap", True)
        if self.is_terminal:
            super().print(*objects, **how)
            return
        with self.capture() as captured:
            super().print(*objects, **how)
        self.file.write("\n".join(line.rstrip(" ") for line in captured.get().split("\n")))

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the pieces of ``renderable``, with characters that control a terminal written as their numbers."""
        options = options or self.options
        for part in fitted(renderable, self, options) if isinstance(renderable, Table) else (renderable,):
            for piece in super().render(part, options):
                yield piece if piece.control else Segment(printable(piece.text), piece.style)


out = Terminal(emoji=False)  # a name may hold :smile:
err = Terminal(stderr=True, emoji=False)


class NotesAlone(Silent):
    """Progress of which only what the user must not miss is said.

    Args:
        outer: What says it.
    """

    def __init__(self, outer: Progress) -> None:
        self._outer = outer

    def note(self, message: str) -> None:
        """Say it."""
        self._outer.note(message)


@contextmanager
def progress(doing: str = "", run: Path | None = None) -> Iterator[Progress]:
    """Show progress on standard error, and let signals end the work in order, each answered at once.

    Args:
        doing: What is said first, before anything is loaded that takes time, the command's name first; '' for nothing.
            With ``--quiet`` only what must not be missed is said.
        run: The run folder that the work is kept a log of, where no scheduler keeps one; None for none.
    """
    bars = Bars(err) if err.is_terminal else None
    lines = Lines(log if bars is None else _unseen())
    shown = lines if bars is None else Together(bars, lines)

    def say(number: signal.Signals) -> None:
        shown.note(stopping.words(number, lines.course.in_hand, err.is_terminal))

    def last() -> None:
        stopping.last_words(err.is_terminal)
        journal.end_at_once(kept)

    # What the log itself is told stands in it too: that there are no locks, that a file cannot be written.
    loggers = [log] if bars is None else [log, _unseen()]
    called = log.isEnabledFor(logging.INFO)  # as a program: within another one, it is for that to keep what is said
    with (
        interruptible(),
        journal.kept(run if called and not machine.in_a_job() else None, doing.partition(" ")[0], *loggers) as kept,
        interruptible(),
        announced(say, last),
    ):
        if doing and not out.hushed:
            shown.note(doing)
        yield NotesAlone(shown) if out.hushed else shown


def _unseen() -> logging.Logger:
    """Return the log of what a terminal shows in bars."""
    unseen = logging.getLogger("postmill.unseen")
    unseen.propagate = False
    unseen.setLevel(logging.INFO)
    return unseen


def share_of(task: str | None) -> Task:
    """Return the share of ``--task``, or the scheduler's.

    Raises:
        UsageError: It makes no sense.
    """
    return parse_task(task) if task is not None else from_environment()


@contextmanager
def attempt(
    shown: Progress,
    run: Run,
    stage: str,
    task: str | None,
    share: Task,
    workers: int | None = None,
    device: Device | None = None,
    precision: Precision = Precision.AUTO,
) -> Iterator[None]:
    """Let a task of an array or a job say what it was given, and write its attempt down.

    Args:
        shown: Told.
        run: The run.
        stage: The stage's name in the records.
        task: What ``--task`` said.
        share: The share that this is.
        workers: Processes that will work at once.
        device: Where models will run; None where there are none.
        precision: As for `postmill encode`.
    """
    if task is None and not machine.in_a_job() and share == WHOLE:
        yield
        return
    from postmill.shards.state import attempts

    with attempts.recorded(run, stage, share, machine.facts()), interruptible():  # so that the code is the one of both
        if task is None and (among := rank()) is not None:
            shown.note(
                f"process {among.index} of the {among.count} of this step: share {share.index}/{share.count}; where "
                "one process is to do all, give --task 0/1"
            )
        machine.announce(shown, workers, device, precision)
        yield


def did(done: int, skipped: int, waiting: int = 0) -> str:
    """Say in words what was done and what had been done before, where ``waiting`` more are not done."""
    if not done and waiting:
        return f"nothing that can be done yet, {skipped:,} done before"
    if not done:
        return f"nothing to do, all {skipped:,} done before" if skipped else "nothing to do"
    return f"{done:,} done" + (f", {skipped:,} done before" if skipped else "")
