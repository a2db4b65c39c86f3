"""The plan's sources into its tables: accounts, mapping rows, and the records of both central directories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from postmill.ingest.archive.levels import open_directory
from postmill.ingest.plan import joins
from postmill.ingest.plan.accounts import chosen_accounts
from postmill.ingest.plan.collected import is_collected, map_collected
from postmill.ingest.plan.entries import place_entries, placed_entries
from postmill.ingest.plan.names import map_by_names
from postmill.ingest.source.confirm import RememberingSpace, confirm_archive, confirm_text
from postmill.ingest.source.file_tree import TreeSpace
from postmill.ingest.source.influencers import read_influencers
from postmill.ingest.source.mapping import read_mapping
from postmill.ingest.source.mapping_rows import ROWS
from postmill.ingest.source.pinning import pinned_archive
from postmill.ingest.source.textfile import TextHash
from postmill.shards.formats import faults
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.places import PART_BITS
from postmill.shards.formats.plan import ARCHIVES, IMAGES, METADATA, PARTS
from postmill.shards.run.options import Level, Options
from postmill.shards.run.sources import NO_ARCHIVE, NONE, Locations, PinnedArchive, Sources
from postmill.shards.runtime.progress import Progress

_INSERTED_ROWS = 1 << 19  # at a time


@dataclass(frozen=True)
class SourceCounts:
    """Rows of the mapping, malformed ones among them, accounts, and files of the metadata and the picture archive."""

    mapping_rows: int
    influencers: int
    metadata_entries: int
    images_entries: int


@dataclass(frozen=True)
class LoadedSources:
    """How many rows of each source there were, what pins the sources, and the table of parts (:data:`.plan.PARTS`)."""

    counts: SourceCounts
    sources: Sources
    parts: pa.Table


def load_sources(
    db: duckdb.DuckDBPyConnection,
    options: Options,
    locations: Locations,
    spaces: Sequence[RememberingSpace],
    scratch: Path,
    progress: Progress,
    listed: Sequence[str] | None = None,
) -> LoadedSources:
    """Fill the tables of ``sql/tables.sql``; each source is read once, and pinned by what was read.

    Args:
        db: A connection in which the tables are.
        options: Of the run, for its level, the length of its windows and its largest entry.
        locations: Where the text files lie.
        spaces: The metadata and the picture archive.
        scratch: A folder for what is put aside meanwhile, about 150 bytes for each entry of an archive.
        progress: Told of rows and entries, and of what is odd about an archive.
        listed: The accounts that were listed, of a run of chosen ones.

    Raises:
        UsageError: Categories are asked for that there are not.
        PostmillError: A source cannot be read.
    """
    influencers, mapping = TextHash(), TextHash()
    salvage = options.level is Level.SALVAGE
    with progress.track("plan: influencers", None, "rows") as advance:
        accounts, malformed = (
            ([], [])
            if locations.influencers == NONE
            else read_influencers(locations.influencers, influencers, salvage=salvage)
        )
        advance(len(accounts) + len(malformed))
    if accounts:
        _insert(db, "influencers", pa.Table.from_pylist([asdict(account) for account in accounts]))
    _insert_names(db, "listed_accounts", listed or ())
    if options.chosen.by_account:
        _insert_names(db, "chosen_accounts", chosen_accounts(options.chosen, listed, accounts))
    _insert_malformed(db, malformed)
    named = locations.mapping == NONE
    mapping_rows = 0 if named else _load_mapping(db, locations.mapping, mapping, progress, salvage)
    loaded = [_load_entries(db, options, archive, spaces[archive], scratch, progress) for archive in (METADATA, IMAGES)]
    if named and is_collected(db):
        map_collected(db, partial(_insert, db), options, spaces[METADATA], locations, progress)
    elif named:
        map_by_names(db)
    (metadata_files, metadata, metadata_parts), (image_files, images, image_parts) = loaded
    sources = Sources(metadata, images, mapping.pinned(), influencers.pinned())
    confirm_text(locations.influencers, sources.influencers, progress, "plan: influencers, read once more")
    confirm_text(locations.mapping, sources.mapping, progress, "plan: mapping, read once more")
    counts = SourceCounts(mapping_rows, len(accounts), metadata_files, image_files)
    return LoadedSources(counts, sources, pa.concat_tables([metadata_parts, image_parts]))


def _load_mapping(
    db: duckdb.DuckDBPyConnection, path: str, text_hash: TextHash, progress: Progress, salvage: bool
) -> int:
    """Fill the table of mapping rows; return how many rows the file has, malformed ones among them."""
    malformed: list[Fault] = []  # those not yet in the table of faults
    rows = 0
    with progress.track("plan: mapping", None, "rows") as advance:

        def good_rows() -> Iterator[pa.Table]:
            for batch, bad_rows in read_mapping(path, text_hash, salvage=salvage):
                malformed.extend(bad_rows)
                advance(batch.num_rows + len(bad_rows))
                yield pa.Table.from_batches([batch], schema=ROWS)

        for table in _gathered(good_rows()):
            _insert(db, "mapping", table)
            _insert_malformed(db, malformed)
            rows += table.num_rows + len(malformed)
            malformed.clear()
    return rows


def _load_entries(
    db: duckdb.DuckDBPyConnection,
    options: Options,
    archive: int,
    space: RememberingSpace,
    scratch: Path,
    progress: Progress,
) -> tuple[int, PinnedArchive, pa.Table]:
    """Put the entries of ``archive`` (METADATA or IMAGES) into their table.

    Returns:
        How many there are, what pins the archive, and its rows of the table of parts.
    """
    name = ARCHIVES[archive]
    if not space.parts:  # no pictures were asked for
        return 0, NO_ARCHIVE, PARTS.empty_table()
    listing = space.tree if isinstance(space, TreeSpace) else open_directory(space, options.level)
    values = {"archive": name, "max_entry": options.max_entry, "part_bits": PART_BITS}
    files, put_aside = 0, scratch / f"{name}.arrow"
    with progress.track(f"plan: {name} directory", listing.directory.entries, "entries") as advance:
        placed = place_entries(options, space, listing, put_aside, advance)
        for table in _gathered(placed_entries(placed, put_aside)):
            _execute_on(db, table, joins.script("insert_entries"), values)
            files += table.num_rows
    for warning in listing.directory.warnings:
        progress.note(f"{name} archive: {warning}")
    directory = None if options.level is Level.SALVAGE else listing.directory.start
    archive_pin = pinned_archive(space, directory)
    confirm_archive(space, listing.directory.start, progress, f"plan: {name} directory, read once more")
    needs = placed.needs.tolist()
    if listing.directory.kind == "bytes":  # an entry that goes on in the next slice needs this one to its end
        needs = [*(part.size for part in space.parts[:-1]), needs[-1]]
    parts = [
        {"archive": archive, "part": number, "name": part.name, "needs": need, "last": last if last >= 0 else None}
        for number, (part, need, last) in enumerate(zip(space.parts, needs, placed.last.tolist(), strict=True))
    ]
    return files, archive_pin, pa.Table.from_pylist(parts, schema=PARTS)


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Put small tables together: each insertion costs as much as some hundred thousand rows."""
    gathered: list[pa.Table] = []
    for table in tables:
        gathered.append(table)
        if sum(map(len, gathered)) >= _INSERTED_ROWS:
            yield pa.concat_tables(gathered)
            gathered.clear()
    if gathered:
        yield pa.concat_tables(gathered)


def _insert(db: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    _execute_on(db, rows, f"INSERT INTO {table} BY NAME SELECT * FROM incoming")


def _insert_names(db: duckdb.DuckDBPyConnection, table: str, names: Iterable[str]) -> None:
    _insert(db, table, pa.table({"influencer": pa.array(sorted(names), pa.string())}))


def _insert_malformed(db: duckdb.DuckDBPyConnection, malformed: Sequence[Fault]) -> None:
    """Put the faults of rows that could not be read into the table of faults."""
    if malformed:
        rank = pa.array([joins.MALFORMED_ROW] * len(malformed))
        _insert(db, "faults", faults.table(malformed).drop_columns(faults.OF_COPIES).append_column("rank", rank))


def _execute_on(db: duckdb.DuckDBPyConnection, rows: pa.Table, statement: str, values: Any = None) -> None:
    """Run ``statement``, which reads ``rows`` under the name ``incoming``."""
    db.register("incoming", rows)
    db.execute(statement, values)
    db.unregister("incoming")
