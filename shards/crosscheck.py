"""What stands in the files of a run against the plan: rows, keys, members and counts, one unit at a time.

Each check takes the name and the manifest of a unit whose files have the hashes that the manifest states.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow.compute as pc

from shards import embeddings, faults, models, offsets, parquet, plan, posts, sealed, spool, tar
from shards.manifests import Manifest
from shards.run import Run

Difference = tuple[Path, str]  # the file, and what is wrong with it

_ROWS = 1024
_METADATA_SPOOL, _IMAGE_SPOOL = "metadata-", "window-"


def plan_tables(run: Run, _: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the tables of the plan do not fit each other or the counts of its manifest."""
    counts = manifest.counts
    tables = {"posts": plan.POSTS, "entries": plan.ENTRIES, "windows": plan.WINDOWS, "shards": plan.SHARDS}
    found = {}
    for name, schema in {**tables, "faults": faults.SCHEMA}.items():
        with parquet.opened(run.plan / f"{name}.parquet") as file:
            found[name] = file.metadata.num_rows
            if not file.schema_arrow.equals(schema):
                yield run.plan / f"{name}.parquet", "its columns are not those of this version"
                return
    windows = parquet.read(run.plan / "windows.parquet")
    shards = plan.shards(run)
    lost = pc.sum(parquet.read(run.plan / faults.FILE, columns=["post_lost"])["post_lost"]).as_py() or 0
    for name, rows, stated in (
        ("posts", found["posts"], counts["planned_posts"]),
        ("entries", found["entries"], counts["planned_posts"] + counts["planned_images"]),
        ("windows", found["windows"], sum(counts[f"{archive}_windows"] for archive in plan.ARCHIVES)),
        ("shards", found["shards"], counts["shards"]),
        ("faults", found["faults"], counts["faults"]),
    ):
        if rows != stated:
            yield run.plan / f"{name}.parquet", f"{rows} rows, the manifest says {stated}"
    for file, what, number, stated in (
        (faults.FILE, "lost posts", lost, counts["lost"]),
        ("plan.json", "planned and lost posts", counts["planned_posts"] + counts["lost"], counts["mapped_posts"]),
        ("plan.json", "faults by reason", sum(manifest.info["faults"].values()), counts["faults"]),
        ("shards.parquet", "posts", sum(shard.posts for shard in shards), counts["planned_posts"]),
        ("shards.parquet", "images", sum(shard.images for shard in shards), counts["planned_images"]),
    ):
        if number != stated:
            yield run.plan / file, f"{number} {what}, where the manifest says {stated}"
    if [shard.shard for shard in shards] != list(range(len(shards))):
        yield run.plan / "shards.parquet", "its shards are not numbered from 0"
    elif not _rows_are_in_order(run, shards):
        yield run.plan / "posts.parquet", "its rows are not those that shards.parquet says"
    if _entries_of_windows(run) != Counter(
        {(row["archive"], row["window"]): row["entries"] for row in windows.to_pylist()}
    ):
        yield run.plan / "entries.parquet", "its entries are not as many in each window as windows.parquet says"


def _rows_are_in_order(run: Run, shards: list[plan.Shard]) -> bool:
    """Say whether posts.parquet holds rows 0, 1, ... of shard 0, then those of shard 1, and so on."""
    ends = np.cumsum([shard.posts for shard in shards])
    at = 0
    for shard, row in _batches(run.plan / "posts.parquet", "shard", "row"):
        places = np.arange(at, at + len(shard))
        expected = np.searchsorted(ends, places, side="right")
        starts = np.concatenate([[0], ends])[expected]
        if not (np.array_equal(shard, expected) and np.array_equal(row, places - starts)):
            return False
        at += len(shard)
    return at == int(ends[-1])


def _entries_of_windows(run: Run) -> Counter[tuple[int, int]]:
    """Return the number of entries by archive and window; one that two posts list counts once."""
    found: Counter[tuple[int, int]] = Counter()
    last = np.full((1, 3), -1)
    for columns in _batches(run.plan / "entries.parquet", "archive", "window", "offset"):
        rows = np.stack(columns, axis=1)
        new = (rows != np.concatenate([last, rows[:-1]])).any(axis=1)
        for (archive, window), number in zip(
            *map(np.ndarray.tolist, np.unique(rows[new][:, :2], axis=0, return_counts=True)), strict=True
        ):
            found[archive, window] += number
        last = rows[-1:]
    return found


