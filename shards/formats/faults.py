"""Faults: what was wrong with the input, each with one of a closed list of reasons, whichever stage found it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from postmill.shards.formats import embeddings, plan, posts
from postmill.shards.formats.counts import EmbeddingCounts
from postmill.shards.formats.encoders import Encoder, encode_command, encoders_of
from postmill.shards.formats.reasons import MEANING, REMEDY, Reason
from postmill.shards.formats.units import shard_name
from postmill.shards.run import checked, manifests, parquet, regular
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import FileState, Manifest

FILE = "faults.parquet"  # of the plan
FOLDER = "faults"  # below that of the post shards, so that no glob of the records takes them for some
_ROWS = 10_000


@dataclass(frozen=True)
class Fault:
    """One thing that was wrong.

    Attributes:
        reason: One of :class:`.reasons.Reason`.
        post_lost: True if this is why a mapped post is in no shard; each lost post has exactly one such fault.
        post_waits: True if this is why a mapped post is in no shard until other bytes are there; likewise one.
        influencer, post_id: The post, where it is about one.
        archive: ``metadata`` or ``images``, where it is about an entry.
        entry: Name of the entry, made printable.
        line: Line of the text file, from 1, where it is about a row.
        detail: What exactly, in words.
        seen_place, seen_bytes, seen_hash: Where bytes lie that do not fit, and what they were (:class:`.spool.Seen`).
    """

    reason: str
    post_lost: bool = False
    influencer: str | None = None
    post_id: str | None = None
    archive: str | None = None
    entry: str | None = None
    line: int | None = None
    detail: str | None = None
    post_waits: bool = False
    seen_place: int | None = None
    seen_bytes: int | None = None
    seen_hash: str | None = None


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
        pa.field("post_waits", pa.bool_(), nullable=False),
        ("seen_place", pa.int64()),
        ("seen_bytes", pa.int64()),
        ("seen_hash", pa.string()),
    ]
)

OF_COPIES = ("post_waits", "seen_place", "seen_bytes", "seen_hash")
"""The columns of what another copy may mend: not in format 2, and of no fault that the plan finds."""


def shard_file(shard: int) -> str:
    """Return the name of the table of faults of post shard ``shard``, in the folder of the post shards."""
    return f"{FOLDER}/{shard:06d}.parquet"


def table(faults: Sequence[Fault]) -> pa.Table:
    """Return ``faults`` as a table of :data:`SCHEMA`."""
    return pa.Table.from_pylist([asdict(fault) for fault in faults], schema=SCHEMA)


def meaning(reason: str) -> str:
    """Return what a reader is told of ``reason``."""
    return MEANING[Reason(reason)]


def remedy(reason: str) -> str:
    """Return what a reader is told of what would mend what ``reason`` names, or why nothing would."""
    return REMEDY[Reason(reason)]


def tables(run: Run, shards: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield the name of its unit and each finished faults table of the run: of the plan, post shards, and encoders."""
    planned = manifests.whole(run.plan, plan.NAME, run.fingerprint)
    if planned is not None and FILE in planned.files:
        yield plan.NAME, _read(run.plan / FILE, planned.files[FILE], plan.command(run))
    for shard in range(shards):
        table = of_shard(run, shard)
        if table is not None:
            yield shard_name(shard), table
    for encoder, shard, manifest in _of_encoders(run):
        file = f"{encoder.folder}/{shard_file(shard)}"
        state = manifest.files[shard_file(shard)]
        yield f"{encoder.folder}/{shard_name(shard)}", _read(run.embeddings / file, state, encode_command(run, encoder))


def _of_encoders(run: Run) -> Iterator[tuple[Encoder, int, Manifest]]:
    """Yield the embedding shards whose tables tell what was wrong with the pictures of a post shard.

    All encoders decode alike, so that of those that have looked at a post shard the first tells for all.
    """
    told: set[int] = set()
    for encoder in encoders_of(run):
        for path in regular.listed(run.embeddings / encoder.folder / FOLDER):
            shard = int(path.stem) if re.fullmatch(r"\d{6,9}\.parquet", path.name) else None
            manifest = None if shard is None or shard in told else embeddings.done(run, encoder, shard)
            if shard is not None and manifest is not None and shard_file(shard) in manifest.files:
                told.add(shard)
                yield encoder, shard, manifest


def count_encoders_reasons(run: Run) -> Counter[str]:
    """Return the faults that encoders found, by reason, as the manifests of the embedding shards state them.

    Raises:
        PostmillError: The folder of an encoder cannot be read.
    """
    total: Counter[str] = Counter()
    for _, _, manifest in _of_encoders(run):
        total.update(EmbeddingCounts.of(manifest).reasons or {})
    return total


def of_shard(run: Run, shard: int) -> pa.Table | None:
    """Return the table of faults of post shard ``shard``, None where it has none or is not done.

    Raises:
        PostmillError: The table is missing, damaged, or cannot be read.
    """
    name = shard_name(shard)
    manifest = manifests.whole(run.posts, name, run.fingerprint)
    for file in (shard_file(shard), f"{name}.{FILE}"):  # the second of format 2
        if manifest is not None and file in manifest.files:
            return _read(run.posts / file, manifest.files[file], f"postmill ingest {run.word}")
    return None


def _read(path: Path, state: FileState, command: str) -> pa.Table:
    try:
        table = parquet.read_checked(path, state, command)
        if OF_COPIES[0] not in table.column_names:  # of format 2
            for name in OF_COPIES:
                field = SCHEMA.field(name)
                column = pa.nulls(len(table), field.type) if field.nullable else pa.repeat(False, len(table))
                table = table.append_column(field, column)
        return table
    except pa.ArrowException as error:  # it holds what it should, and that is no table
        raise checked.damaged(path, str(error), command) from error


def count_reasons(reasons: pa.ChunkedArray) -> Counter[str]:
    """Return how often each value of a column ``reason`` is there."""
    return Counter({row["values"]: row["counts"] for row in reasons.value_counts().to_pylist()})


def total_faults(run: Run) -> int:
    """Return how many faults the run has, as the manifests of what is finished state it.

    Raises:
        UsageError: There is no finished plan.
    """
    planned = plan.counts(run)
    shards = (posts.counts(run, shard) for shard in range(planned.shards))
    found = planned.faults + sum(counts.faults for counts in shards if counts is not None)
    return found + count_encoders_reasons(run).total()


def count_faults(run: Run) -> list[FaultCount]:
    """Return the faults of the run by reason, the most frequent first.

    Raises:
        UsageError: There is no finished plan.
    """
    total: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for _, table in tables(run, plan.counts(run).shards):
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
    shards = plan.counts(run).shards
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["unit", *SCHEMA.names])
    for unit, table in tables(run, shards):
        for batch in table.to_batches(_ROWS):
            for row in batch.to_pylist():
                writer.writerow([unit, *row.values()])
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()
