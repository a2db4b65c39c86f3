"""What stands in the files of a run against the plan: rows, keys, members and counts, one unit at a time.

Each check takes the name and the manifest of a unit whose files have the hashes that the manifest states.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats import faults, offsets, plan, posts, spool, tar
from postmill.shards.formats.counts import PlanCounts, ShardCounts
from postmill.shards.formats.units import SPOOL_SUFFIX, number_of, spool_archive
from postmill.shards.run import parquet
from postmill.shards.run.chosen import Accounts
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import Manifest
from postmill.shards.state.crosscheck_pictures import is_as_planned, other_pictures

Difference = tuple[Path, str]  # the file, and what is wrong with it

_ROWS = 1024


def unstated(folder: Path, name: str, manifest: Manifest, files: Iterable[str]) -> Iterator[Difference]:
    """Yield each of ``files`` that the manifest of a unit does not state, and each other that it does."""
    for file in sorted({*files} ^ manifest.files.keys()):
        what = "states no" if file not in manifest.files else "should not state"
        yield folder / f"{name}.json", f"{what} {file}"


def plan_tables(run: Run, _: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the tables of the plan do not fit each other or the counts of its manifest."""
    counts = PlanCounts.of(manifest)
    tables = {
        "posts": plan.POSTS,
        "entries": plan.ENTRIES,
        "parts": plan.PARTS,
        "windows": plan.WINDOWS,
        "shards": plan.SHARDS,
    }
    if run.options.chosen.accounts is not None:
        tables["accounts"] = plan.ACCOUNTS
    lacking = list(unstated(run.plan, plan.NAME, manifest, [*(f"{table}.parquet" for table in tables), faults.FILE]))
    yield from lacking
    if lacking:
        return
    rows_of = {}
    for name, schema in {**tables, "faults": faults.SCHEMA}.items():
        with parquet.open_file(run.plan / f"{name}.parquet") as file:
            rows_of[name] = file.metadata.num_rows
            if not file.schema_arrow.equals(schema):
                yield run.plan / f"{name}.parquet", "its columns are not those of this version"
                return
    windows = parquet.read(run.plan / "windows.parquet")
    shards = plan.shards(run)
    lost = pc.sum(parquet.read(run.plan / faults.FILE, columns=["post_lost"])["post_lost"]).as_py() or 0
    for name, stated in (
        ("posts", counts.planned_posts),
        ("entries", counts.planned_posts + counts.planned_images),
        ("parts", len(run.sources.metadata.parts) + len(run.sources.images.parts)),
        ("windows", counts.metadata_windows + counts.images_windows),
        ("shards", counts.shards),
        ("faults", counts.faults),
    ):
        if rows_of[name] != stated:
            yield run.plan / f"{name}.parquet", f"{rows_of[name]} rows, the manifest says {stated}"
    for file, what, number, stated in (
        (faults.FILE, "lost posts", lost, counts.lost),
        (
            "plan.json",
            "planned, lost and not chosen posts",
            counts.planned_posts + counts.lost + counts.not_chosen,
            counts.mapped_posts,
        ),
        ("plan.json", "faults by reason", sum(counts.reasons.values()), counts.faults),
        ("shards.parquet", "posts", sum(shard.posts for shard in shards), counts.planned_posts),
        ("shards.parquet", "images", sum(shard.images for shard in shards), counts.planned_images),
    ):
        if number != stated:
            yield run.plan / file, f"{number} {what}, where the manifest says {stated}"
    if "accounts" in tables and Accounts.of(_accounts(run)) != run.options.chosen.accounts:
        yield run.plan / plan.ACCOUNTS_FILE, "its accounts are not those that the run is pinned to"
    if [shard.shard for shard in shards] != list(range(len(shards))):
        yield run.plan / "shards.parquet", "its shards are not numbered from 0"
    elif not _rows_are_in_order(run, shards):
        yield run.plan / "posts.parquet", "its rows are not those that shards.parquet says"
    if _entries_of_windows(run) != Counter(
        {(row["archive"], row["window"]): row["entries"] for row in windows.to_pylist()}
    ):
        yield run.plan / "entries.parquet", "its entries are not as many in each window as windows.parquet says"


def _accounts(run: Run) -> list[str]:
    return list(parquet.read(run.plan / plan.ACCOUNTS_FILE, columns=["influencer"])["influencer"].to_pylist())


