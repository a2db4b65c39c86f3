"""A mistake that people make, and what is done to make it: :mod:`.words` and :mod:`.files` list them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

IMAGES, METADATA = "data/Post_images", "data/Post_metadata"
LIGHT = "--encoder metadata --models light"


@dataclass(frozen=True)
class Mistake:
    """A mistake.

    Attributes:
        row: Its number.
        typed: What is typed, after `postmill`.
        code: The exit code.
        says: Words of the first line and of the next step, in their order; of standard output where the code is 0.
        make: What was done before, in the folder one is in.
        pasted: The exit code of the command that is named as the next step; None where none is named.
        holds: Whether nothing in the folder is other than before.
    """

    row: int
    typed: str
    code: int
    says: tuple[str, ...]
    make: Callable[[Path], object] = lambda folder: None
    pasted: int | None = None
    holds: bool = True

    @property
    def id(self) -> str:
        """How the test of it is called."""
        return f"{self.row}: {self.typed}"


def without(*names: str) -> Callable[[Path], None]:
    """Remove files, by patterns."""

    def make(folder: Path) -> None:
        for name in names:
            found = list(folder.glob(name))
            assert found, name
            for path in found:
                path.unlink()

    return make


def put(name: str, content: bytes) -> Callable[[Path], None]:
    """Put a file where another may be, which is a link to what other tests use."""

    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content)

    return make


def alone(name: str, content: bytes) -> Callable[[Path], None]:
    """Put a file into its folder, with nothing beside it."""

    def make(folder: Path) -> None:
        shutil.rmtree((folder / name).parent)
        put(name, content)(folder)

    return make


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Give a file other content."""
    return lambda folder: put(name, change((folder / name).read_bytes()))(folder)


def closed(name: str, mode: int = 0) -> Callable[[Path], None]:
    """Take away the rights to a file or folder: of a copy, for the file itself may be linked to from elsewhere."""

    def make(folder: Path) -> None:
        path = folder / name
        if path.is_file():
            put(name, path.read_bytes())(folder)
        path.chmod(mode)

    return make


def folder(name: str) -> Callable[[Path], None]:
    """Make an empty folder."""
    return lambda root: (root / name).mkdir()


def moved(name: str, to: str) -> Callable[[Path], None]:
    """Give something another name."""
    return lambda root: os.rename(root / name, root / to)  # noqa: PTH104
