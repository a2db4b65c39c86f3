"""Faults: what was wrong with the input, each with one of a closed list of reasons."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from shards import manifests, parquet, plan
from shards.posts import shard_name
from shards.reasons import MEANING, Reason
from shards.run import Run

FILE = "faults.parquet"
_ROWS = 10_000


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


@dataclass(frozen=True)
class FaultCount:
    """How often a reason occurs, how many posts it cost, and what it means."""

    reason: str
    faults: int
    lost: int
    meaning: str


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
    if manifests.done(run.plan, plan.NAME, run.fingerprint) is not None:
        yield plan.NAME, parquet.read(run.plan / FILE)
    for shard in range(shards):
        name = shard_name(shard)
        manifest = manifests.done(run.posts, name, run.fingerprint)
        if manifest is not None and f"{name}.{FILE}" in manifest.files:
            yield name, parquet.read(run.posts / f"{name}.{FILE}")


def count_reasons(reasons: pa.ChunkedArray) -> Counter[str]:
    """Return how often each value of a column ``reason`` is there."""
    return Counter({row["values"]: row["counts"] for row in reasons.value_counts().to_pylist()})


def total_faults(run: Run) -> int:
    """Return how many faults the run has, as the manifests of the plan and of the finished post shards state it.

    Raises:
        UsageError: There is no finished plan.
    """
    made = (manifests.done(run.posts, shard_name(shard.shard), run.fingerprint) for shard in plan.shards(run))
    return plan.manifest(run).counts["faults"] + sum(each.counts["faults"] for each in made if each is not None)


def count_faults(run: Run) -> list[FaultCount]:
    """Return the faults of the run by reason, the most frequent first.

    Raises:
        UsageError: There is no finished plan.
    """
    plan.manifest(run)
    total: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for _, table in tables(run, len(plan.shards(run))):
        total += count_reasons(table["reason"])
        lost += count_reasons(table["reason"].filter(table["post_lost"]))
    return [FaultCount(reason, n, lost[reason], meaning(reason)) for reason, n in total.most_common()]


def faults_csv(run: Run) -> Iterator[bytes]:
    """Yield all faults as CSV (RFC 4180, UTF-8): a header, then one row each with the unit that found it.

    Texts stand there as they are, quoted where they hold a comma, a quote or a line break; what is absent is empty.
    They come from the input: a spreadsheet must import them as text, or it takes one that begins with ``=`` for a
    formula.

    Raises:
        UsageError: There is no finished plan.
    """
    plan.manifest(run)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["unit", *SCHEMA.names])
    for unit, table in tables(run, len(plan.shards(run))):
        for batch in table.to_batches(_ROWS):
            for row in batch.to_pylist():
                writer.writerow([unit, *row.values()])
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
