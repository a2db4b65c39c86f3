"""The statements of the plan's joins use the words that the rest of the program uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest

from postmill.ingest.plan import collected, joins, load, make, names, nothing_found, write
from postmill.ingest.source.layout import metadata_entry, picture_entry
from postmill.shards.formats.plan import ARCHIVES, IMAGES, METADATA
from postmill.shards.formats.reasons import Reason
from postmill.shards.run.chosen import Accounts, Chosen
from postmill.shards.run.options import Options

FOLDER = files("postmill.ingest.plan") / "sql"
SCRIPTS = sorted(path.name.removesuffix(".sql") for path in FOLDER.iterdir())
OTHER_WORDS = {"window", "spanning", "forward_slash", "g", "_"}  # kinds of shards, and arguments of functions


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the empty tables of the plan."""
    with duckdb.connect() as connection:
        joins.execute(connection, joins.TABLES)
        yield connection


def words(name: str) -> set[str]:
    """The literals of a script that are one word."""
    code = re.sub("--.*", "", joins.script(name))
    return set(re.findall(r"'([a-z_]+)'", code))


def ranks(db: duckdb.DuckDBPyConnection, kind: str) -> list[str]:
    ((values,),) = db.execute(f"SELECT enum_range(NULL::{kind})").fetchall()
    return list(values)


def test_every_word_in_the_statements_is_a_reason_a_rank_or_an_archive(db: duckdb.DuckDBPyConnection) -> None:
    known = {*ranks(db, "fault_rank"), *ARCHIVES, *OTHER_WORDS}
    used = set().union(*(words(name) for name in SCRIPTS if name != joins.TABLES))
    assert used - known <= set(Reason)
    assert used & set(Reason) == {
        *(
            "malformed_mapping_row",
            "duplicate_mapping_row",
            "conflicting_mapping_row",
            "duplicate_name",
            "influencer_missing",
            "unmapped_metadata",
            "unmapped_image",
        ),
        *("metadata_missing", "no_image", "image_missing", "name_hostile", "overlap", "too_large"),
    }
    assert used | words(joins.TABLES) >= OTHER_WORDS


def test_every_rank_is_given_to_a_fault_and_every_fault_has_one(db: duckdb.DuckDBPyConnection) -> None:
    given = re.findall(r"'(\w+)' AS rank", "".join(map(joins.script, SCRIPTS)))
    assert {*given, joins.MALFORMED_ROW} == set(ranks(db, "fault_rank"))
    inserts = sum(joins.script(name).count("INSERT INTO faults") for name in SCRIPTS)
    assert len(given) == inserts


def test_the_archives_have_the_numbers_that_they_have_on_disk(db: duckdb.DuckDBPyConnection) -> None:
    assert tuple(ranks(db, "archive_name")) == ARCHIVES
    rows = db.execute("SELECT enum_code(name::archive_name) FROM (VALUES ('metadata'), ('images')) t(name)").fetchall()
    assert rows == [(METADATA,), (IMAGES,)]


@pytest.mark.parametrize("post_id", ["12", "x.y-z", "", "ünï", "a'b"])
def test_entries_are_named_in_the_joins_as_everywhere_else(db: duckdb.DuckDBPyConnection, post_id: str) -> None:
    values = {"account": "ann.lee", "name": post_id}
    ((metadata, picture),) = db.execute(
        "SELECT metadata_entry($account, $name), picture_entry($account, $name || '.jpg')", values
    ).fetchall()
    assert metadata == metadata_entry("ann.lee", post_id)
    assert picture == picture_entry("ann.lee", f"{post_id}.jpg")


def test_every_script_is_used_and_run_in_order_on_empty_tables(db: duckdb.DuckDBPyConnection) -> None:
    code = "".join(
        Path(str(module.__file__)).read_text() for module in (collected, joins, load, make, names, nothing_found, write)
    )
    asked = set(re.findall(r'"((?:join|select|insert|choose|keep|map|name)_\w+)"', code))
    assert asked | {joins.TABLES} == set(SCRIPTS)
    options = Options(chosen=Chosen(Accounts.of([]), sample=1 << 70, seed=1 << 70))
    for step in joins.steps(options.chosen):
        joins.execute(db, step, **joins.values(options, text_only=False, one_archive=False))
    assert joins.totals(db) == joins.Totals(*[0] * 9)
    for name in SCRIPTS:
        if name.startswith("select"):
            assert joins.query(db, name).fetchall() == ([(0,) * 9] if name == "select_totals" else [])
