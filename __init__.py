"""Split zips of social-media posts to WebDataset shards, embeddings, and honestly judged engagement models.

What a program may rely on is what this module exports; everything else may change with a release::

    import postmill

    with postmill.Archive.open("Post_images/posts_image.z07") as archive:
        for entry in archive.entries():
            print(entry.name, entry.size)

    run = postmill.open_run(Path("RUN"))
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmill.ingest.archive.entries import Entry
    from postmill.ingest.archive.reader import Archive
    from postmill.ingest.zipformat.faults import EntryFault
    from postmill.ingest.zipformat.space import Part, PartError
    from postmill.shards.formats.reasons import Reason
    from postmill.shards.run.folder import Run, open_run
    from postmill.shards.runtime.errors import PostmillError, UsageError

# Where each name is defined. It is imported when it is asked for, so that `import postmill` costs nothing.
_HOMES = {
    "Archive": "postmill.ingest.archive.reader",
    "Entry": "postmill.ingest.archive.entries",
    "EntryFault": "postmill.ingest.zipformat.faults",
    "Part": "postmill.ingest.zipformat.space",
    "PartError": "postmill.ingest.zipformat.space",
    "PostmillError": "postmill.shards.runtime.errors",
    "Reason": "postmill.shards.formats.reasons",
    "Run": "postmill.shards.run.folder",
    "UsageError": "postmill.shards.runtime.errors",
    "open_run": "postmill.shards.run.folder",
}

__all__ = [
    "Archive",
    "Entry",
    "EntryFault",
    "Part",
    "PartError",
    "PostmillError",
    "Reason",
    "Run",
    "UsageError",
    "open_run",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
