"""What comes before all else: which systems postmill runs on, told before anything is loaded that another has not."""

from __future__ import annotations

import sys

_WINDOWS = """error: postmill: does not run on Windows itself, which lacks the file locks and signals that it works with
  next:  install it in WSL (wsl --install), or use the container: docs/install.md
"""


def prepare() -> None:
    """End the process in words on Windows; elsewhere, mind signals from now on."""
    if sys.platform == "win32":
        sys.stderr.write(_WINDOWS)
        sys.exit(2)
    from postmill.shards.runtime import interrupt

    interrupt.end_at_once()
