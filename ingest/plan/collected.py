"""Files of a collector in the plan: their entries as the dataset would call them, and the mapping of their posts.

Which file is of which post its JSON says, so all of it is read once, before anything else is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import duckdb
import pyarrow as pa

from postmill.ingest.archive.levels import open_directory
from postmill.ingest.archive.reader import Archive
from postmill.ingest.plan import joins
from postmill.ingest.source.confirm import RememberingSpace
from postmill.ingest.source.file_tree import TreeSpace
from postmill.ingest.source.layout import metadata_entry, picture_entry
from postmill.ingest.source.mapping_rows import ROWS
from postmill.ingest.source.shapes.instaloader import Collection, collect, is_document
from postmill.ingest.zipformat.faults import EntryFault
from postmill.shards.formats import faults
from postmill.shards.formats.bounds import MAX_PICTURES
from postmill.shards.formats.plan import ARCHIVES, IMAGES, METADATA
from postmill.shards.run.options import Options
from postmill.shards.run.sources import NONE, Locations
from postmill.shards.runtime.errors import PostmillError
from postmill.shards.runtime.progress import Advance, Progress

Insert = Callable[[str, pa.Table], None]  # rows into the table of that name

_NAMES = pa.schema([("archive", pa.string()), ("path", pa.string()), ("name", pa.string())])
_OF_NO_POST = "unmapped_entry"  # the rank of their faults


def is_collected(db: duckdb.DuckDBPyConnection) -> bool:
    """Say whether the metadata archive holds JSON files and none as the dataset has them."""
    return bool(joins.query(db, "select_collected").fetchall())


def map_collected(
    db: duckdb.DuckDBPyConnection,
    insert: Insert,
    options: Options,
    space: RememberingSpace,
    locations: Locations,
    progress: Progress,
) -> None:
    """Fill the tables by what the files say, of which the entries are in theirs.

    Args:
        db: A connection in which the tables are.
        insert: Puts rows into one of them.
        options: Of the run, for its level and its largest entry.
        space: The metadata archive.
        locations: Of the run: where there is no list of accounts, what the profiles say is taken.
        progress: Told of the files read.

    Raises:
        PostmillError: A file cannot be read.
    """
    paths = [path for (path,) in joins.query(db, "select_collected_paths").fetchall()]
    with progress.track("plan: JSON of posts", sum(map(is_document, paths)), "files") as advance:
        found = collect(paths, _documents(space, options, advance), options.max_entry)
    insert("collected", _names(found))
    joins.execute(db, "name_collected")
    rows = [
        (line, post.influencer, post.post_id, [name for name, _ in post.pictures])
        for line, post in enumerate(found.posts, 1)
    ]
    insert("mapping", pa.Table.from_pylist([_row(*row) for row in rows], schema=ROWS))
    told = [fault for fault in found.faults if not locations.text_only or fault.archive != ARCHIVES[IMAGES]]
    if told:
        table = faults.table(told).drop_columns(faults.OF_COPIES)
        insert("faults", table.append_column("rank", pa.array([_OF_NO_POST] * len(table))))
    if locations.influencers == NONE and found.accounts:
        insert("influencers", pa.Table.from_pylist([asdict(account) for account in found.accounts.values()]))
    accounts = {post.influencer for post in found.posts}
    progress.note(
        f"files of instaloader: {len(found.posts):,} posts of {len(accounts):,} accounts;"
        f" {found.others:,} other files, such as captions, comments and profiles, are left aside"
    )


def _documents(space: RememberingSpace, options: Options, advance: Advance) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON files of a folder or of an archive; what cannot be had of an archive is empty, and so told."""
    if isinstance(space, TreeSpace):
        for raw in space.tree.names:
            name = raw.decode("utf-8", "replace")
            if is_document(name) and name.encode() == raw:
                yield name, _read(space.tree.folder / name)
                advance(1)
        return
    archive = Archive(space, open_directory(space, options.level), strict=False, max_entry=options.max_entry)
    for entry in archive.entries():
        if entry.fault is None and not entry.is_dir and is_document(entry.name):
            try:
                content = archive.read(entry)
            except EntryFault:
                content = b""
            yield entry.name, content
            advance(1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}", place=path, hint="check the disk, and who may read the file"
        ) from error


def _names(found: Collection) -> pa.Table:
    """Return how each file of a post would be called, and in which archive."""
    rows = []
    for post in found.posts:
        name = metadata_entry(post.influencer, post.post_id)
        rows.append({"archive": ARCHIVES[METADATA], "path": post.document, "name": name})
        rows += [
            {"archive": ARCHIVES[IMAGES], "path": path, "name": picture_entry(post.influencer, picture)}
            for picture, path in post.pictures
            if path is not None
        ]
    return pa.Table.from_pylist(rows, schema=_NAMES)


def _row(line: int, influencer: str, post_id: str, pictures: list[str]) -> dict[str, object]:
    many = f"{len(pictures):,} pictures, where a post has {MAX_PICTURES:,} at most"
    malformed = many if len(pictures) > MAX_PICTURES else None
    images = pictures if malformed is None else None
    return dict(zip(ROWS.names, (line, influencer, post_id, images, malformed), strict=True))
