"""What a run must hold: its folders of units, which units the plan asks for, and the command that makes each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from shards import crosscheck, embeddings, listing, manifests, models, plan
from shards.crosscheck import Difference
from shards.errors import PostmillError
from shards.manifests import Manifest
from shards.posts import shard_name
from shards.run import Run
from shards.temporary import TEMPORARY

# The units of the report's folder: the page, of `report`, and the table of all models, of `train`.
REPORTS = {"index": ("index.html",), "results": ("results.md", "metrics.json")}

# What reading a file that is not what it should be can end with.
UNREADABLE = (PostmillError, pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError)


@dataclass(frozen=True)
class Planned:
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
        others: Its files that belong to no unit.
        check: Compares the content of a unit, whose files are whole, with the plan.
    """

    path: Path
    command: str
    expected: tuple[str, ...]
    closed: bool
    others: tuple[str, ...]
    check: Callable[[str, Manifest], Iterator[Difference]]

    @property
    def alone(self) -> bool:
        """Whether it holds one unit, whose files are named otherwise than the unit."""
        return self.expected in ((plan.NAME,), (models.MANIFEST,))

    def manifests(self) -> dict[str, Manifest]:
        """Return the whole manifests in it by name of unit."""
        found = {}
        for path in sorted(self.path.glob("*.json")):
            manifest = None if path.name in self.others else manifests.read(self.path, path.stem)
            if manifest is not None:
                found[path.stem] = manifest
        return found


def planned(run: Run) -> Planned | None:
    """Return what the plan asks for, or None where there is no whole plan that says so.

    The two tables that say it are read only when they have the hashes that the manifest states.
    """
    manifest = manifests.done(run.plan, plan.NAME, run.fingerprint)
    if manifest is None:
        return None
    for table in ("shards.parquet", "windows.parquet"):
        if table not in manifest.files or manifests.difference(run.plan / table, manifest.files[table]):
            return None
    try:
        return Planned(tuple(plan.shards(run)), tuple(crosscheck.spool_names(run)))
    except UNREADABLE:  # said where the plan's tables are checked
        return None


def folders(run: Run, wanted: Planned | None) -> Iterator[Folder]:
    """Yield the folders of ``run`` in the order in which they are made.

    Args:
        run: The run.
        wanted: What the plan asks for; None where that is not known, and anything may be there.
    """
    closed = wanted is not None
    spools = () if wanted is None else wanted.spools
    names = () if wanted is None else tuple(shard_name(shard.shard) for shard in wanted.shards)
    ingest = f"postmill ingest {run.word}"
    yield Folder(
        run.plan,
        f"postmill plan SOURCE {run.word}",
        (plan.NAME,),
        True,
        (),
        partial(crosscheck.plan_tables, run),
    )
    yield Folder(run.spool, ingest, spools, closed, (), partial(crosscheck.spooled, run))
    lists = (listing.INDEX_FILE, listing.SIZES_FILE)
    yield Folder(run.posts, ingest, names, closed, lists, partial(crosscheck.post_shard, run))
    for path in _subfolders(run.embeddings):
        yield Folder(
            path,
            _encode_command(run, path),
            names,
            closed,
            (embeddings.ENCODER_FILE,),
            partial(crosscheck.embedding_shard, run, path),
        )
    train = f"postmill train {run.word}, with the options that the model was trained with"
    for path in _subfolders(run.models):
        yield Folder(path, train, (models.MANIFEST,), False, (), partial(crosscheck.model, path))
    if run.report.is_dir():
        made = tuple(
            name
            for name, files in REPORTS.items()
            if any((run.report / file).exists() for file in (*files, f"{name}.json"))
        )
        again = f"postmill train {run.word}, with the options of before, and postmill report {run.word}"
        yield Folder(run.report, again, made, True, (), _nothing)


def _encode_command(run: Run, path: Path) -> str:
    try:
        encoder = embeddings.read_encoder(path)
    except PostmillError:
        return f"postmill encode {run.word}, with the options that it was encoded with"
    chosen = f" --models {encoder.models}" if encoder.models in ("light", "paper") else ""
    return f"postmill encode {run.word} --encoders {encoder.encoder}{chosen}"


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(TEMPORARY)]


def _nothing(_: str, __: Manifest) -> Iterator[Difference]:
    yield from ()
