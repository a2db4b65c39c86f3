"""Where the program begins: signals are minded before anything is loaded that takes time."""

from __future__ import annotations

from postmill.console.system import prepare


def main() -> None:
    """Run the command line. Ends the process."""
    prepare()
    from postmill.cli import app
    from postmill.console.errors import run_app

    run_app(app)
