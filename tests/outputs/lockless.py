"""Python's lock functions as they are on file systems without locks, and on those whose locks are of one node."""

from __future__ import annotations

import os
from pathlib import Path

# Read by every Python process that has its folder on the path, worker processes too.
KINDS = {
    "missing": "import fcntl\ndel fcntl.flock, fcntl.lockf\n",
    "of one node": "import fcntl\nfcntl.flock = fcntl.lockf = lambda *arguments: None\n",
}


def environment(folder: Path, kind: str) -> dict[str, str]:
    """Variables of a process without working locks, whose program is put into ``folder``; none for the kind ''."""
    if not kind:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(KINDS[kind])
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{before}" if before else str(folder)}
