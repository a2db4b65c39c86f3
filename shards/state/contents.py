"""What a run must hold: its folders of units, which units the plan asks for, and the command that makes each."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from postmill.shards.formats import models, plan, shard_lists
from postmill.shards.formats.encoders import ENCODER_FILE, command_of_folder
from postmill.shards.formats.units import shard_name, spool_names
from postmill.shards.indicators import tables
from postmill.shards.run import manifests, regular
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.run.temporary import TEMPORARY
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.state import crosscheck, crosscheck_made
from postmill.shards.state.crosscheck import Difference
from postmill.shards.state.crosscheck_made import REPORTS

# What reading a file that is not what it should be can end with.
UNREADABLE = (
    *(PostmillError, pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError),
    *(RecursionError, EOFError, struct.error),
)


@dataclass(frozen=True)
class PlannedUnits:
    """What the plan asks for: the post shards, and the names of the spools."""

    shards: tuple[plan.Shard, ...]
    spools: tuple[str, ...]


@dataclass(frozen=True)
class Folder:
    """One folder of units.

    Attributes:
        path: Where it lies.
        command: What makes its files.
        expected: The units that must be there.
        closed: Whether there may be no others.
        besides: With what the names of units begin that may be there too.
        others: Its files that belong to no unit.
        check: Compares the content of a unit, whose files are whole, with the plan.
        files: Of units whose files are named otherwise than the unit: their names, which a lost manifest cannot tell.
    """

    path: Path
    command: str
    expected: tuple[str, ...]
    closed: bool
    others: tuple[str, ...]
    check: Callable[[str, Manifest], Iterator[Difference]]
    besides: str = ""
    files: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def alone(self) -> bool:
        """Whether it holds one unit, whose files are named otherwise than the unit."""
        return self.expected in ((plan.NAME,), (models.MANIFEST,), (tables.UNIT,))

    def units(self) -> Iterator[str]:
        """Yield the names of the units of which there is a manifest, or something in its place.

        Raises:
            PostmillError: The folder cannot be listed.
        """
        for path in regular.listed(self.path):
            if path.suffix == ".json" and path.name not in self.others and not path.name.startswith(TEMPORARY):
                yield path.stem

    def may_hold(self, unit: str) -> bool:
        """Say whether a unit of this name has a place here."""
        return not self.closed or unit in self.expected or bool(self.besides and unit.startswith(self.besides))


def planned_units(run: Run) -> PlannedUnits | None:
    """Return what the plan asks for, or None where there is no whole plan that says so.

    The two tables that say it are read only when they have the hashes that the manifest states.
    """
    try:
        manifest = manifests.done(run.plan, plan.NAME, run.fingerprint)
        if manifest is None:
            return None
        for table in ("shards.parquet", "windows.parquet"):
            if table not in manifest.files or manifests.difference(run.plan / table, manifest.files[table]):
                return None
        return PlannedUnits(tuple(plan.shards(run)), tuple(spool_names(run)))
    except UNREADABLE:  # said where the plan's tables are checked
        return None


def folders(run: Run, planned: PlannedUnits | None) -> Iterator[Folder]:
    """Yield the folders of ``run`` in the order in which they are made.

    Args:
        run: The run.
        planned: What the plan asks for; None where that is not known, and anything may be there.
    """
    closed = planned is not None
    spools = () if planned is None else planned.spools
    names = () if planned is None else tuple(shard_name(shard.shard) for shard in planned.shards)
    ingest = f"postmill ingest {run.word}"
    yield Folder(
        run.plan,
        plan.command(run),
        (plan.NAME,),
        True,
        (),
        partial(crosscheck.plan_tables, run),
    )
    yield Folder(run.spool, ingest, spools, closed, (), partial(crosscheck.spooled, run))
    lists = (shard_lists.INDEX_FILE, shard_lists.SIZES_FILE)
    yield Folder(run.posts, ingest, names, closed, lists, partial(crosscheck.post_shard, run))
    for path in _subfolders(run.embeddings):
        yield Folder(
            path,
            command_of_folder(run, path),
            names,
            closed,
            (ENCODER_FILE,),
            partial(crosscheck_made.embedding_shard, run, path),
        )
    for path in _subfolders(run.models):
        train = models.command(run, path.name)
        yield Folder(path, train, (models.MANIFEST,), True, (), partial(crosscheck_made.model, path), models.CHECKPOINT)
    if regular.is_folder(run.insights):
        check = partial(crosscheck_made.insights, run)
        told = {tables.UNIT: (*(f"{name}.parquet" for name in tables.ROWS), tables.STATEMENT_FILE)}
        yield Folder(run.insights, f"postmill insights {run.word}", (tables.UNIT,), True, (), check, files=told)
    if regular.is_folder(run.report):
        check = partial(crosscheck_made.report, run)
        yield Folder(run.report, f"postmill report {run.word}", _reports(run), True, (), check, files=REPORTS)


def _reports(run: Run) -> tuple[str, ...]:
    """Return the units of the report of which anything is there."""
    try:
        there = {path.name for path in regular.listed(run.report)}
    except PostmillError:  # said where the folder is looked at
        return ()
    return tuple(name for name, files in REPORTS.items() if there & {*files, f"{name}.json"})


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders in ``folder``; what cannot be listed, and links, are named where it is looked for strays."""
    try:
        paths = regular.listed(folder)
    except PostmillError:
        return []
    return [path for path in paths if regular.is_folder(path) and not path.name.startswith(TEMPORARY)]
