"""`--open`: the page of the report in a browser, or where it lies when none can be opened from here."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from postmill.console.output import out
from postmill.shards.runtime.errors import UsageError

OpenOption = Annotated[bool, typer.Option("--open", help="Open the report's page in the browser.")]


def check(asked: bool, as_json: bool) -> None:
    """Refuse what cannot go together: a browser may print, and an answer is alone on standard output.

    Raises:
        UsageError: Both are asked for.
    """
    if asked and as_json:
        raise UsageError("exclude each other", place="--open and --json", hint="choose one")


def open_page(page: Path) -> None:
    """Open ``page`` in the browser of ``BROWSER``, or the desktop's; where there is none, say where the page lies."""
    address = page.resolve().as_uri()
    why = _why_not()
    if why is None:
        try:
            opened = webbrowser.open(address)
        except webbrowser.Error:
            opened = False
        if opened:
            out.note(f"opened: {escape(address)}")
            return
        why = "no browser could be started"
    out.print(f"not opened, for {why}: {escape(address)}", highlight=False)


def _why_not() -> str | None:
    """Return why nobody would see a browser that is started here; None where somebody may."""
    if os.environ.get("BROWSER"):
        return None
    if os.environ.get("SSH_CONNECTION"):
        return "this is another machine than yours"
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display"
    return None
