"""Which pieces of a run are done, cheaply: folders are listed, manifests at most parsed.

The stages themselves ask :func:`.manifests.done`, which checks each file's size and the manifest's own hash. Here
a unit counts as done when its manifest is this run's and its files are in the listing: what `postmill status` and
`postmill submit` need to know of tens of thousands of pieces at once. A piece wrongly counted as done is told by
`postmill verify`, and by the stage that would use it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from postmill.shards.formats import embeddings
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.counts import encoder_of
from postmill.shards.formats.encoders import Encoder, encoders_of
from postmill.shards.formats.units import Piece, pieces, shard_name
from postmill.shards.run import manifests, regular, temporary
from postmill.shards.run.folder import Run
from postmill.shards.run.sealed import SEAL
from postmill.shards.run.temporary import TEMPORARY

_UNKNOWN: Mapping[str, Any] = {}  # counts and info of a manifest that was not opened


class DoneUnit(NamedTuple):
    """A unit that is done, as its manifest has it.

    Attributes:
        bytes: Of its files, those that were dropped left out.
        time: Of its manifest, seconds since 1970.
        counts, info, inputs: As :class:`.manifests.Manifest` has them.
        contents: Hash of its files (:func:`.manifests.contents_hash`).
        dropped: Whether one of its files was let go.
    """

    bytes: int
    time: float
    counts: Mapping[str, int] = _UNKNOWN
    info: Mapping[str, Any] = _UNKNOWN
    inputs: Mapping[str, str] = _UNKNOWN
    contents: str = ""
    dropped: bool = False


@dataclass(frozen=True)
class UnitListing:
    """A folder of units: those that are done by name, and the names of those of which a file is being written."""

    done: Mapping[str, DoneUnit]
    in_hand: frozenset[str]


class PieceState(NamedTuple):
    """How far a piece is: its units, each None until it is done, and whether one of them is in hand."""

    number: int
    units: tuple[DoneUnit | None, ...]
    in_hand: bool
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


def list_units(folder: Path, run: str, parse: bool = True) -> UnitListing:
    """List the units of ``folder`` that belong to ``run`` (a fingerprint); none where there is no folder.

    Args:
        folder: Of the units.
        run: The fingerprint.
        parse: Open the manifests. Else a unit counts as done when its manifest is there and not empty, beside some file
            of its name; its counts and info are not known, nor whose it is. One call to the file system for each file
            less counts where there are tens of thousands.

    Raises:
        PostmillError: The folder, or a manifest in it, cannot be read, or is no folder or no file.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # by which a file is found sooner than by its whole path
    except FileNotFoundError:
        return UnitListing({}, frozenset())
    except OSError as error:
        raise regular.unreadable(folder, error) from error
    try:
        with os.scandir(fd) as entries:
            if not parse:
                return _glanced(folder, entries)
            names = {entry.name for entry in entries}
        return _parsed(folder, fd, names, run)
    finally:
        os.close(fd)


def _parsed(folder: Path, fd: int, names: Set[str], run: str) -> UnitListing:
    done = {}
    in_hand = set()
    for name in names:
        if name.startswith(TEMPORARY):
            in_hand |= _written_now(folder, name)
        elif name.endswith(".json"):
            unit = _done_unit(folder, fd, name, run, names)
            if unit is not None:
                done[name.removesuffix(".json")] = unit
    return UnitListing(done, frozenset(in_hand))


def ingest_pieces(run: Run, spools: UnitListing, shards: UnitListing) -> dict[Stage, list[PieceState]]:
    """Return the pieces of each stage of ingest, in the order in which tasks share them.

    Args:
        run: A planned run.
        spools: Of its folder ``spool``.
        shards: Of its folder ``posts``.
    """
    listings = {run.spool: spools, run.posts: shards}

    def state(piece: Piece) -> PieceState:
        units = [(listings[folder], name) for folder, name in piece.units]
        return PieceState(
            piece.number,
            tuple(listing.done.get(name) for listing, name in units),
            any(name in listing.in_hand for listing, name in units),
            piece.shard,
        )

    return {stage: list(map(state, pieces(run, stage))) for stage in Stage}


def encoder_pieces(run: Run, shards: int, made: UnitListing | None = None) -> list[tuple[Encoder, list[PieceState]]]:
    """Return the pieces of each encoder that the run has a folder of, one for each of ``shards`` post shards.

    Args:
        run: The run.
        shards: How many post shards are planned.
        made: The listing of the post shards, parsed: a piece is then opened, and done only if it is of its encoder and
            of what its post shard holds now. None: a piece that is there is done.
    """
    names = [shard_name(shard) for shard in range(shards)]
    states = []
    for encoder in encoders_of(run):
        listing = list_units(run.embeddings / encoder.folder, run.fingerprint, parse=made is not None)
        done = listing.done
        if made is not None:
            done = {name: unit for name, unit in done.items() if _is_of(unit, encoder, made.done.get(name))}
        pieces_of_encoder = [
            PieceState(shard, (done.get(name),), name in listing.in_hand, shard) for shard, name in enumerate(names)
        ]
        states.append((encoder, pieces_of_encoder))
    return states


def _is_of(unit: DoneUnit, encoder: Encoder, shard: DoneUnit | None) -> bool:
    source = unit.inputs.get(embeddings.POSTS)  # not in format 2
    return encoder_of(unit) == encoder.fingerprint and (source is None or shard is None or source == shard.contents)


def missing(pieces: Sequence[PieceState]) -> list[PieceState]:
    """Return those that are not done."""
    return [piece for piece in pieces if not piece.done]


def _glanced(folder: Path, entries: Iterable[os.DirEntry[str]]) -> UnitListing:
    sizes: dict[str, int] = defaultdict(int)
    manifests: dict[str, float] = {}  # by unit, when written
    in_hand: set[str] = set()
    for entry in entries:
        unit, _, suffix = entry.name.partition(".")
        if not unit:
            in_hand |= _written_now(folder, entry.name)
            continue
        try:
            state = entry.stat()
        except FileNotFoundError:
            continue  # removed meanwhile
        if suffix != "json":
            sizes[unit] += state.st_size
        elif state.st_size:
            manifests[unit] = state.st_mtime
    done = {unit: DoneUnit(sizes[unit], time) for unit, time in manifests.items() if unit in sizes}
    return UnitListing(done, frozenset(in_hand))


def _written_now(folder: Path, name: str) -> set[str]:
    """Return the unit that the temporary ``name`` is of if somebody writes it, else nothing."""
    of = temporary.written_name(name)
    return {of.split(".", 1)[0]} if of is not None and temporary.is_in_hand(folder / name) else set()


def _done_unit(folder: Path, folder_fd: int, name: str, run: str, names: Set[str]) -> DoneUnit | None:
    try:
        with regular.opened(folder / name, folder_fd) as opened:
            state = os.fstat(opened.fileno())
            value = orjson.loads(opened.read(state.st_size))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return None
    except OSError as error:
        raise regular.unreadable(folder / name, error) from error
    try:
        del value[SEAL]  # which is for who uses the unit to check
        manifest = manifests.from_json(value)
    except (KeyError, TypeError, ValueError):
        return None
    if manifest.run != run or not {file for file in manifest.kept if "/" not in file} <= names:
        return None
    size = sum(file.bytes for file in manifest.kept.values())
    contents, dropped = manifests.contents_hash(manifest), len(manifest.kept) < len(manifest.files)
    return DoneUnit(size, state.st_mtime, manifest.counts, manifest.info, manifest.inputs, contents, dropped)
