"""The modality sentiment: what models are shown of the labels that a classifier gave captions and comments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats.embeddings import EmbeddingShard
from postmill.shards.formats.encoders import Encoder
from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Mask, Matrix, Vectors

_SIGNS: Mapping[str, float] = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}
_SIGNED = frozenset({"label", "score", "compound", *_SIGNS})  # columns of a model that tells positive from negative


@dataclass(frozen=True)
class Shown:
    """What models are shown of the sentiment of N posts.

    Attributes:
        columns: D names.
        values: Shape (N, D), float32, 0 where a text is absent.
        present: Shape (N,): whether any of the texts has a sentiment.
    """

    columns: tuple[str, ...]
    values: Matrix
    present: Mask


def of_shard(shard: EmbeddingShard, encoder: Encoder, *, with_comments: bool) -> Shown:
    """Return the sentiment of a shard's captions, and of its comments where asked for.

    Of a model that tells positive from negative it is one number a text: the label's confidence, from 0 to 1, with the
    sign of the label, positive +, negative -, neutral 0. Of any other it is the number of every label. Beside them
    stands whether there is a text.

    Raises:
        UsageError: The model has other labels, and their numbers were not kept.
    """
    texts = ("caption", "comments") if with_comments else ("caption",)
    labels = [name.removeprefix("caption_") for name in encoder.scalars if name.startswith("caption_")]
    is_signed = _SIGNED.issuperset(labels)
    columns: list[str] = []
    values: list[Vectors] = []
    present: list[Mask] = []
    for text in texts:
        has: Mask = shard.scalars[f"{text}_label"].combine_chunks().is_valid().to_numpy(zero_copy_only=False)
        if is_signed:
            columns.append(f"{text}_sentiment")
            values.append(_signed(shard.scalars, text, encoder))
        else:
            named = [f"{text}_{label}" for label in labels if label not in ("label", "score")]
            columns += named
            values += [_filled(shard.scalars[name]) for name in named]
        columns.append(f"has_{text}_sentiment")
        values.append(has)
        present.append(has)
    return Shown(tuple(columns), np.column_stack(values).astype(np.float32), np.logical_or.reduce(present))


def _signed(scalars: pa.Table, text: str, encoder: Encoder) -> Vectors:
    labels = scalars[f"{text}_label"].to_pylist()
    unknown = sorted({label for label in labels if label is not None and label.lower() not in _SIGNS})
    if unknown:
        raise UsageError(
            f"the sentiment encoder says {unknown[0]!r}, which is none of {', '.join(_SIGNS)}, and kept no number"
            " of its other labels",
            place=encoder.folder,
            hint="move its folder out of embeddings and encode again with the same --model: every label is kept now; or"
            " leave fusion out",
        )
    signs = np.array([0.0 if label is None else _SIGNS[label.lower()] for label in labels])
    return signs * _filled(scalars[f"{text}_score"])


def _filled(column: pa.ChunkedArray) -> Vectors:
    values: Vectors = pc.fill_null(column.cast("float64"), 0.0).to_numpy()
    return values