def _batches(path: Path, *columns: str) -> Iterator[list[npt.NDArray[np.int64]]]:
    with parquet.opened(path) as file:
        for batch in file.iter_batches(columns=list(columns), use_threads=False):
            if batch.num_rows:
                yield [batch.column(name).to_numpy().astype(np.int64) for name in columns]


def spool_names(run: Run) -> Iterator[str]:
    """Yield the names of the spools that the plan asks for."""
    for window in plan.windows(run, plan.METADATA):
        yield f"{_METADATA_SPOOL}{window.window:06d}"
    for window in plan.windows(run, plan.IMAGES):
        if window.spools:
            yield f"{_IMAGE_SPOOL}{window.window:06d}"


def spooled(run: Run, name: str, _: Manifest) -> Iterator[Difference]:
    """Yield how the spool ``name`` does not hold exactly the entries that the plan sends there, in order."""
    archive = plan.METADATA if name.startswith(_METADATA_SPOOL) else plan.IMAGES
    number = int(name.rpartition("-")[2])
    (window,) = (each for each in plan.windows(run, archive) if each.window == number)
    planned = plan.entries(run, archive, number)
    if archive == plan.IMAGES and window.shard is not None:
        planned = planned.filter(pc.not_equal(planned["shard"], window.shard))
    places = sorted(zip(*(planned[column].to_pylist() for column in ("shard", "row", "image")), strict=True))
    held = (entry[:3] for entry in spool.read_places(run.spool / f"{name}.spool"))
    for there, wanted in zip_longest(held, places):
        if there != wanted:
            said = "shard {}, row {}, image {}".format
            there, wanted = ("the end" if place is None else said(*place) for place in (there, wanted))
            yield run.spool / f"{name}.spool", f"holds {there}, where the plan has {wanted}"
            return


