"""How much of a disk a run takes, foretold from its plan: whole, and where post shards are let go (`run --lean`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from postmill.shards.formats import plan, tar
from postmill.shards.formats.encoders import Encoder
from postmill.shards.formats.plan import Shard
from postmill.shards.run.folder import Run

# Bytes of what has no length in the plan, rounded up from datasets of invented and of real posts.
_MEMBER = 3 * tar.BLOCK // 2  # of a tar beside its content: a header, and half a block to fill the last
_RECORD = 1000  # of `KEY.json` beside the texts, which the post's metadata hold too
_INDEXED = 150  # of a post in the index of a tar, and likewise in that of a spool
_ROW = 120  # of a post in a table of embeddings
_SECTOR = 512  # the unit of st_blocks
_BLOCK = 4096  # of a file system, the last of each file half empty


@dataclass(frozen=True)
class Room:
    """Bytes on disk, about.

    Attributes:
        kept: What stays in any case: the plan, the records, the embeddings.
        set_aside: Metadata and pictures on their way to the shards of their posts.
        tars: Of all post shards.
        largest: Of the largest.
    """

    kept: int
    set_aside: int
    tars: int
    largest: int

    @property
    def whole(self) -> int:
        """Where nothing is let go."""
        return self.kept + self.set_aside + self.tars

    def lean(self, at_once: int) -> int:
        """Where there are at most ``at_once`` tars at a time."""
        return self.kept + self.set_aside + min(self.tars, at_once * self.largest)


def foretold(run: Run, encoders: Sequence[Encoder] = ()) -> Room:
    """Return what ``run`` takes with the embeddings of ``encoders``, without models and report.

    Raises:
        PostmillError: A table of the plan cannot be read.
    """
    manifest, counts, shards = plan.manifest(run), plan.counts(run), plan.shards(run)
    metadata = counts.metadata_bytes // max(1, counts.planned_posts)  # of a post
    tars = [_tar(shard, metadata, run.options.raw) for shard in shards]
    of_a_post = metadata + 2 * _INDEXED + sum(_ROW + _vector(encoder) for encoder in encoders)
    files = len(shards) * (4 + 3 * len(encoders))
    return Room(
        kept=sum(state.bytes for state in manifest.files.values()) + counts.planned_posts * of_a_post + files * _BLOCK,
        set_aside=counts.metadata_bytes + counts.spool_bytes + counts.planned_posts * _INDEXED,
        tars=sum(tars),
        largest=max(tars, default=0),
    )


def taken(run: Run) -> int:
    """Return how many bytes of the disk the files of ``run`` take now."""
    size = 0
    for folder, _, files in os.walk(run.folder):
        for name in files:
            with suppress(FileNotFoundError):  # removed meanwhile
                size += Path(folder, name).lstat().st_blocks * _SECTOR
    return size


def _tar(shard: Shard, metadata: int, raw: bool) -> int:
    texts = _RECORD + metadata + raw * (_MEMBER + metadata)
    return shard.image_bytes + shard.images * _MEMBER + shard.posts * (_MEMBER + texts) + tar.RECORD


def _vector(encoder: Encoder) -> int:
    return encoder.dimensions * np.dtype(encoder.dtype).itemsize if encoder.dimensions else 0
