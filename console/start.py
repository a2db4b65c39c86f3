"""Where the program begins: signals are minded before anything is loaded that takes time."""

from __future__ import annotations

import os

from postmill.console.system import prepare

_COMPLETING = "_POSTMILL_COMPLETE"
"""Set by a shell that asks what may be typed next."""

_WIDEST = "1000"


def main() -> None:
    """Run the command line. Ends the process."""
    prepare()
    if _COMPLETING in os.environ:
        # What a word means is offered on its line: typer breaks longer texts, and the rest would be taken for words.
        os.environ["TERMINAL_WIDTH"] = _WIDEST
    from postmill.cli import app
    from postmill.console.errors import run_app

    run_app(app)
