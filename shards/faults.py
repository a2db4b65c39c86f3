"""Faults: what was wrong with the input, each with one of a closed list of reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from shards import publish
from shards.plan import NAME as PLAN
from shards.posts import shard_name
from shards.reasons import MEANING, Reason
from shards.run import Run

FILE = "faults.parquet"


@dataclass(frozen=True)
class Fault:
    """One thing that was wrong.

    Attributes:
        reason: One of :class:`shards.reasons.Reason`.
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


def meaning(reason: str) -> str:
    """Return what a reader is told of ``reason``."""
    return MEANING[Reason(reason)]


def tables(run: Run, shards: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield the name of its unit and each finished faults table of the run: the plan's, then the post shards'."""
    if publish.done(run.plan, PLAN, run.fingerprint) is not None:
        yield PLAN, pq.read_table(run.plan / FILE)
    for shard in range(shards):
        name = shard_name(shard)
        manifest = publish.done(run.posts, name, run.fingerprint)
        if manifest is not None and f"{name}.{FILE}" in manifest.files:
            yield name, pq.read_table(run.posts / f"{name}.{FILE}")
