"""From the vectors of a shard's pictures to the rows of its posts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.encode.absence import Absence
from postmill.encode.interface import EncodedShard, ImageModel
from postmill.shards.formats.embeddings import PictureRows
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.plan import ARCHIVES, IMAGES

SCALARS = ("images_encoded", "images_left_out", "left_out_reason")


@dataclass(frozen=True)
class Outcome:
    """A picture without its bytes: its post's row, its position in the post, and the reason where it is left out."""

    row: int
    position: int
    reason: Absence | None


@dataclass
class ShardResults:
    """The results of a shard so far, in the order of the tar."""

    outcomes: list[Outcome] = field(default_factory=list)
    vectors: dict[int, list[npt.NDArray[np.float32]]] = field(default_factory=dict)  # by model, a batch each

    def add(self, outcomes: Sequence[Outcome], vectors: Mapping[int, npt.NDArray[np.float32]]) -> None:
        """Append those of a batch: what became of its pictures, and by model the unit vectors of those not left out."""
        self.outcomes.extend(outcomes)
        for n, rows_of_batch in vectors.items():
            self.vectors.setdefault(n, []).append(rows_of_batch)


def unit_vectors(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the rows of ``vectors``, shape (N, D), scaled to length 1; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


def rows(
    records: Sequence[Mapping[str, Any]], results: ShardResults, network: int, model: ImageModel, per_image: bool
) -> EncodedShard:
    """Return a row for each post.

    Args:
        records: Of the posts: ``key``, ``influencer``, ``post_id`` and ``images``.
        results: Of all pictures of the shard.
        network: The number in ``results`` of the model's vectors.
        model: The model.
        per_image: Keep a row for each picture too.
    """
    keys = [record["key"] for record in records]
    vectors = np.concatenate([np.empty((0, model.dimensions), np.float32), *results.vectors.get(network, [])])
    names, told = ((), vectors) if model.scores is None else (model.scores[0], model.scores[1](vectors))
    sums = np.zeros((len(keys), told.shape[1]), dtype=np.float32)
    encoded = np.zeros(len(keys), dtype=np.int32)
    left_out = np.zeros(len(keys), dtype=np.int32)
    reasons: list[str | None] = [None] * len(keys)
    # One after the other, in the order of the tar: sums do not depend on how pictures fell into batches.
    remaining = iter(told)
    for outcome in results.outcomes:
        if outcome.reason is None:
            sums[outcome.row] += next(remaining)
            encoded[outcome.row] += 1
        else:
            left_out[outcome.row] += 1
            reasons[outcome.row] = reasons[outcome.row] or outcome.reason
    absent = [
        None if count else (reason or Absence.NO_IMAGE) for count, reason in zip(encoded.tolist(), reasons, strict=True)
    ]
    scalars = dict(zip(SCALARS, (pa.array(encoded), pa.array(left_out), pa.array(reasons, pa.string())), strict=True))
    faults = [_fault(records[outcome.row], outcome) for outcome in results.outcomes if outcome.reason is not None]
    if model.scores is not None:
        means = sums / np.maximum(encoded, 1)[:, None]
        told_of = {name: pa.array(means[:, n], mask=encoded == 0) for n, name in enumerate(names)}
        return EncodedShard(keys, absent, None, {**told_of, **scalars}, None, faults)
    pictures = _picture_rows(results.outcomes, vectors) if per_image else None
    return EncodedShard(keys, absent, unit_vectors(sums), scalars, pictures, faults)


def _fault(record: Mapping[str, Any], left_out: Outcome) -> Fault:
    return Fault(
        str(left_out.reason),
        influencer=record["influencer"],
        post_id=record["post_id"],
        archive=ARCHIVES[IMAGES],
        detail=f"{record['images'][left_out.position]} of the mapping, {record['key']}.{left_out.position}.jpg",
    )


def _picture_rows(outcomes: Sequence[Outcome], vectors: npt.NDArray[np.float32]) -> PictureRows:
    reasons = [outcome.reason for outcome in outcomes]
    all_vectors = np.zeros((len(outcomes), vectors.shape[1]), dtype=np.float32)
    all_vectors[[reason is None for reason in reasons]] = vectors
    return PictureRows(
        rows=np.array([outcome.row for outcome in outcomes], np.int32),
        images=np.array([outcome.position for outcome in outcomes], np.int32),
        reasons=reasons,
        vectors=all_vectors,
    )