def _rows_are_in_order(run: Run, shards: list[plan.Shard]) -> bool:
    """Say whether posts.parquet holds rows 0, 1, ... of shard 0, then those of shard 1, and so on."""
    ends = np.cumsum([shard.posts for shard in shards])
    checked = 0
    for shard, row in _batches(run.plan / "posts.parquet", "shard", "row"):
        positions = np.arange(checked, checked + len(shard))
        expected = np.searchsorted(ends, positions, side="right")
        starts = np.concatenate([[0], ends])[expected]
        if not (np.array_equal(shard, expected) and np.array_equal(row, positions - starts)):
            return False
        checked += len(shard)
    return checked == int(ends[-1])


def _entries_of_windows(run: Run) -> Counter[tuple[int, int]]:
    """Return the number of entries by archive and window; one that two posts list counts once."""
    entries: Counter[tuple[int, int]] = Counter()
    last = np.full((1, 3), -1)
    for columns in _batches(run.plan / "entries.parquet", "archive", "window", "offset"):
        rows = np.stack(columns, axis=1)
        new = (rows != np.concatenate([last, rows[:-1]])).any(axis=1)
        for (archive, window), number in zip(
            *map(np.ndarray.tolist, np.unique(rows[new][:, :2], axis=0, return_counts=True)), strict=True
        ):
            entries[archive, window] += number
        last = rows[-1:]
    return entries


def _batches(path: Path, *columns: str) -> Iterator[list[npt.NDArray[np.int64]]]:
    with parquet.open_file(path) as file:
        for batch in file.iter_batches(columns=list(columns), use_threads=False):
            if batch.num_rows:
                yield [batch.column(name).to_numpy().astype(np.int64) for name in columns]


