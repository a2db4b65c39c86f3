"""A process that brings the parts of a dataset as a download does, and may be killed and started again.

    python -m tests.integration.sources.feeding FROM TO WAY ROOM PART...

Parts come one after the other, in pieces; what has come is noted in `TO.fed`. WAY is how: `own`, under their own names,
going on where it stopped; `part`, likewise under another name; `crdownload`, under another name and from the beginning.
A part is begun only when it leaves no more than ROOM bytes of parts in TO.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

FOLDERS = ("Post_metadata", "Post_images")
_PIECE = 256 << 10
_PAUSE_S = 0.01
WAYS = {"own": "", "part": ".part", "crdownload": ".crdownload"}


def on_disk(data: Path) -> int:
    """Bytes of parts, and of what will be some, that lie there."""
    total = 0
    for path in [path for folder in FOLDERS for path in (data / folder).iterdir()]:
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # renamed, or deleted
            continue
    return total


def feed(source: Path, data: Path, way: str, room: int, parts: Sequence[str]) -> None:
    notes = data.with_name(f"{data.name}.fed")
    fed = set(notes.read_text().splitlines()) if notes.exists() else set()
    for name in parts:
        if name not in fed:
            _bring(source / name, data / name, way, room)
            with notes.open("a") as file:
                file.write(f"{name}\n")


def _bring(part: Path, target: Path, way: str, room: int) -> None:
    size = part.stat().st_size
    coming = target.with_name(target.name + WAYS[way])
    there = coming.stat().st_size if coming.exists() and way != "crdownload" else 0
    while on_disk(target.parent.parent) + size - there > room:
        time.sleep(_PAUSE_S)
    with part.open("rb") as source, coming.open("ab" if there else "wb") as file:
        source.seek(there)
        while piece := source.read(_PIECE):
            file.write(piece)
            file.flush()
            time.sleep(_PAUSE_S)
    if coming != target:
        coming.rename(target)


if __name__ == "__main__":
    feed(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5:])
