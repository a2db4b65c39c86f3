"""Whether the sources are the files that were handed out, by the checksums that came with them."""

from __future__ import annotations

from collections.abc import Sequence

from postmill.ingest.archive.levels import open_space
from postmill.ingest.source.checksums import read_checksums
from postmill.ingest.source.digests import check_digests
from postmill.ingest.source.file_tree import is_tree
from postmill.ingest.zipformat.parts import measure
from postmill.ingest.zipformat.space import Part, lay_out
from postmill.shards.run.options import Level
from postmill.shards.run.sources import NONE, Locations
from postmill.shards.runtime.progress import Progress


def check_copies(locations: Locations, lists: Sequence[str], level: Level | None, progress: Progress) -> None:
    """Read every part and text file that ``lists`` state a checksum of, and compare.

    Args:
        locations: Where the dataset lies.
        lists: Paths or addresses of lists of checksums.
        level: Default where None; with ``salvage`` parts may be missing, and files that differ are noted.
        progress: Told of the bytes read, and of what is not listed.

    Raises:
        DamagedSource: A file differs.
        UsageError: The lists are of something else.
        PostmillError: A source or a list is missing or cannot be read.
    """
    digests = read_checksums(lists)
    files: dict[str, Part] = {}  # by path: one archive may hold both
    for archive in (locations.metadata, *(() if locations.text_only else (locations.images,))):
        if is_tree(archive):
            continue
        with open_space(archive, level or Level.DEFAULT) as space:
            files.update((part.path, part) for part in space.parts if not part.missing)
    for text in (locations.mapping, locations.influencers):
        size = None if text == NONE else measure(text)
        if size is not None:  # what is not there, the plan tells
            files[text] = lay_out([(text, size)])[0]
    check_digests(list(files.values()), digests, progress, refuse=level is not Level.SALVAGE)
