"""The plan's tables on disk: what the joins made, row by row in its final order, and the manifest last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from postmill.ingest.plan import joins
from postmill.ingest.plan.accounts import say_which_are_unmapped
from postmill.ingest.plan.load import SourceCounts
from postmill.ingest.plan.names import say_what_is_left
from postmill.ingest.plan.nothing_found import nothing_found
from postmill.ingest.plan.window_table import WindowTable
from postmill.ingest.source.layout import metadata_entry
from postmill.shards.formats import faults, plan
from postmill.shards.formats.counts import PlanCounts
from postmill.shards.formats.places import part_of
from postmill.shards.formats.plan import IMAGES, METADATA
from postmill.shards.formats.reasons import Reason
from postmill.shards.run import pinned, publish
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Level
from postmill.shards.run.publish import Unit
from postmill.shards.run.sources import NONE
from postmill.shards.runtime.errors import DamagedSource, UsageError
from postmill.shards.runtime.progress import Progress

_FETCHED_ROWS = 1 << 16  # from DuckDB at a time
_TABLE_ROWS = 1 << 17  # written at a time
_ROW_GROUP = 1 << 14  # read at a time, by a task that wants the rows of one window or one shard
# Columns that Parquet encodes by dictionary. Trying that on columns of ever new values takes half of the time of
# writing.
_FEW_VALUES = ["archive", "window", "method", "flags", "shard", "image", "influencer", "category"]
_FEW_VALUES += ["followers", "followees", "influencer_posts", "reason", "detail"]


def write_tables(
    db: duckdb.DuckDBPyConnection,
    run: Run,
    sources: SourceCounts,
    parts: pa.Table,
    progress: Progress,
) -> None:
    """Publish the plan's tables.

    Args:
        db: A connection in which all steps of :data:`.joins.JOIN_STEPS` are done.
        run: Where they go: its folder of the plan.
        sources: How many rows of each source there were.
        parts: The table of the parts of both archives.
        progress: Told of the rows written.

    Raises:
        DamagedSource: Most of the metadata is in no row of the mapping, and not ``salvage``.
        PostmillError: Nothing of the mapping is in the archives, or the disk is full.
    """
    shards = joins.query(db, "select_shards").to_arrow_table()
    last = [part_of(end - 1) for end in shards["last_end"].to_pylist()]
    shards = shards.drop_columns("last_end").append_column("last_part", pa.array(last, pa.int32())).cast(plan.SHARDS)
    totals = joins.totals(db)
    if not totals.planned_posts and totals.not_chosen:
        raise UsageError(
            f"chooses {totals.mapped_posts - totals.not_chosen:,} of {totals.mapped_posts:,} mapped posts, and none of"
            " them has its metadata and a picture in the archives",
            place=str(run.options.chosen),
            hint="accounts are named as the mapping names them; choose others, or everything",
        )
    if not totals.planned_posts:
        raise nothing_found(db, totals.mapped_posts, run.locations)
    for archive, companions in joins.query(db, "select_companions").fetchall():
        progress.note(
            f"{archive} archive: {companions:,} files that macOS put beside others (__MACOSX, ._NAME) are left out"
        )
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        windows = WindowTable(dict(joins.query(db, "select_local_shards").fetchall()))
        reasons: Counter[str] = Counter()
        metadata_bytes = 0
        with progress.track("plan: write", totals.planned_posts + totals.uses, "rows") as advance:
            with closing(_written(unit, "posts.parquet", plan.POSTS, joins.query(db, "select_posts"))) as tables:
                for table in tables:
                    advance(table.num_rows)
            with closing(_written(unit, "entries.parquet", plan.ENTRIES, joins.query(db, "select_entries"))) as tables:
                for table in tables:
                    windows.add(table)
                    of_metadata = pc.equal(table["archive"], METADATA)
                    metadata_bytes += pc.sum(table["compressed_size"].filter(of_metadata)).as_py() or 0
                    advance(table.num_rows)
            with closing(_written(unit, faults.FILE, faults.SCHEMA, joins.query(db, "select_faults"))) as tables:
                for table in tables:
                    reasons += faults.count_reasons(table["reason"])
        unmapped = reasons[Reason.UNMAPPED_METADATA]
        if totals.not_chosen:  # which entries no row lists was not looked at; there are at least so many
            unmapped = sources.metadata_entries - totals.mapped_posts
        if 2 * unmapped > sources.metadata_entries:
            error = _short_mapping(run, unmapped, sources)
            if run.options.level is not Level.SALVAGE:
                raise error
            progress.note(error.cause)
        if run.locations.mapping == NONE and not run.locations.text_only:
            say_what_is_left(db, reasons[Reason.UNMAPPED_IMAGE], progress)
        window_table = windows.table()
        unit.table("windows.parquet", window_table)
        unit.table("shards.parquet", shards)
        unit.table("parts.parquet", parts)
        if run.options.chosen.accounts is not None:
            accounts = joins.query(db, "select_accounts").to_arrow_table().cast(plan.ACCOUNTS)
            unit.table(plan.ACCOUNTS_FILE, accounts)
            say_which_are_unmapped(dict(zip(*(column.to_pylist() for column in accounts), strict=True)), progress)
        PlanCounts(
            mapping_rows=sources.mapping_rows,
            influencers=sources.influencers,
            metadata_entries=sources.metadata_entries,
            images_entries=sources.images_entries,
            mapped_posts=totals.mapped_posts,
            planned_posts=totals.planned_posts,
            planned_images=totals.planned_images,
            lost=totals.lost,
            not_chosen=totals.not_chosen,
            faults=totals.faults,
            spanning_posts=totals.spanning_posts,
            spool_bytes=totals.spool_bytes,
            metadata_bytes=metadata_bytes,
            shards=shards.num_rows,
            metadata_windows=_window_count(window_table, METADATA),
            images_windows=_window_count(window_table, IMAGES),
            reasons=reasons,
        ).put(unit)
        pinned.state(unit, run)


def _short_mapping(run: Run, unmapped: int, sources: SourceCounts) -> DamagedSource:
    if run.locations.mapping == NONE:
        return DamagedSource(
            f"{unmapped:,} of {sources.metadata_entries:,} metadata entries are not named"
            f" {metadata_entry('USER', 'POST')}: without a mapping nothing else says of which post they are",
            place=run.locations.plain().metadata,
            hint="name the mapping with --mapping",
        )
    return DamagedSource(
        f"{unmapped:,} of {sources.metadata_entries:,} metadata entries are in no row of the mapping, which has"
        f" {sources.mapping_rows:,} rows: unless it was trimmed on purpose, it was cut short",
        place=run.locations.plain().mapping,
        hint="copy the mapping again, then run the same command",
    )


def _written(
    unit: Unit, name: str, schema: pa.Schema, rows: duckdb.DuckDBPyRelation
) -> Generator[pa.Table, None, None]:
    """Write a query's rows, and yield them, in row groups of fixed size: the bytes do not depend on how they arrive.

    One table is written while the next is fetched.
    """
    options: dict[str, Any] = {"compression": "zstd", "version": "2.6", "use_dictionary": _FEW_VALUES}
    with pq.ParquetWriter(unit.file(name, in_places=True), schema, **options) as writer, ThreadPoolExecutor(1) as pool:
        writing: Future[None] | None = None
        for table in _fetched(rows.to_arrow_reader(_FETCHED_ROWS), schema):
            if writing is not None:
                writing.result()
            writing = pool.submit(writer.write_table, table, row_group_size=_ROW_GROUP)
            yield table
        if writing is not None:
            writing.result()


def _fetched(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of ``reader`` as tables of _TABLE_ROWS rows; the last may be shorter, and empty."""
    rows = pa.Table.from_batches([], schema=reader.schema)
    for batch in reader:
        rows = pa.concat_tables([rows, pa.Table.from_batches([batch])])
        while rows.num_rows >= _TABLE_ROWS:
            yield rows.slice(0, _TABLE_ROWS).cast(schema)
            rows = rows.slice(_TABLE_ROWS)
    yield rows.cast(schema)


def _window_count(windows: pa.Table, archive: int) -> int:
    return int(windows.filter(pc.equal(windows["archive"], archive)).num_rows)
