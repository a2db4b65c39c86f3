"""The plan: both central directories and the mapping, joined on disk, cut into windows and post shards."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest import plan_sql
from ingest.plan_load import load
from ingest.plan_windows import Windows
from ingest.source import Source
from ingest.space import AddressSpace
from shards import faults, manifests, plan, publish, temporary
from shards.errors import PostmillError
from shards.manifests import Manifest
from shards.plan import ARCHIVES, IMAGES
from shards.progress import Progress, Silent
from shards.publish import Unit
from shards.run import Run

MEMORY_LIMIT = "2800MB"  # of the joins; what does not fit goes to disk
_THREADS = 4  # of the joins, at most: each wants its share of the memory
_ROWS = 1 << 17  # written at a time
_ROW_GROUP = 1 << 14  # read at a time: some are one window's, and so much more need not be
_FETCH = 1 << 16
# What Parquet is to keep by dictionary. Trying it on columns of ever new values takes half of the time of writing.
_FEW_VALUES = ["archive", "window", "method", "flags", "shard", "image", "influencer", "category"]
_FEW_VALUES += ["followers", "followees", "influencer_posts", "reason", "detail"]


def make_plan(
    run: Run, source: Source, metadata: AddressSpace, images: AddressSpace, progress: Progress | None = None
) -> Manifest:
    """Make the plan of ``run`` unless it is there; return its manifest.

    Args:
        run: A pinned run.
        source: Where the text files lie.
        metadata: The metadata archive.
        images: The picture archive.
        progress: Told of the rows and entries read.

    Raises:
        PostmillError: A source cannot be read, or nothing of the mapping is in the archives.
    """
    if run.plan.is_dir():
        temporary.sweep(run.plan)
    done = manifests.done(run.plan, plan.NAME, run.fingerprint)
    if done is not None:
        return done
    progress = progress or Silent()
    try:
        with publish.writing(run.plan), temporary.scratch(run.plan) as scratch, duckdb.connect() as db:
            # Tables in memory are not compressed, which is twice as fast to fill; beyond the limit they go to scratch.
            db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET preserve_insertion_order = false")
            db.execute(f"SET threads = {min(len(os.sched_getaffinity(0)), _THREADS)}")
            db.execute("SET temp_directory = ?", [str(scratch)])
            db.execute(plan_sql.TABLES)
            counts = load(db, run, source, (metadata, images), scratch, progress)
            with progress.track("plan: join", len(plan_sql.STEPS), "steps") as advance:
                for step in plan_sql.STEPS:
                    _execute(db, step, {"shard_bytes": run.options["shard_bytes"]})
                    advance(1)
            if run.options["level"] == "strict":
                _refuse_contradictions(db, run)
            return _publish(db, run, counts, (metadata, images), progress)
    except duckdb.IOException as error:
        raise PostmillError(
            f"the plan's join failed: {error}",
            place=run.plan,
            hint="it needs about 8 GB of disk there for 10 million posts; free some and run the command again",
        ) from error
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        raise PostmillError(
            f"the plan ran out of memory: {error}",
            place=run.plan,
            hint="it needs about 4 GB for 10 million posts, and as much disk for what does not fit; give it more, "
            "lift `ulimit -v`, and run the same command again",
        ) from error


def _refuse_contradictions(db: duckdb.DuckDBPyConnection, run: Run) -> None:
    for reason, entry, detail in db.execute(plan_sql.SELECT_CONTRADICTION).fetchall():
        raise PostmillError(
            f"{entry}: {reason}: {detail}",
            place=run.folder,
            hint="plan in a new run folder without --strict: it is then a fault of that one entry",
        )


def _publish(
    db: duckdb.DuckDBPyConnection,
    run: Run,
    counts: dict[str, int],
    spaces: Sequence[AddressSpace],
    progress: Progress,
) -> Manifest:
    """Write the plan's tables and manifest."""
    shards = db.sql(plan_sql.SELECT_SHARDS).to_arrow_table()
    last = [spaces[IMAGES].part_at(end - 1) for end in shards["last_end"].to_pylist()]
    shards = shards.drop_columns("last_end").append_column("last_part", pa.array(last, pa.int32())).cast(plan.SHARDS)
    counts.update(_totals(db))
    counts.update(shards=shards.num_rows)
    if not counts["planned_posts"]:
        raise PostmillError(
            f"none of the {counts['mapped_posts']} mapped posts has its metadata and a picture in the archives",
            place=run.folder,
            hint="check that mapping and archives belong together: entries are named info/USER-POST.info and "
            "image/USER-IMAGE.jpg",
        )
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        windows = Windows(dict(db.execute(plan_sql.SELECT_LOCAL_SHARDS).fetchall()))
        with progress.track("plan: write", counts["planned_posts"] + counts["uses"], "rows") as advance:
            with closing(_stream(unit, "posts.parquet", plan.POSTS, db.sql(plan_sql.SELECT_POSTS))) as tables:
                for table in tables:
                    advance(table.num_rows)
            with closing(_stream(unit, "entries.parquet", plan.ENTRIES, db.sql(plan_sql.SELECT_ENTRIES))) as tables:
                for table in tables:
                    windows.add(table)
                    advance(table.num_rows)
            found: Counter[str] = Counter()
            with closing(_stream(unit, "faults.parquet", faults.SCHEMA, db.sql(plan_sql.SELECT_FAULTS))) as tables:
                for table in tables:
                    found += faults.count_reasons(table["reason"])
        table = windows.table(spaces)
        unit.table("windows.parquet", table)
        unit.table("shards.parquet", shards)
        for archive, name in enumerate(ARCHIVES):
            counts[f"{name}_windows"] = table.filter(pc.equal(table["archive"], archive)).num_rows
        del counts["uses"]
        unit.counts.update(counts)
        unit.info["faults"] = dict(found)
    return plan.manifest(run)


def _stream(
    unit: Unit, name: str, schema: pa.Schema, result: duckdb.DuckDBPyRelation
) -> Generator[pa.Table, None, None]:
    """Write a query's rows, and yield them, in row groups of fixed size: the bytes do not depend on how they arrive.

    One row group is written while the next is fetched.
    """
    options: dict[str, Any] = {"compression": "zstd", "version": "2.6", "use_dictionary": _FEW_VALUES}
    with pq.ParquetWriter(unit.file(name), schema, **options) as writer, ThreadPoolExecutor(1) as pool:
        written: Future[None] | None = None
        for group in _groups(result.to_arrow_reader(_FETCH), schema):
            if written is not None:
                written.result()
            written = pool.submit(writer.write_table, group, row_group_size=_ROW_GROUP)
            yield group
        if written is not None:
            written.result()


def _groups(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of ``reader`` as tables of _ROWS rows; the last may be shorter, and empty."""
    held = pa.Table.from_batches([], schema=reader.schema)
    for batch in reader:
        held = pa.concat_tables([held, pa.Table.from_batches([batch])])
        while held.num_rows >= _ROWS:
            yield held.slice(0, _ROWS).cast(schema)
            held = held.slice(_ROWS)
    yield held.cast(schema)


def _totals(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    (row,) = db.execute(plan_sql.SELECT_TOTALS).fetchall()
    return dict(zip(plan_sql.TOTALS, map(int, row), strict=True))


def _execute(db: duckdb.DuckDBPyConnection, script: str, values: dict[str, Any]) -> None:
    """Run the statements of ``script``, giving each the named values that it uses."""
    for statement in duckdb.extract_statements(script):
        wanted = {name: values[name] for name in statement.named_parameters}
        db.execute(statement, wanted)
