"""A dataset without its mapping: which pictures a post has by the names of the entries, and what these leave open."""

from __future__ import annotations

import re

import duckdb

from postmill.ingest.plan import joins
from postmill.ingest.source.layout import LAYOUTS
from postmill.shards.formats.bounds import MAX_PICTURES
from postmill.shards.runtime.progress import Progress

_SUFFIXES = "|".join(re.escape(suffix) for layout in LAYOUTS for suffix in layout.images.suffixes)


def map_by_names(db: duckdb.DuckDBPyConnection) -> None:
    """Fill the table of mapping rows by the names of the entries, which are in theirs."""
    joins.execute(db, "map_by_names", picture_suffix=f"(?i)({_SUFFIXES})$", most_pictures=MAX_PICTURES)


def say_what_is_left(db: duckdb.DuckDBPyConnection, unmapped: int, progress: Progress) -> None:
    """Note how many posts and pictures the names do not bring together, if there are any.

    Args:
        db: A connection in which all steps of :data:`.joins.JOIN_STEPS` are done.
        unmapped: Pictures that are named after no post.
        progress: Told of it.
    """
    rows = joins.query(db, "select_pictureless").fetchall()
    pictureless = sum(count for (count,) in rows)
    if rows and (pictureless or unmapped):
        progress.note(
            f"without a mapping: {pictureless:,} posts have no picture that is named after them, and {unmapped:,} "
            "pictures are named after no post; to which posts those belong, as in carousels, only the mapping says"
        )
