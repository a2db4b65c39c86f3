"""The names of a run's units, and which of them each piece of ingest makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postmill.shards.formats import plan
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.run.folder import Run

SPOOL_SUFFIX = ".spool"
_SHARD, _METADATA_SPOOL, _IMAGE_SPOOL = "posts", "metadata", "window"


@dataclass(frozen=True)
class Piece:
    """A piece of a stage: what one task does at a time.

    Attributes:
        number: Of its window, or of its post shard where the stage has no windows.
        first_part: Of the stage's archive: the first part that it reads.
        part: Likewise: the part in which its window ends, or that completes its post shard.
        shard: The post shard that it makes; None where it only spools.
        units: The units that it makes: folder and name of each.
    """

    number: int
    first_part: int
    part: int
    shard: int | None
    units: tuple[tuple[Path, str], ...]


def shard_name(shard: int) -> str:
    """Return the name of post shard ``shard`` without suffix: ``posts-000123``."""
    return _named(_SHARD, shard)


def metadata_spool(window: int) -> str:
    """Return the name of the spool of metadata window ``window`` without suffix: ``metadata-000003``."""
    return _named(_METADATA_SPOOL, window)


def image_spool(window: int) -> str:
    """Return the name of the spool of picture window ``window`` without suffix: ``window-000017``."""
    return _named(_IMAGE_SPOOL, window)


def number_of(name: str) -> int:
    """Return the number of the unit ``name``: of a post shard, or of the window that a spool is of.

    Raises:
        ValueError: It has none.
    """
    return int(name.rpartition("-")[2])


def spool_archive(name: str) -> int:
    """Return which archive the spool ``name`` is of: METADATA or IMAGES."""
    return METADATA if name.startswith(f"{_METADATA_SPOOL}-") else IMAGES


def pieces(run: Run, stage: Stage) -> list[Piece]:
    """Return the pieces of ``stage`` in the order of its archive, which is that in which tasks share them.

    Raises:
        PostmillError: A table of the plan cannot be read.
    """
    if stage is Stage.METADATA:
        return [_piece(window, (run.spool, metadata_spool(window.window))) for window in plan.windows(run, METADATA)]
    if stage is Stage.WINDOWS:
        return [_piece(window, *_units_of(run, window)) for window in plan.windows(run, IMAGES)]
    return [
        Piece(shard.shard, shard.last_part, shard.last_part, shard.shard, ((run.posts, shard_name(shard.shard)),))
        for shard in plan.shards(run)
        if shard.kind == "spanning"
    ]


def spool_names(run: Run) -> Iterator[str]:
    """Yield the names of the spools that the plan asks for."""
    for stage in (Stage.METADATA, Stage.WINDOWS):
        for piece in pieces(run, stage):
            yield from (name for folder, name in piece.units if folder == run.spool)


def _piece(window: plan.Window, *units: tuple[Path, str]) -> Piece:
    return Piece(window.window, window.first_part, window.last_part, window.shard, units)


def _units_of(run: Run, window: plan.Window) -> Iterator[tuple[Path, str]]:
    if window.shard is not None:
        yield run.posts, shard_name(window.shard)
    if window.spools:
        yield run.spool, image_spool(window.window)


def _named(kind: str, number: int) -> str:
    return f"{kind}-{number:06d}"
