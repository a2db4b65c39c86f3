"""Parts that nothing needs any more: every piece that reads them is done, and what it made is whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postmill.ingest.pack.mend import waiting
from postmill.ingest.source.pinning import directory_start, open_archive, part_paths
from postmill.ingest.zipformat.parts import there
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.formats.units import Piece, pieces
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Progress

_STAGES = {METADATA: Stage.METADATA, IMAGES: Stage.WINDOWS}


@dataclass(frozen=True)
class SparePart:
    """A part, a file of this machine, of which the run has all that it needs: its archive, name, path and bytes."""

    archive: int
    name: str
    path: Path
    bytes: int


def spare_parts(run: Run, progress: Progress) -> list[SparePart]:
    """Return the parts that nothing in ``run`` needs any more.

    What was made of a part is read and compared with its manifest first. A part stays where posts wait for other bytes
    of it, where it holds the directory, without which the dataset could not be planned again, and where it is a link.

    Raises:
        PostmillError: A file of the run, or a part, cannot be read.
    """
    waited_for = waiting(run).parts
    whole: dict[int, bool] = {}  # of the pieces of one archive, by number
    spare: list[SparePart] = []
    for archive in (METADATA, IMAGES):
        paths = part_paths(run, archive)
        pinned = (run.sources.metadata, run.sources.images)[archive]
        if pinned.files is not None or all(map(is_url, paths)):
            continue
        candidates = [
            (number, Path(path), size)
            for number, path in enumerate(paths[: _first_kept(run, archive)])
            if not is_url(path) and pinned.parts[number][0] not in waited_for and (size := _length(Path(path)))
        ]
        if not candidates:
            continue
        whole.clear()
        readers = list(pieces(run, _STAGES[archive]))
        with progress.track("evict: what was made of parts", len(candidates), "parts") as advance:
            for number, path, size in candidates:
                theirs = [piece for piece in readers if piece.first_part <= number <= piece.part]
                if all(_is_whole(run, piece, whole) for piece in theirs):
                    spare.append(SparePart(archive, pinned.parts[number][0], path, size))
                advance(1)
    return spare


def evict(parts: list[SparePart]) -> Iterator[SparePart]:
    """Delete ``parts``, and yield each when it is gone.

    Raises:
        PostmillError: One cannot be deleted.
    """
    for part in parts:
        try:
            part.path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise PostmillError(
                f"cannot be deleted: {error.strerror}", place=part.path, hint="check who owns its folder"
            ) from error
        yield part


def _first_kept(run: Run, archive: int) -> int:
    """Return the number of the first part that stays: the one in which the directory begins."""
    pinned = (run.sources.metadata, run.sources.images)[archive]
    awaited = [number for number, (_, size) in enumerate(pinned.parts) if size is None]
    last = len(pinned.parts) - 1
    if awaited:
        return min(awaited[-1] + 1, last)
    if there(part_paths(run, archive)[last]) is None:
        return 0
    with open_archive(run, archive, last, last) as space:
        start = directory_start(space, run.options.level)
        return last if start is None else space.part_at(min(start, space.size - 1))


def _length(path: Path) -> int:
    """Return how many bytes the file ``path`` has; 0 for a link, which takes no room, and for none."""
    try:
        state = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def _is_whole(run: Run, piece: Piece, known: dict[int, bool]) -> bool:
    if piece.number not in known:
        known[piece.number] = all(_unit_is_whole(run, folder, name) for folder, name in piece.units)
    return known[piece.number]


def _unit_is_whole(run: Run, folder: Path, name: str) -> bool:
    manifest = manifests.done(folder, name, run.fingerprint)
    if manifest is None:
        return False
    try:
        return next(manifests.differences(folder, manifest), None) is None
    except OSError as error:
        raise PostmillError(
            f"a file of this run cannot be read: {error.strerror or error}",
            place=error.filename or folder,
            hint=f"check the disk; what is damaged, postmill verify {run.word} finds",
        ) from error
