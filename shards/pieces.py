"""Which pieces each stage consists of and which are done, cheaply: folders are listed, manifests at most parsed.

The stages themselves ask :func:`shards.manifests.done`, which checks each file's size and the manifest's own hash. Here
a piece counts as done when its manifest is this run's and its files are in the listing: what `postmill status` and
`postmill submit` need to know of tens of thousands of pieces at once. A piece wrongly counted as done is told by
`postmill verify`, and by the stage that would use it.
"""

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from shards import plan
from shards.embeddings import Encoder, encoders
from shards.manifests import SCHEMA_VERSION
from shards.posts import shard_name
from shards.run import Run
from shards.temporary import TEMPORARY

METADATA, WINDOWS, SPANNING = "metadata", "windows", "spanning"
INGEST = (METADATA, WINDOWS, SPANNING)  # in the order in which they depend on each other

_UNKNOWN: Mapping[str, Any] = {}  # counts and info of a manifest that was not opened


class Made(NamedTuple):
    """A unit that is done: bytes of its files, time of its manifest (seconds since 1970), its counts and info."""

    bytes: int
    time: float
    counts: Mapping[str, int]
    info: Mapping[str, Any]


@dataclass(frozen=True)
class Listing:
    """A folder of units: those that are done by name, and the names of those of which a file is being written."""

    made: Mapping[str, Made]
    held: frozenset[str]


class Piece(NamedTuple):
    """A piece of work: its units of one or two folders, each None until it is done, and whether it is in hand."""

    number: int
    units: tuple[Made | None, ...]
    held: bool
    shard: int | None = None  # the post shard that it makes

    @property
    def done(self) -> bool:
        """Whether all its units are."""
        return None not in self.units

    @property
    def bytes(self) -> int:
        """Of the files of those that are done."""
        return sum(unit.bytes for unit in self.units if unit is not None)

    @property
    def time(self) -> float:
        """When the last of its units was done; 0 where none is."""
        return max((unit.time for unit in self.units if unit is not None), default=0.0)


def listing(folder: Path, run: str, parse: bool = True) -> Listing:
    """List the units of ``folder`` that belong to ``run`` (a fingerprint); none where there is no folder.

    Args:
        folder: Of the units.
        run: The fingerprint.
        parse: Open the manifests. Else a unit counts as done when its manifest is there and not empty, beside some file
            of its name; its counts and info are not known, nor whose it is. One call to the file system for each file
            less counts where there are tens of thousands.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # by which a file is found sooner than by its whole path
    except (FileNotFoundError, NotADirectoryError):
        return Listing({}, frozenset())
    try:
        with os.scandir(fd) as entries:
            if not parse:
                return _glanced(folder, entries)
            names = {entry.name for entry in entries}
        return _parsed(folder, fd, names, run)
    finally:
        os.close(fd)


def _parsed(folder: Path, fd: int, names: Set[str], run: str) -> Listing:
    made = {}
    held = set()
    for name in names:
        if name.startswith(TEMPORARY):
            held |= _holder(folder, name)
        elif name.endswith(".json"):
            found = _made(fd, name, run, names)
            if found is not None:
                made[name.removesuffix(".json")] = found
    return Listing(made, frozenset(held))


def ingest_pieces(run: Run, spools: Listing, shards: Listing) -> dict[str, list[Piece]]:
    """Return the pieces of each stage of ingest, in the order in which tasks share them.

    Args:
        run: A planned run.
        spools: Of its folder ``spool``.
        shards: Of its folder ``posts``.
    """

    def piece(number: int, shard: int | None, *names: tuple[Listing, str]) -> Piece:
        held = any(name in where.held for where, name in names)
        return Piece(number, tuple(where.made.get(name) for where, name in names), held, shard)

    metadata = [
        piece(window.window, None, (spools, f"metadata-{window.window:06d}"))
        for window in plan.windows(run, plan.METADATA)
    ]
    windows = []
    for window in plan.windows(run, plan.IMAGES):
        units = [] if window.shard is None else [(shards, shard_name(window.shard))]
        units += [(spools, f"window-{window.window:06d}")] if window.spools else []
        windows.append(piece(window.window, window.shard, *units))
    spanning = [
        piece(shard.shard, shard.shard, (shards, shard_name(shard.shard)))
        for shard in plan.shards(run)
        if shard.kind == "spanning"
    ]
    return {METADATA: metadata, WINDOWS: windows, SPANNING: spanning}


def encoder_pieces(run: Run, shards: int, parse: bool = True) -> list[tuple[Encoder, list[Piece]]]:
    """Return the pieces of each encoder that the run has a folder of, one for each of ``shards`` post shards.

    Args:
        run: The run.
        shards: How many post shards are planned.
        parse: As for :func:`listing`.
    """
    names = [shard_name(shard) for shard in range(shards)]
    found = []
    for encoder in encoders(run):
        units = listing(run.embeddings / encoder.folder, run.fingerprint, parse)
        own = units.made
        if parse:
            own = {name: made for name, made in own.items() if made.info.get("encoder") == encoder.fingerprint}
        found.append((encoder, [Piece(n, (own.get(name),), name in units.held, n) for n, name in enumerate(names)]))
    return found


def missing(pieces: Sequence[Piece]) -> list[Piece]:
    """Return those that are not done."""
    return [piece for piece in pieces if not piece.done]


def _glanced(folder: Path, entries: Iterable[os.DirEntry[str]]) -> Listing:
    sizes: dict[str, int] = defaultdict(int)
    written: dict[str, float] = {}
    held: set[str] = set()
    for entry in entries:
        unit, _, suffix = entry.name.partition(".")
        if not unit:
            held |= _holder(folder, entry.name)
            continue
        try:
            state = entry.stat()
        except FileNotFoundError:
            continue  # removed meanwhile
        if suffix != "json":
            sizes[unit] += state.st_size
        elif state.st_size:
            written[unit] = state.st_mtime
    made = {unit: Made(sizes[unit], at, _UNKNOWN, _UNKNOWN) for unit, at in written.items() if unit in sizes}
    return Listing(made, frozenset(held))


def _holder(folder: Path, name: str) -> set[str]:
    """Return the unit that the temporary ``name`` is of if a writer holds it, else nothing."""
    return {name.removeprefix(TEMPORARY).split(".", 1)[0]} if _locked(folder / name) else set()


def _made(folder: int, name: str, run: str, names: Set[str]) -> Made | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        state = os.fstat(fd)
        value = orjson.loads(os.read(fd, state.st_size))
    except orjson.JSONDecodeError:
        return None
    finally:
        os.close(fd)
    try:
        if value["schema"] != SCHEMA_VERSION or value["run"] != run or not value["files"].keys() <= names:
            return None
        size = sum(file["bytes"] for file in value["files"].values())
        return Made(size, state.st_mtime, value["counts"], value["info"])
    except (KeyError, TypeError, AttributeError):
        return None


def _locked(path: Path) -> bool:
    """Say whether a writer holds the temporary ``path``. A shared lock is asked for: that needs no right to write."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
