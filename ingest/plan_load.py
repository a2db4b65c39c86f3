"""The plan's sources into its tables: accounts, mapping rows, and the records of both central directories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingest.influencers import read_influencers
from ingest.levels import open_directory
from ingest.mapping import ROWS, read_mapping
from ingest.plan_entries import placed_entries
from ingest.source import Source
from ingest.space import AddressSpace
from shards import faults
from shards.plan import ARCHIVES
from shards.progress import Progress
from shards.reasons import Reason
from shards.run import Run

_INSERTED = 1 << 19  # rows at a time
_INSERT_ENTRIES = """
INSERT INTO entries BY NAME
SELECT * EXCLUDE (fault, detail, overlapping, most), $archive AS archive,
       CASE WHEN fault IS NOT NULL THEN fault WHEN overlapping THEN $overlap
            WHEN most > $limit THEN $large END AS fault,
       CASE WHEN fault IS NOT NULL THEN detail WHEN overlapping THEN 'at ' || "offset"
            WHEN most > $limit THEN most || ' bytes, the limit is ' || $limit END AS detail
FROM (SELECT *, greatest(size, compressed_size) AS most FROM incoming)
"""


def load(
    db: duckdb.DuckDBPyConnection,
    run: Run,
    source: Source,
    spaces: Sequence[AddressSpace],
    scratch: Path,
    progress: Progress,
) -> dict[str, int]:
    """Fill the tables of :data:`ingest.plan_sql.TABLES`; return how many rows of each source there were.

    Args:
        db: A connection in which the tables are.
        run: The pinned run.
        source: Where the text files lie.
        spaces: The metadata and the picture archive.
        scratch: A folder for what is put aside meanwhile, about 150 bytes for each entry of an archive.
        progress: Told of rows and entries, and of what is odd about an archive.

    Raises:
        PostmillError: A source cannot be read.
    """
    counts: dict[str, int] = {}
    accounts, found = read_influencers(source.influencers)
    _insert(db, "influencers", pa.Table.from_pylist([asdict(each) for each in accounts]))
    rows = bad = 0

    def mapping() -> Iterator[pa.Table]:
        nonlocal rows, bad
        for batch, malformed in read_mapping(source.mapping):
            rows, bad = rows + batch.num_rows, bad + len(malformed)
            advance(batch.num_rows + len(malformed))
            found.extend(malformed)
            yield pa.Table.from_batches([batch], schema=ROWS)

    with progress.track("plan: mapping", None, "rows") as advance:
        for table in _gathered(mapping()):
            _insert(db, "mapping", table)
            _insert_faults(db, found)
    _insert_faults(db, found)
    counts.update(mapping_rows=rows + bad, influencers=len(accounts))
    named = {"overlap": Reason.OVERLAP.value, "large": Reason.TOO_LARGE.value, "limit": run.options["max_entry"]}
    for archive, space in enumerate(spaces):
        name, files = ARCHIVES[archive], 0
        listing = open_directory(space, run.options["level"])
        with progress.track(f"plan: {name} directory", listing.directory.entries, "entries") as advance:
            for table in _gathered(placed_entries(run, space, listing, scratch / f"{name}.arrow", advance)):
                _execute(db, table, _INSERT_ENTRIES, {**named, "archive": archive})
                files += table.num_rows
        counts[f"{name}_entries"] = files
        for warning in listing.directory.warnings:
            progress.note(f"{name} archive: {warning}")
    return counts


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Put small tables together: each insertion costs as much as some hundred thousand rows."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= _INSERTED:
            yield pa.concat_tables(held)
            held.clear()
    if held:
        yield pa.concat_tables(held)


def _insert(db: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    _execute(db, rows, f"INSERT INTO {table} BY NAME SELECT * FROM incoming")


def _execute(db: duckdb.DuckDBPyConnection, incoming: pa.Table, statement: str, values: Any = None) -> None:
    """Run ``statement``, which reads ``incoming``."""
    db.register("incoming", incoming)
    db.execute(statement, values)
    db.unregister("incoming")


def _insert_faults(db: duckdb.DuckDBPyConnection, found: list[faults.Fault]) -> None:
    """Move ``found`` into the faults table."""
    if found:
        rank = pa.array([6] * len(found), pa.int8())
        _insert(db, "faults", faults.table(found).append_column("rank", rank))
        found.clear()
