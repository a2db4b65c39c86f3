"""The plan: both central directories and the mapping, joined on disk, cut into windows and post shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingest import plan_sql
from ingest.plan_load import load
from ingest.source import Source
from ingest.space import AddressSpace
from shards import faults, plan, publish
from shards.errors import PostmillError
from shards.plan import ARCHIVES, IMAGES
from shards.progress import Progress, Silent
from shards.publish import Manifest, Unit
from shards.run import Run

MEMORY_LIMIT = "2GB"  # of the joins; what does not fit goes to disk
_ROW_GROUP = 1 << 17
_FETCH = 1 << 16


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
    done = publish.done(run.plan, plan.NAME, run.fingerprint)
    if done is not None:
        return done
    progress = progress or Silent()
    run.plan.mkdir(parents=True, exist_ok=True)
    publish.sweep(run.plan)
    try:
        with publish.scratch(run.plan) as scratch, duckdb.connect(str(scratch / "plan.duckdb")) as db:
            db.execute(f"SET memory_limit = '{MEMORY_LIMIT}'; SET preserve_insertion_order = false")
            db.execute("SET temp_directory = ?", [str(scratch)])
            db.execute(plan_sql.TABLES)
            counts = load(db, run, source, (metadata, images), progress)
            with progress.track("plan: join", len(plan_sql.STEPS), "steps") as advance:
                for step in plan_sql.STEPS:
                    _execute(db, step, {"shard_bytes": run.options["shard_bytes"]})
                    advance(1)
            if run.options["level"] == "strict":
                _refuse_contradictions(db, run)
            return _publish(db, run, counts, (metadata, images), progress)
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise PostmillError(
            f"the plan's join failed: {error}",
            place=run.plan,
            hint="it needs about 5 GB of disk there for 10 million posts; free some and run the command again",
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
    windows = _parts_needed(db.sql(plan_sql.SELECT_WINDOWS).to_arrow_table(), spaces)
    shards = db.sql(plan_sql.SELECT_SHARDS).to_arrow_table()
    last = [spaces[IMAGES].part_at(end - 1) for end in shards["last_end"].to_pylist()]
    shards = shards.drop_columns("last_end").append_column("last_part", pa.array(last, pa.int32())).cast(plan.SHARDS)
    counts.update(_totals(db))
    counts.update(shards=shards.num_rows)
    for archive, name in enumerate(ARCHIVES):
        counts[f"{name}_windows"] = windows.filter(pc.equal(windows["archive"], archive)).num_rows
    if not counts["planned_posts"]:
        raise PostmillError(
            f"none of the {counts['mapped_posts']} mapped posts has its metadata and a picture in the archives",
            place=run.folder,
            hint="check that mapping and archives belong together: entries are named info/USER-POST.info and "
            "image/USER-IMAGE.jpg",
        )
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        with progress.track("plan: write", counts["planned_posts"] + counts["uses"], "rows") as advance:
            for name, schema, query in (
                ("posts", plan.POSTS, plan_sql.SELECT_POSTS),
                ("entries", plan.ENTRIES, plan_sql.SELECT_ENTRIES),
                ("faults", faults.SCHEMA, plan_sql.SELECT_FAULTS),
            ):
                for rows in _stream(unit, f"{name}.parquet", schema, db.sql(query)):
                    advance(rows if name != "faults" else 0)
        unit.table("windows.parquet", windows)
        unit.table("shards.parquet", shards)
        del counts["uses"]
        unit.counts.update(counts)
    return plan.manifest(run)


def _stream(unit: Unit, name: str, schema: pa.Schema, result: duckdb.DuckDBPyRelation) -> Iterator[int]:
    """Write a query's rows in row groups of fixed size, so that the bytes do not depend on how they arrive."""
    reader = result.to_arrow_reader(_FETCH)
    with pq.ParquetWriter(unit.file(name), schema, compression="zstd", version="2.6") as writer:
        held: list[pa.RecordBatch] = []
        rows = 0
        for batch in reader:
            held.append(batch)
            rows += batch.num_rows
            while rows >= _ROW_GROUP:
                table = pa.Table.from_batches(held)
                writer.write_table(table.slice(0, _ROW_GROUP).cast(schema), row_group_size=_ROW_GROUP)
                held = table.slice(_ROW_GROUP).to_batches()
                rows -= _ROW_GROUP
                yield _ROW_GROUP
        table = pa.Table.from_batches(held, schema=reader.schema).cast(schema)
        writer.write_table(table, row_group_size=_ROW_GROUP)
        yield rows


def _parts_needed(windows: pa.Table, spaces: Sequence[AddressSpace]) -> pa.Table:
    """Return the windows with the first and last part that each needs."""
    rows = []
    for row in windows.to_pylist():
        space = spaces[row["archive"]]
        row["first_part"], row["last_part"] = space.part_at(row["start"]), space.part_at(row["end"] - 1)
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=plan.WINDOWS)


def _totals(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    (row,) = db.execute(plan_sql.SELECT_TOTALS).fetchall()
    return dict(zip(plan_sql.TOTALS, map(int, row), strict=True))


def _execute(db: duckdb.DuckDBPyConnection, script: str, values: dict[str, Any]) -> None:
    """Run the statements of ``script``, giving each the named values that it uses."""
    for statement in duckdb.extract_statements(script):
        wanted = {name: values[name] for name in statement.named_parameters}
        db.execute(statement, wanted)
