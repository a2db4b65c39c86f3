"""What a call of encoding did, as its callers are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postmill.shards.formats.counts import EmbeddingCounts
from postmill.shards.formats.encoders import Encoder
from postmill.shards.formats.units import shard_name
from postmill.shards.indicators.coverage import Coverage, coverage
from postmill.shards.run import manifests
from postmill.shards.run.folder import Run


@dataclass(frozen=True)
class EncoderSummary:
    """What was done for one encoder.

    Attributes:
        encoder: Its description; ``encoder.folder`` names its folder.
        done: Post shards encoded by this call.
        skipped: Post shards that had been encoded before.
        posts: Rows in all of them.
        absent: Rows of them that are marked absent.
        left_out: Pictures that could not be used, each a fault of the run.
        coverage: Of an encoder of tone, how many texts it could judge.
    """

    encoder: Encoder
    done: int
    skipped: int
    posts: int
    absent: int
    left_out: int
    coverage: Coverage | None = None


@dataclass(frozen=True)
class EncodeSummary:
    """What a call did.

    Attributes:
        encoders: One for each encoder, in the order in which they were asked for.
        waiting: Post shards of this share that ingest has not finished, and that are therefore not encoded.
    """

    encoders: tuple[EncoderSummary, ...]
    waiting: int


def summary(run: Run, encoder: Encoder, shards: Sequence[int], done: int) -> EncoderSummary:
    """Return what was done for ``encoder``, which has encoded all of ``shards``, ``done`` of them by this call.

    Raises:
        PostmillError: What an encoder of tone wrote is damaged.
    """
    counts = [count for shard in shards if (count := _shard_counts(run, encoder, shard)) is not None]
    return EncoderSummary(
        encoder,
        done=done,
        skipped=len(shards) - done,
        posts=sum(count.posts for count in counts),
        absent=sum(count.absent for count in counts),
        left_out=sum(sum(count.reasons.values()) for count in counts if count.reasons is not None),
        coverage=coverage(run, encoder, shards),
    )


def _shard_counts(run: Run, encoder: Encoder, shard: int) -> EmbeddingCounts | None:
    manifest = manifests.read(run.embeddings / encoder.folder, shard_name(shard))
    return None if manifest is None else EmbeddingCounts.of(manifest)
