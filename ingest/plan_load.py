"""The plan's sources into its tables: accounts, mapping rows, and the records of both central directories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest import geometry
from ingest.influencers import read_influencers
from ingest.levels import Listing, open_directory
from ingest.mapping import ROWS, read_mapping
from ingest.source import Source
from ingest.space import AddressSpace
from ingest.witness import check_parts
from shards import faults
from shards.plan import ARCHIVES
from shards.progress import Progress
from shards.reasons import Reason
from shards.run import Run

_BYTES = ("offset", "compressed_size", "size")
_GEOMETRY = ("index", "offset", "name_length", "compressed_size")


def load(
    db: duckdb.DuckDBPyConnection, run: Run, source: Source, spaces: Sequence[AddressSpace], progress: Progress
) -> dict[str, int]:
    """Fill the tables of :data:`ingest.plan_sql.TABLES`; return how many rows of each source there were.

    Args:
        db: A connection in which the tables are.
        run: The pinned run.
        source: Where the text files lie.
        spaces: The metadata and the picture archive.
        progress: Told of rows and entries, and of what is odd about an archive.

    Raises:
        PostmillError: A source cannot be read.
    """
    counts: dict[str, int] = {}
    accounts, found = read_influencers(source.influencers)
    _insert(db, "influencers", pa.Table.from_pylist([asdict(each) for each in accounts]))
    with progress.track("plan: mapping", None, "rows") as advance:
        rows = bad = 0
        for batch, malformed in read_mapping(source.mapping):
            _insert(db, "mapping", pa.Table.from_batches([batch], schema=ROWS))
            found += malformed
            rows, bad = rows + batch.num_rows, bad + len(malformed)
            advance(batch.num_rows + len(malformed))
            _insert_faults(db, found)
    counts.update(mapping_rows=rows + bad, influencers=len(accounts))
    for archive, space in enumerate(spaces):
        listing = open_directory(space, run.options["level"])
        counts[f"{ARCHIVES[archive]}_entries"] = _load_entries(db, run, archive, space, listing, progress)
        for warning in listing.directory.warnings:
            progress.note(f"{ARCHIVES[archive]} archive: {warning}")
    return counts


def _load_entries(
    db: duckdb.DuckDBPyConnection, run: Run, archive: int, space: AddressSpace, listing: Listing, progress: Progress
) -> int:
    """Insert the records of one central directory, placed; return how many files there are, folders not counted."""
    directory, strict = listing.directory, run.options["level"] == "strict"
    places = [np.empty((len(_GEOMETRY), 0), dtype=np.int64)]
    files = 0
    db.execute('CREATE OR REPLACE TEMP TABLE records AS SELECT * EXCLUDE ("end", "window") FROM entries LIMIT 0')
    with progress.track(f"plan: {ARCHIVES[archive]} directory", directory.entries, "entries") as advance:
        for batch in check_parts(space, directory, listing.batches(), strict=strict):
            advance(batch.num_rows)
            usable = batch.filter(pc.is_null(batch["fault"]))
            places.append(np.stack([usable[name].to_numpy().astype(np.int64) for name in _GEOMETRY]))
            table = pa.Table.from_batches([batch]).filter(pc.invert(batch["is_dir"]))
            files += table.num_rows
            rows = pa.table(
                {
                    "archive": pa.array(np.full(table.num_rows, archive, dtype=np.int8)),
                    "position": table["index"].cast(pa.int64()),
                    **{name: table[name] for name in ("name", "raw_name")},
                    **{name: table[name].cast(pa.int64(), safe=False) for name in _BYTES},
                    **{name: table[name] for name in ("crc32", "method", "flags")},
                    "fault": table["fault"].cast(pa.string()),
                    "detail": table["detail"].cast(pa.string()),
                }
            )
            _insert(db, "records", rows)
    position, offset, length, compressed = np.concatenate(places, axis=1)
    parts = [(part.start, part.size) for part in space.parts]
    window_bytes = int(run.options["shard_bytes"])
    placed = geometry.place(offset, length, compressed, directory.start, parts, window_bytes, space.holes)
    where = pa.table(
        {
            "position": position,
            "end": placed.end,
            "window": placed.window,
            "overlaps": placed.overlaps,
        }
    )
    db.register("placed", where)
    db.execute(
        """
        INSERT INTO entries BY NAME
        SELECT r.* EXCLUDE (fault, detail), p."end", p."window",
               CASE WHEN r.fault IS NOT NULL THEN r.fault WHEN p.overlaps THEN $overlap
                    WHEN greatest(r.size, r.compressed_size) > $most THEN $large END AS fault,
               CASE WHEN r.fault IS NOT NULL THEN r.detail WHEN p.overlaps THEN 'at ' || "offset"
                    WHEN greatest(r.size, r.compressed_size) > $most
                    THEN greatest(r.size, r.compressed_size) || ' bytes, the limit is ' || $most END AS detail
        FROM records r LEFT JOIN placed p USING (position)
        """,
        {"overlap": Reason.OVERLAP.value, "large": Reason.TOO_LARGE.value, "most": run.options["max_entry"]},
    )
    db.unregister("placed")
    db.execute("DROP TABLE records")
    return files


def _insert(db: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    db.register("incoming", rows)
    db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")
    db.unregister("incoming")


def _insert_faults(db: duckdb.DuckDBPyConnection, found: list[faults.Fault]) -> None:
    """Move ``found`` into the faults table."""
    if found:
        rank = pa.array([6] * len(found), pa.int8())
        _insert(db, "faults", faults.table(found).append_column("rank", rank))
        found.clear()
