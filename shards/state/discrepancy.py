"""One thing that is wrong with a run, or not done yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from postmill.shards.runtime.errors import PostmillError


@dataclass(frozen=True)
class Discrepancy:
    """One thing that is wrong.

    Attributes:
        path: The file, or the folder where it is about several.
        what: What is wrong with it.
        remedy: What to do about it: a command, or words.
        unfinished: Whether it is not wrong, but not done yet.
    """

    path: Path
    what: str
    remedy: str
    unfinished: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def unreadable(path: Path, error: PostmillError) -> Discrepancy:
    """Return what is said of a file or a folder that is there and cannot be read; never that it should be deleted."""
    return Discrepancy(path, error.cause, (error.hint or "").partition(", then run")[0])
