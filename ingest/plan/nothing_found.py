"""The error of a plan without a post: what hid the posts, told where no run is left to ask for its faults."""

from __future__ import annotations

from shlex import quote
from typing import NamedTuple

import duckdb

from postmill.ingest.plan import joins
from postmill.ingest.source.layout import LAYOUTS
from postmill.ingest.zipformat.part_names import folder_of, parse_name
from postmill.shards.formats.plan import ARCHIVES
from postmill.shards.formats.reasons import MEANING, Reason
from postmill.shards.run.sources import NONE, Locations, places_of
from postmill.shards.runtime.addresses import plain
from postmill.shards.runtime.errors import PostmillError

_NAMED = 3  # reasons of an archive that are told
_BELONG = (
    "check that mapping and archives belong together: entries are named info/USER-POST.info and image/USER-IMAGE.jpg"
)
_NAMED_SO = (
    "name the mapping with --mapping, for these names do not tell; posts without pictures are kept with --pictureless, "
    "and --images none does without pictures at all"
)
_REPACK = "pack the archive anew: with plain names, deflated or stored, and without a password"
_HINTS = {
    Reason.TOO_LARGE: "allow larger entries with --max-entry",
    Reason.ENCRYPTED: _REPACK,
    Reason.METHOD_UNSUPPORTED: _REPACK,
    Reason.NAME_HOSTILE: _REPACK,
    Reason.NAME_UNDECODABLE: _REPACK,
}


class _LeftOut(NamedTuple):
    """A row of ``select_left_out.sql``: posts, or entries of an archive; without a reason those that are usable."""

    archive: str | None
    reason: str | None
    number: int
    example: str | None
    detail: str | None


def nothing_found(db: duckdb.DuckDBPyConnection, mapped_posts: int, locations: Locations) -> PostmillError:
    """Return the error for a mapping of which no post can be had.

    Args:
        db: A connection in which all steps of :data:`.joins.JOIN_STEPS` are done.
        mapped_posts: How many the mapping has.
        locations: Where the sources lie; of a run without a mapping names stand in its place.
    """
    named = locations.mapping == NONE
    rows = [_LeftOut(*row) for row in joins.query(db, "select_left_out").fetchall()]
    posts = ", ".join(f"{row.number:,} {row.reason}" for row in rows if row.archive is None)
    entries = "; ".join(_entries(archive, [row for row in rows if row.archive == archive]) for archive in ARCHIVES)
    left_out = sorted((row.number, Reason(row.reason)) for row in rows if row.archive and row.reason)
    if left_out:
        hint = _HINTS.get(left_out[-1][1], "fetch what is damaged again")
    else:
        hint = _swapped(rows, locations) or _packed_once_more(rows, locations) or (_NAMED_SO if named else _BELONG)
    what = f"{mapped_posts:,} posts that the names tell of" if named else f"{mapped_posts:,} mapped posts"
    return PostmillError(
        f"none of the {what} has its metadata and a picture in the archives"
        + (f" ({posts}); {entries}" if posts else f"; {entries}"),
        place="archives" if named else "mapping and archives",
        hint=hint,
    )


def _swapped(rows: list[_LeftOut], locations: Locations) -> str | None:
    """Say which options are to be exchanged where each archive holds what the other should; None where they do not."""
    example = {row.archive: row.example or "" for row in rows if row.archive is not None and row.reason is None}
    of_metadata = tuple(suffix for layout in LAYOUTS for suffix in layout.metadata.suffixes)
    of_pictures = tuple(suffix for layout in LAYOUTS for suffix in layout.images.suffixes)
    metadata, images = (example.get(name, "").lower() for name in ARCHIVES)
    if not (metadata.endswith(of_pictures) and images.endswith(of_metadata)):
        return None
    places = {"metadata": locations.images, "images": locations.metadata}
    words = " ".join(f"--{name} {quote(plain(each))}" for name, place in places.items() for each in places_of(place))
    return f"the two archives are swapped: exchange them: {words}"


def _packed_once_more(rows: list[_LeftOut], locations: Locations) -> str | None:
    """Say what unpacks an archive that holds parts of one; None where no name shows that."""
    for row in rows:
        name = None if row.example is None or row.reason is not None else parse_name(row.example)
        if row.archive is not None and name is not None and name.scheme.last is not None:
            place = plain(getattr(locations, row.archive))
            folder = quote(folder_of(place) or ".")
            return f"it holds parts of an archive: unpack it, and no more: unzip -n {quote(place)} -d {folder}"
    return None


def _entries(archive: str, rows: list[_LeftOut]) -> str:
    """Say how many entries of ``archive`` are left out and why, with a name of each reason."""
    files, usable = sum(row.number for row in rows), next((row for row in rows if row.reason is None), None)
    faulty = [(row, Reason(row.reason)) for row in rows if row.reason is not None]
    if not faulty:
        called = "" if usable is None else f", such as {usable.example}"
        return f"the {archive} archive has {files:,} files{called}"
    reasons = ", ".join(
        f"{row.number:,} {reason} ({MEANING[reason]}), such as {row.example}: {row.detail}"
        for row, reason in faulty[:_NAMED]
    )
    left_out = sum(row.number for row, _ in faulty)
    return f"of the {files:,} files of the {archive} archive {left_out:,} are left out: {reasons}"
