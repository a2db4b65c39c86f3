"""Samples as read back by tools that know nothing of how they were written."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path


def unzipped(target: Path, scratch: Path) -> dict[str, bytes]:
    """The entries of a split zip by name, in its order, joined by Info-ZIP."""
    joined = scratch / target.name
    subprocess.run(["zip", "-q", "-s", "0", target, "--out", joined], check=True)
    with zipfile.ZipFile(joined) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below a folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
