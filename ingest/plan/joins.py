"""The joins of the plan in DuckDB: out of memory where they must be, the same answer every time.

The statements are the files of ``sql/``, which say why they are as they are. ``tables.sql`` is the first: it has the
tables that go in, the ranks of faults, and how entries are named. Ten million rows of the mapping meet twenty million
entries here, so what is rare is looked for by a hash first, and is kept in small tables of its own.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import duckdb

from postmill.shards.formats.places import PART_BITS
from postmill.shards.run.chosen import Chosen
from postmill.shards.run.options import Options
from postmill.shards.run.sources import Sources

TABLES = "tables"
JOIN_STEPS = ("join_1_posts", "join_2_copies", "join_3_uses", "join_4_outcomes", "join_5_shards", "join_6_clashes")
"""What is done one after another when all tables are filled, in a run of everything; see :func:`steps`."""

MALFORMED_ROW = "malformed_row"  # the rank of what Python finds; all ranks are the type fault_rank of tables.sql


@dataclass(frozen=True)
class Totals:
    """The row of ``select_totals.sql``; ``uses`` counts the rows of the table of entries."""

    mapped_posts: int
    planned_posts: int
    planned_images: int
    lost: int
    not_chosen: int
    faults: int
    spanning_posts: int
    spool_bytes: int
    uses: int


def steps(chosen: Chosen) -> list[str]:
    """Return the steps of the joins in order: those of :data:`JOIN_STEPS`, and between them what leaves out posts.

    Which posts can be had, of which a sample is drawn, is known when they have been joined; of those drawn this is done
    again.
    """
    first, *joined, shards, clashes = JOIN_STEPS
    by_account = ["choose_accounts", "keep_chosen"] if chosen.by_account else []
    drawn = [] if chosen.sample is None else [*joined, "choose_sample", "keep_chosen"]
    return [first, *by_account, *drawn, *joined, shards, clashes]


def values(options: Options, sources: Sources, *, text_only: bool) -> dict[str, Any]:
    """Return what the steps take; of a dataset that is ``text_only`` there are no pictures."""
    chosen = options.chosen
    return {
        "shard_bytes": options.shard_bytes,
        "part_bits": PART_BITS,
        "pictureless": options.pictureless or text_only,
        "text_only": text_only,
        "one_archive": sources.metadata == sources.images,
        "sample": min(chosen.sample or 0, sys.maxsize),  # more than there can be is not more than DuckDB counts to
        "seed": str(chosen.seed),
    }


def script(name: str) -> str:
    """Return the statements of ``sql/NAME.sql``."""
    return files("postmill.ingest.plan").joinpath("sql", f"{name}.sql").read_text("utf-8")


def execute(db: duckdb.DuckDBPyConnection, name: str, **values: Any) -> None:
    """Run the statements of ``sql/NAME.sql``, giving each those of ``values`` that it names with a ``$``."""
    for statement in duckdb.extract_statements(script(name)):
        db.execute(statement, {parameter: values[parameter] for parameter in statement.named_parameters})


def query(db: duckdb.DuckDBPyConnection, name: str) -> duckdb.DuckDBPyRelation:
    """Return the rows of the query ``sql/NAME.sql``, which are not fetched yet."""
    return db.sql(script(name))


def totals(db: duckdb.DuckDBPyConnection) -> Totals:
    """Return the sums of the finished joins."""
    (row,) = query(db, "select_totals").fetchall()
    return Totals(*map(int, row))