def post_shard(run: Run, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the records, faults and members of a post shard do not fit the plan and each other."""
    shard = int(name.rpartition("-")[2])
    counts = manifest.counts
    records, index = run.posts / f"{name}.parquet", run.posts / f"{name}{offsets.SUFFIX}"
    lost_posts: list[tuple[str, str]] = []
    if counts["faults"]:
        table = parquet.read(run.posts / f"{name}.{faults.FILE}")
        lost = table.filter(table["post_lost"])
        lost_posts = list(zip(lost["influencer"].to_pylist(), lost["post_id"].to_pylist(), strict=True))
        if (table.num_rows, len(lost_posts)) != (counts["faults"], counts["lost"]):
            what = f"{table.num_rows} faults with {len(lost_posts)} lost posts, the manifest says"
            yield run.posts / f"{name}.{faults.FILE}", f"{what} {counts['faults']} with {counts['lost']}"
    planned = plan.posts(run, shard).select(["key", "influencer", "post_id"]).to_pylist()
    gone = set(lost_posts)
    wanted = [row["key"] for row in planned if (row["influencer"], row["post_id"]) not in gone]
    with parquet.opened(records) as file:
        if not file.schema_arrow.equals(posts.SCHEMA):
            yield records, "its columns are not those of this version"
            return
    keys = parquet.read(records, columns=["key"])["key"].to_pylist()
    if len(keys) != counts["posts"]:
        yield records, f"{len(keys)} rows, the manifest says {counts['posts']}"
    if keys != wanted:
        at = next((n for n, pair in enumerate(zip_longest(keys, wanted)) if pair[0] != pair[1]))
        yield records, f"row {at} is not the post that plan and faults leave there"
        return
    yield from _members(run.posts / f"{name}.tar", index, records, bool(run.options.get("raw")))
    images = sum(map(len, parquet.read(records, columns=["images"])["images"].to_pylist()))
    if images != counts["images"]:
        yield records, f"{images} pictures, the manifest says {counts['images']}"


def _members(path: Path, index: Path, records: Path, raw: bool) -> Iterator[Difference]:
    """Compare the tar ``path`` with its index and the records: every name, place and header, and the JSON."""
    at = 0
    unchecked: list[offsets.Member] = []  # whose headers are compared many at a time
    fd = os.open(path, os.O_RDONLY)
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
                if member.offset != at + tar.BLOCK or member.size > tar.MAX_SIZE:
                    yield path, f"{member.name} is not where {index.name} says"
                    return
                at = member.offset + member.size + -member.size % tar.BLOCK
            unchecked += sample
            if len(unchecked) >= _ROWS:
                if name := _wrong_header(fd, unchecked):
                    yield path, f"{name} is not where {index.name} says"
                    return
                unchecked.clear()
            if orjson.loads(os.pread(fd, sample[0].size, sample[0].offset)) != record:
                yield path, f"{sample[0].name} is not row {number} of {records.name}"
                return
        if name := _wrong_header(fd, unchecked):
            yield path, f"{name} is not where {index.name} says"
            return
        ending = os.pread(fd, tar.RECORD + 2 * tar.BLOCK, at)
        if ending != bytes(tar.end(at)):
            yield path, "does not end as its index says"
    finally:
        os.close(fd)


def _wrong_header(fd: int, members: Sequence[offsets.Member]) -> str | None:
    """Return the name of the first of ``members`` whose header is not what its name and size make it, if any."""
    expected = tar.headers([member.name for member in members], [member.size for member in members])
    for member, header in zip(members, expected, strict=True):
        if os.pread(fd, tar.BLOCK, member.offset - tar.BLOCK) != header.tobytes():
            return member.name
    return None


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with parquet.opened(path) as file:
        for batch in file.iter_batches(_ROWS, use_threads=False):
            yield from batch.to_pylist()


def embedding_shard(run: Run, folder: Path, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how an embedding shard is not its encoder's, or not row for row that of the post shard."""
    encoder = embeddings.read_encoder(folder)
    if manifest.info.get("encoder") != encoder.fingerprint:
        yield folder / f"{name}.json", f"was made by another encoder than {embeddings.ENCODER_FILE} describes"
        return
    shard = int(name.rpartition("-")[2])
    held = embeddings.read(run, encoder, shard)
    keys = posts.read_records(run, shard, ["key"])["key"].combine_chunks()
    if not held.keys.equals(keys):
        yield folder / f"{name}.parquet", "its keys are not, row for row, those of the post shard"
        return
    present = int(held.present.sum())
    if (manifest.counts["posts"], manifest.counts["present"]) != (len(keys), present):
        yield folder / f"{name}.parquet", f"{len(keys)} rows, {present} of them present: the manifest says otherwise"
    if pc.is_null(held.reasons).to_pylist() != held.present.tolist():
        yield folder / f"{name}.parquet", "some rows are neither present nor have a reason, or both"
    if held.vectors is None:
        return
    if held.vectors.shape != (len(keys), encoder.dimensions) or held.vectors.dtype != np.dtype(encoder.dtype):
        yield folder / f"{name}.npy", f"has shape {held.vectors.shape} of {held.vectors.dtype}"
    elif held.vectors[~held.present].any():
        yield folder / f"{name}.npy", "a row that is not present is not zero"


def model(folder: Path, name: str, manifest: Manifest) -> Iterator[Difference]:
    """Yield how the files of a model do not fit its manifest; its folder may hold other units while it is trained."""
    if name != models.MANIFEST:
        return
    path = folder / models.PREDICTIONS_FILE
    with parquet.opened(path) as file:
        rows = file.metadata.num_rows
    if rows != manifest.counts["predictions"]:
        yield path, f"{rows} rows, the manifest says {manifest.counts['predictions']}"
    metrics = json.loads((folder / models.METRICS_FILE).read_bytes())
    if not manifest.info["settings"] == metrics["settings_fingerprint"] == sealed.canonical_hash(metrics["settings"]):
        yield folder / models.METRICS_FILE, "its settings are not those of the manifest"