def spooled(run: Run, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the spool ``name`` does not hold exactly the entries that the plan sends there, in order."""
    lacking = list(unstated(run.spool, name, manifest, [f"{name}{SPOOL_SUFFIX}"]))
    yield from lacking
    if lacking:
        return
    archive, number = spool_archive(name), number_of(name)
    (window,) = (window for window in plan.windows(run, archive) if window.window == number)
    planned = plan.entries(run, archive, number)
    if archive == plan.IMAGES and window.shard is not None:
        planned = planned.filter(pc.not_equal(planned["shard"], window.shard))
    destinations = sorted(zip(*(planned[column].to_pylist() for column in ("shard", "row", "image")), strict=True))
    path = run.spool / f"{name}{SPOOL_SUFFIX}"
    spooled_destinations = (entry[:3] for entry in spool.read_destinations(path))
    for actual, expected in zip_longest(spooled_destinations, destinations):
        if actual != expected:
            described = "shard {}, row {}, image {}".format
            actual, expected = ("the end" if to is None else described(*to) for to in (actual, expected))
            yield path, f"holds {actual}, where the plan has {expected}"
            return


def post_shard(run: Run, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the records, faults and members of a post shard do not fit the plan and each other."""
    shard = number_of(name)
    counts = ShardCounts.of(manifest)
    records, index = run.posts / f"{name}.parquet", run.posts / f"{name}{offsets.SUFFIX}"
    files = [f"{name}{suffix}" for suffix in (".tar", offsets.SUFFIX, ".parquet")]
    lacking = list(
        unstated(run.posts, name, manifest, [*files, *([faults.shard_file(shard)] if counts.faults else [])])
    )
    yield from lacking
    if lacking:
        return
    absent_posts: list[tuple[str, str]] = []
    if counts.faults:
        path = run.posts / faults.shard_file(shard)
        table = parquet.read(path)
        lost, waiting = (table.filter(table[name]) for name in ("post_lost", "post_waits"))
        absent = pa.concat_tables([lost, waiting])
        absent_posts = list(zip(absent["influencer"].to_pylist(), absent["post_id"].to_pylist(), strict=True))
        if (table.num_rows, lost.num_rows, waiting.num_rows) != (counts.faults, counts.lost, counts.waiting):
            what = f"{table.num_rows} faults with {lost.num_rows} lost and {waiting.num_rows} waiting posts"
            yield path, f"{what}, the manifest says {counts.faults} with {counts.lost} and {counts.waiting}"
    planned = plan.posts(run, shard).to_pylist()
    expected = [row["key"] for row in planned if (row["influencer"], row["post_id"]) not in set(absent_posts)]
    with parquet.open_file(records) as file:
        if not file.schema_arrow.equals(posts.SCHEMA):
            yield records, "its columns are not those of this version"
            return
    stated = parquet.read(records, columns=["key", "taken_at"])
    keys = stated["key"].to_pylist()
    if len(keys) != counts.posts:
        yield records, f"{len(keys)} rows, the manifest says {counts.posts}"
    if run.options.chosen.by_time:
        # Whatever else was planned was left out for its time, which stands nowhere but in the archive.
        if not all(map(run.options.chosen.takes, stated["taken_at"].to_pylist())):
            yield records, "has a post of another time than the run was planned with"
        there = set(keys)
        left_out = [key for key in expected if key not in there]
        if len(left_out) != counts.not_chosen:
            yield (
                records,
                f"lacks {len(left_out)} planned posts, the manifest says that {counts.not_chosen} are not chosen",
            )
        expected = [key for key in expected if key in there]
    if keys != expected:
        row = next(n for n, (key, other) in enumerate(zip_longest(keys, expected)) if key != other)
        yield records, f"row {row} is not the post that plan and faults leave there"
        return
    by_key = {row["key"]: row for row in planned}
    wrong = next(
        (record["key"] for record in _records(records) if not is_as_planned(record, by_key[record["key"]])), None
    )
    if wrong is not None:
        yield records, f"{wrong} has other pictures, or is of another account, than the plan says"
        return
    path, dropped = run.posts / f"{name}.tar", manifest.files[f"{name}.tar"].dropped
    broken = list(_members(path, index, records, run.options.raw, dropped))
    yield from broken
    if not broken and not dropped:
        yield from other_pictures(run, shard, path, index, _records(records), by_key)
    images = sum(map(len, parquet.read(records, columns=["images"])["images"].to_pylist()))
    if images != counts.images:
        yield records, f"{images} pictures, the manifest says {counts.images}"


def _members(path: Path, index: Path, records: Path, raw: bool, dropped: bool) -> Iterator[Difference]:
    """Compare the tar ``path`` with its index and the records: every name, place and header, and the JSON.

    Of one that was dropped, only names and places can be compared.
    """
    position = 0  # in the tar, bytes
    unchecked: list[offsets.Member] = []  # whose headers are compared many at a time
    fd = -1 if dropped else os.open(path, os.O_RDONLY)
    try:
        for number, (sample, record) in enumerate(zip_longest(offsets.read_index(index), _records(records))):
            if sample is None or record is None:
                yield index, f"its samples and the {records.name}'s rows are not equally many"
                return
            suffixes = ["json", *(f"{n}.jpg" for n in range(len(record["images"])))] + ["raw.json.gz"] * raw
            if [member.name for member in sample] != [f"{record['key']}.{suffix}" for suffix in suffixes]:
                yield index, f"the members of sample {number} are not those of row {number} of {records.name}"
                return
            for member in sample:
                if member.offset != position + tar.BLOCK or member.size > tar.MAX_SIZE:
                    yield path, f"{member.name} is not where {index.name} says"
                    return
                position = member.offset + member.size + -member.size % tar.BLOCK
            if dropped:
                continue
            unchecked += sample
            if len(unchecked) >= _ROWS:
                if name := _wrong_header(fd, unchecked):
                    yield path, f"{name} is not where {index.name} says"
                    return
                unchecked.clear()
            if orjson.loads(os.pread(fd, sample[0].size, sample[0].offset)) != record:
                yield path, f"{sample[0].name} is not row {number} of {records.name}"
                return
        if dropped:
            return
        if name := _wrong_header(fd, unchecked):
            yield path, f"{name} is not where {index.name} says"
            return
        ending = os.pread(fd, tar.RECORD + 2 * tar.BLOCK, position)
        if ending != bytes(tar.end(position)):
            yield path, "does not end as its index says"
    finally:
        if not dropped:
            os.close(fd)


def _wrong_header(fd: int, members: Sequence[offsets.Member]) -> str | None:
    """Return the name of the first of ``members`` whose header is not what its name and size make it, if any."""
    expected = tar.headers([member.name for member in members], [member.size for member in members])
    for member, header in zip(members, expected, strict=True):
        if os.pread(fd, tar.BLOCK, member.offset - tar.BLOCK) != header.tobytes():
            return member.name
    return None


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with parquet.open_file(path) as file:
        for batch in file.iter_batches(_ROWS, use_threads=False):
            yield from batch.to_pylist()
