"""The plan's tables: which entry goes to which place in which post shard. Made once, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from postmill.shards.formats.counts import PlanCounts
from postmill.shards.run import manifests, parquet
from postmill.shards.run.checked import anew
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.runtime.errors import PostmillError, UsageError

NAME = "plan"
METADATA, IMAGES = 0, 1  # the two archives, as the column `archive` and an index of ARCHIVES name them
ARCHIVES = ("metadata", "images")
METADATA_IMAGE = -1  # the column `image` of an entry that is a post's metadata

POSTS = pa.schema(
    [
        ("shard", pa.int32()),  # post shard, and the post's row in it
        ("row", pa.int32()),
        ("key", pa.string()),
        ("influencer", pa.string()),
        ("post_id", pa.string()),
        ("line", pa.int64()),  # of the mapping file, from 1
        ("images", pa.list_(pa.string())),  # as the mapping lists them
        ("found", pa.list_(pa.bool_())),  # which of them the archive has
        ("category", pa.string()),
        ("followers", pa.int64()),
        ("followees", pa.int64()),
        ("influencer_posts", pa.int64()),
    ]
)
ENTRIES = pa.schema(
    [
        ("archive", pa.int8()),
        ("window", pa.int32()),  # of that archive
        ("offset", pa.int64()),  # place of the local header (:mod:`.places`)
        ("end", pa.int64()),  # place at which the next record begins at the latest
        ("compressed_size", pa.int64()),
        ("size", pa.int64()),
        ("crc32", pa.uint32()),
        ("method", pa.uint16()),
        ("flags", pa.uint16()),
        ("name", pa.binary()),  # raw, as both headers must have it
        ("shard", pa.int32()),  # where it goes: an entry that two posts list stands here twice
        ("row", pa.int32()),
        ("image", pa.int16()),  # place in the mapping's list, or METADATA_IMAGE
    ]
)
WINDOWS = pa.schema(
    [
        ("archive", pa.int8()),
        ("window", pa.int32()),
        ("start", pa.int64()),  # places
        ("end", pa.int64()),
        ("first_part", pa.int32()),  # parts it needs; it belongs to the last
        ("last_part", pa.int32()),
        ("entries", pa.int64()),
        ("shard", pa.int32()),  # the post shard it writes; null where it only spools
        ("spools", pa.bool_()),  # whether it sets anything aside
    ]
)
SHARDS = pa.schema(
    [
        ("shard", pa.int32()),
        ("kind", pa.string()),  # window or spanning
        ("window", pa.int32()),  # null for spanning
        ("posts", pa.int64()),
        ("images", pa.int64()),
        ("image_bytes", pa.int64()),  # as they lie in the archive
        ("last_part", pa.int32()),  # of the picture archive: complete when this has been seen
    ]
)

PARTS = pa.schema(
    [
        ("archive", pa.int8()),
        ("part", pa.int32()),
        ("name", pa.string()),
        ("needs", pa.int64()),  # bytes that it has at least, for its entries to be on it
        ("last", pa.int64()),  # byte at which the last entry on it begins; null where none does
    ]
)
ACCOUNTS = pa.schema(
    [
        ("influencer", pa.string()),
        ("posts", pa.int64()),  # rows of the mapping that it has, repeated ones left out
    ]
)
ACCOUNTS_FILE = "accounts.parquet"  # of a run in which accounts were chosen


@dataclass(frozen=True)
class Window:
    """A stretch of an archive, read by one task: the place where it starts, and the one before which it ends."""

    archive: int
    window: int
    start: int
    end: int
    first_part: int
    last_part: int
    entries: int
    shard: int | None
    spools: bool


@dataclass(frozen=True)
class PlannedPart:
    """What the plan says of one part: its number, the bytes that its entries need of it, where the last one begins."""

    archive: int
    part: int
    name: str
    needs: int
    last: int | None


@dataclass(frozen=True)
class Shard:
    """What the plan says of one post shard."""

    shard: int
    kind: str
    window: int | None
    posts: int
    images: int
    image_bytes: int
    last_part: int


def command(run: Run) -> str:
    """Return the command that makes the plan of ``run`` anew, from where its sources were last seen."""
    return f"postmill plan {run.word}"


def manifest(run: Run) -> Manifest:
    """Return the plan's manifest.

    Raises:
        UsageError: There is no finished plan.
    """
    done = manifests.whole(run.plan, NAME, run.fingerprint)
    if done is None:
        raise UsageError("has no finished plan", place=run.folder, hint=f"make it: {command(run)}")
    return done


def contents_hash(run: Run) -> str:
    """Return the hash of the plan's tables, which what is made from them states among its inputs.

    Raises:
        UsageError: There is no finished plan.
    """
    return manifests.contents_hash(manifest(run))


def counts(run: Run) -> PlanCounts:
    """Return what the plan's manifest states.

    Raises:
        UsageError: There is no finished plan.
    """
    return PlanCounts.of(manifest(run))


def parts(run: Run, archive: int) -> list[PlannedPart]:
    """Return the parts of ``archive`` (METADATA or IMAGES) in order."""
    rows = _rows(_table(run, "parts", {"archive": archive}), PARTS)
    return sorted((PlannedPart(*row) for row in rows), key=lambda part: part.part)


def windows(run: Run, archive: int) -> list[Window]:
    """Return the windows of ``archive`` (METADATA or IMAGES) in order."""
    rows = _rows(_table(run, "windows", {"archive": archive}), WINDOWS)
    return sorted((Window(*row) for row in rows), key=lambda window: window.window)


def shards(run: Run) -> list[Shard]:
    """Return the post shards in order."""
    return sorted((Shard(*row) for row in _rows(_table(run, "shards"), SHARDS)), key=lambda shard: shard.shard)


def accounts(run: Run) -> pa.Table:
    """Return the list of accounts of a run in which such were chosen, by name (schema :data:`ACCOUNTS`)."""
    return _table(run, "accounts")


def posts(run: Run, shard: int) -> pa.Table:
    """Return the posts planned for ``shard`` in row order (schema :data:`POSTS`)."""
    return _table(run, "posts", {"shard": shard})


def entries(run: Run, archive: int, window: int) -> pa.Table:
    """Return the entries of one window in order of offset (schema :data:`ENTRIES`)."""
    return _table(run, "entries", {"archive": archive, "window": window})


def _rows(table: pa.Table, schema: pa.Schema) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in schema.names), strict=True)


def _table(run: Run, name: str, equal: Mapping[str, int] | None = None) -> pa.Table:
    file = f"{name}.parquet"
    path, state = run.plan / file, manifest(run).files.get(file)
    if state is None:
        raise PostmillError("is in no manifest", place=path, hint=anew(run.plan / f"{NAME}.json", command(run)))
    try:
        return parquet.rows_equal(path, state, command(run), equal or {})
    except pa.ArrowException as error:
        raise PostmillError(f"cannot be read: {error}", place=path, hint=anew(path, command(run))) from error
