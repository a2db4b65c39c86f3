"""From the user's words for a dataset to a pinned run with a plan."""

from __future__ import annotations

from pathlib import Path

from ingest.levels import open_space
from ingest.options import MAX_ENTRY, SHARD_BYTES, Level
from ingest.source import Source, fingerprints
from shards import run as runs
from shards.manifests import Manifest
from shards.progress import Progress
from shards.run import Run


def prepare(
    source: Source,
    folder: Path,
    shard_bytes: int = SHARD_BYTES,
    max_entry: int = MAX_ENTRY,
    raw: bool = True,
    level: Level = "default",
    progress: Progress | None = None,
) -> tuple[Run, Manifest]:
    """Pin the run ``folder`` to ``source`` and these options, and make its plan unless it is there.

    Args:
        source: The dataset.
        folder: The run folder, new or of the same dataset and options.
        shard_bytes: Picture bytes of a window and so, about, of a post shard.
        max_entry: Largest entry that is taken, bytes.
        raw: Whether post shards keep the original metadata bytes.
        level: How much contradiction in an archive is borne, see :mod:`ingest.levels`.
        progress: Told of what is read.

    Raises:
        UsageError: ``folder`` belongs to another dataset or has other options.
        PostmillError: A source is incomplete or cannot be read.
    """
    from ingest.plan import make_plan  # loads the library of the joins, which a worker of ingest has no use for

    with (
        open_space(source.metadata, level) as metadata,
        open_space(source.images, level) as images,
    ):
        run = runs.create_or_check(
            folder,
            fingerprints(source, metadata, images),
            {"shard_bytes": shard_bytes, "max_entry": max_entry, "raw": raw, "level": level},
            {
                "metadata": _absolute(source.metadata),
                "images": _absolute(source.images),
                "mapping": _absolute(source.mapping),
                "influencers": _absolute(source.influencers),
            },
        )
        return run, make_plan(run, source, metadata, images, progress)


def _absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).resolve())
