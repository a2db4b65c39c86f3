"""Faults: what was wrong with the input, each with one of a closed list of reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.parquet as pq

from shards import publish
from shards.plan import NAME as PLAN
from shards.posts import shard_name
from shards.run import Run

FILE = "faults.parquet"


class Reason(StrEnum):
    """Why an entry, a row or a post could not be used as it was meant."""

    METADATA_MISSING = "metadata_missing"
    METADATA_UNREADABLE = "metadata_unreadable"
    NO_IMAGE = "no_image"
    IMAGE_MISSING = "image_missing"
    DUPLICATE_MAPPING_ROW = "duplicate_mapping_row"
    CONFLICTING_MAPPING_ROW = "conflicting_mapping_row"
    MALFORMED_MAPPING_ROW = "malformed_mapping_row"
    MALFORMED_INFLUENCER_ROW = "malformed_influencer_row"
    DUPLICATE_INFLUENCER_ROW = "duplicate_influencer_row"
    UNMAPPED_METADATA = "unmapped_metadata"
    UNMAPPED_IMAGE = "unmapped_image"


MEANING = {
    Reason.METADATA_MISSING: "the mapping lists the post, the metadata archive has no such entry",
    Reason.METADATA_UNREADABLE: "the metadata entry is empty, not JSON, or not a post",
    Reason.NO_IMAGE: "none of the post's pictures could be had",
    Reason.IMAGE_MISSING: "the mapping lists the picture, the picture archive has no such entry",
    Reason.DUPLICATE_MAPPING_ROW: "the mapping has this row more than once; the first counts",
    Reason.CONFLICTING_MAPPING_ROW: "the mapping lists this post again with other pictures; the first row counts",
    Reason.MALFORMED_MAPPING_ROW: "the row of the mapping is not user, metadata name and list of picture names",
    Reason.MALFORMED_INFLUENCER_ROW: "the row of influencers.txt is not name, category and three numbers",
    Reason.DUPLICATE_INFLUENCER_ROW: "influencers.txt has this account more than once; the first row counts",
    Reason.UNMAPPED_METADATA: "the archive has this metadata entry, the mapping does not list it",
    Reason.UNMAPPED_IMAGE: "the archive has this picture, the mapping does not list it",
}


@dataclass(frozen=True)
class Fault:
    """One thing that was wrong.

    Attributes:
        reason: One of :class:`Reason`.
        post_lost: True if this is why a mapped post is in no shard; each lost post has exactly one such fault.
        influencer, post_id: The post, where it is about one.
        archive: ``metadata`` or ``images``, where it is about an entry.
        entry: Name of the entry, made printable.
        line: Line of the text file, from 1, where it is about a row.
        detail: What exactly, in words.
    """

    reason: str
    post_lost: bool = False
    influencer: str | None = None
    post_id: str | None = None
    archive: str | None = None
    entry: str | None = None
    line: int | None = None
    detail: str | None = None


SCHEMA = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("post_lost", pa.bool_(), nullable=False),
        ("influencer", pa.string()),
        ("post_id", pa.string()),
        ("archive", pa.string()),
        ("entry", pa.string()),
        ("line", pa.int64()),
        ("detail", pa.string()),
    ]
)


def table(faults: Sequence[Fault]) -> pa.Table:
    """Return ``faults`` as a table of :data:`SCHEMA`."""
    return pa.Table.from_pylist([asdict(fault) for fault in faults], schema=SCHEMA)


def tables(run: Run, shards: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield the name of its unit and each finished faults table of the run: the plan's, then the post shards'."""
    if publish.done(run.plan, PLAN, run.fingerprint) is not None:
        yield PLAN, pq.read_table(run.plan / FILE)
    for shard in range(shards):
        name = shard_name(shard)
        manifest = publish.done(run.posts, name, run.fingerprint)
        if manifest is not None and f"{name}.{FILE}" in manifest.files:
            yield name, pq.read_table(run.posts / f"{name}.{FILE}")
