"""What is said when a signal asks the work to stop: what is dropped, what stays, and what a second one would do."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from postmill.shards.runtime.pace import Stretch

_OF_WORK = {
    "ingest": "the {} in hand is dropped, what is done stays",
    "encode": "the {} in hand is dropped, what is done stays",
    "lean": "the {} in hand is dropped, what is done stays",
    "train": "of the {} in hand what was set aside is kept, what is done stays",
    "plan": "the plan is made anew by the next call",
    "insights": "the tables are made anew by the next call",
    "report": "the page is made anew by the next call",
}
_ANY = "what is in hand is dropped, what is done stays"
_AGAIN = "press Ctrl-C again to end at once"
_CLEARED = b"\r\x1b[2K\x1b[?25h"  # the line of a bar is erased, and the cursor, which bars hide, is shown again


def words(number: signal.Signals, work: Stretch | None, at_terminal: bool) -> str:
    """Return the line that answers signal ``number`` while ``work`` is in hand."""
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    stage = "" if work is None or not work.unit else work.label.partition(":")[0].partition(" ")[0]
    one = "" if work is None else work.unit.removesuffix("s")
    again = f"; {_AGAIN}" if at_terminal or number == signal.SIGINT else ""
    return f"{name}: stopping; {_OF_WORK.get(stage, _ANY).format(one)}{again}"


def last_words(at_terminal: bool) -> None:
    """Say that the process ends at once; takes no lock, for whoever holds it may be what is waited for."""
    text = b"error: stopped by a second Ctrl-C\n  next:  what was finished is kept: the same command carries on\n"
    with suppress(OSError):  # standard error is closed, or full
        os.write(2, (_CLEARED if at_terminal else b"") + text)
