"""What a model sees of a post: modalities assembled from embedding shards, never copied as a whole into memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from shards import embeddings, posts
from shards.embeddings import EmbeddingShard, Encoder
from shards.errors import PostmillError, UsageError
from shards.run import Run
from train import leaks

Rows = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

DEFAULT, PAPER = "default", "paper"
FEATURE_SETS = (DEFAULT, PAPER)

TEXT, IMAGE, SENTIMENT, METADATA = "text", "image", "sentiment", "metadata"
TEXT_WITH_COMMENTS = "text-with-comments"
ENCODED = (TEXT, IMAGE, SENTIMENT, METADATA)
"""The modalities that come from embedding shards."""

HISTORY, AFTERWARDS = "history", "afterwards"
"""What the records say of an account's earlier posts; and, for the demonstration of the leak alone, what exists only
after publication: the number of comments and their sentiment."""

MODALITIES = (*ENCODED, HISTORY)
RECORDS = "records"  # stands in Encoder.models of the modalities that no encoder made


@dataclass(frozen=True)
class Modality:
    """One modality of N posts, kept in the pieces it has on disk.

    Attributes:
        name: ``text``, ``image``, ``sentiment``, ``metadata``, ``history`` or ``afterwards``.
        encoder: The encoder it comes from; a description of the same form where it was computed from the records.
        columns: Name of each component where components have names, else empty.
        width: Number of components, D.
        blocks: One array a shard, shape (posts of the shard, D), memory-mapped where it is large.
        starts: Shape (shards + 1,): row at which each block begins, and N.
        present: Shape (N,): False where the post lacks the modality; its row is then zero.
        before_publication: Whether everything in it exists before a post is published.
    """

    name: str
    encoder: Encoder
    columns: tuple[str, ...]
    width: int
    blocks: tuple[npt.NDArray[Any], ...]
    starts: Rows
    present: npt.NDArray[np.bool_]
    before_publication: bool

    @property
    def is_embedding(self) -> bool:
        """Whether the components are an encoder's coordinates rather than numbers with a meaning each."""
        return not self.columns

    def take(self, rows: Rows) -> Matrix:
        """Return the vectors of ``rows``, shape (len(rows), D)."""
        if len(self.blocks) == 1:
            return self.blocks[0][rows].astype(np.float32)
        taken = np.empty((len(rows), self.width), dtype=np.float32)
        block_of = np.searchsorted(self.starts, rows, side="right") - 1
        for block in np.unique(block_of):
            where = np.flatnonzero(block_of == block)
            taken[where] = self.blocks[block][rows[where] - self.starts[block]]
        return taken


def select(modality: Modality, prefixes: Sequence[str]) -> Modality:
    """Return the modality with only the named components that begin with one of ``prefixes``, in memory.

    Raises:
        UsageError: It has none.
    """
    kept = [at for at, name in enumerate(modality.columns) if name.startswith(tuple(prefixes))]
    if not kept:
        raise UsageError(
            f"the encoder {modality.encoder.encoder} has no component {' or '.join(prefixes)}",
            place=modality.encoder.folder,
            hint="encode with the metadata encoder of this version, or leave the model out",
        )
    blocks = tuple(np.ascontiguousarray(block[:, kept]) for block in modality.blocks)
    return replace(modality, columns=tuple(modality.columns[at] for at in kept), width=len(kept), blocks=blocks)


def masked(modality: Modality, kept: npt.NDArray[np.bool_]) -> Modality:
    """Return the modality as it would be if only the posts of ``kept``, shape (N,), had it."""
    return replace(modality, present=modality.present & kept)


def in_memory(
    name: str, columns: tuple[str, ...], values: Matrix, present: npt.NDArray[np.bool_], *, before_publication: bool
) -> Modality:
    """Return the modality of N posts that was computed from their records, shape (N, ``len(columns)``)."""
    described = Encoder(
        encoder=name,
        models=RECORDS,
        model="",
        revision="1",
        weights_sha256="",
        precision="float64",
        dimensions=len(columns),
        dtype="float32",
        scalars=(),
        features=columns,
        available_before_publication=before_publication,
        stand_in_for="",
        preprocessing={},
    )
    starts = np.array([0, len(values)], dtype=np.int64)
    return Modality(name, described, columns, len(columns), (values,), starts, present, before_publication)


def gather(
    run: Run, shards: Sequence[int], names: Sequence[str], feature_set: str, models: str | None
) -> dict[str, Modality]:
    """Open the modalities ``names`` for all posts of ``shards``, in that order.

    Args:
        run: The run.
        shards: Numbers of finished post shards.
        names: Some of :data:`ENCODED`.
        feature_set: ``default`` leaves out what exists only after publication; ``paper`` takes the text with the
            comments merged in, and the sentiment of the comments.
        models: ``light`` or ``paper``, where the run has embeddings of both.

    Raises:
        UsageError: An encoder's embeddings are missing or ambiguous, or a feature may not be used.
        PostmillError: An embedding shard is missing, damaged, or does not fit its post shard.
    """
    available = embeddings.encoders(run)
    found = {}
    for name in names:
        wanted = TEXT_WITH_COMMENTS if (name, feature_set) == (TEXT, PAPER) else name
        encoder = choose(run, available, wanted, models)
        if name != SENTIMENT:  # of whose columns only those of the caption are taken below
            leaks.check_availability(encoder, after_publication_allowed=feature_set == PAPER)
        found[name] = _open(run, shards, name, encoder, feature_set)
    return found


def choose(run: Run, available: Sequence[Encoder], name: str, models: str | None) -> Encoder:
    """Return the one encoder called ``name`` among ``available``.

    Raises:
        UsageError: There is none, or there are several and ``models`` does not tell them apart.
    """
    named = [encoder for encoder in available if encoder.encoder == name]
    fitting = [encoder for encoder in named if models in (None, encoder.models)]
    if not fitting and len(named) == 1:
        fitting = named  # one set of models has no encoder of its own here: metadata is the same in both
    command = f"postmill encode {run.word} --encoders {name}"
    if not fitting:
        raise UsageError(
            f"has no embeddings of the encoder {name}" + (f" from the models {models}" if named else ""),
            place=run.embeddings,
            hint=f"make them: {command}" + (f" --models {models}" if models else ""),
        )
    if len(fitting) > 1:
        raise UsageError(
            f"has embeddings of the encoder {name} from several models: "
            + ", ".join(f"{encoder.model} ({encoder.models})" for encoder in fitting),
            place=run.embeddings,
            hint="say which to train on with --models paper or --models light, or move a folder away",
        )
    return fitting[0]


def _open(run: Run, shards: Sequence[int], name: str, encoder: Encoder, feature_set: str) -> Modality:
    blocks, present, columns = [], [], encoder.features
    for shard in shards:
        held = embeddings.read(run, encoder, shard)
        if not held.keys.equals(posts.read_records(run, shard, ["key"])["key"].combine_chunks()):
            raise PostmillError(
                f"embedding shard {posts.shard_name(shard)} is of other posts than the post shard",
                place=run.embeddings / encoder.folder,
                hint=f"delete the folder and encode again: postmill encode {run.word}",
            )
        if name == SENTIMENT:
            columns, block = signed_sentiment(held, with_comments=feature_set == PAPER)
            here = held.present & block[:, 1::2].any(axis=1)
        elif held.vectors is None:
            raise UsageError(
                f"the encoder {encoder.encoder} has no vectors to train on",
                place=run.embeddings / encoder.folder,
                hint="name another encoder's modality",
            )
        else:
            block, here = held.vectors, held.present
        blocks.append(block)
        present.append(here)
    starts = np.cumsum([0, *map(len, present)], dtype=np.int64)
    width = len(columns) if name == SENTIMENT else encoder.dimensions
    before = feature_set == DEFAULT or (name != SENTIMENT and encoder.available_before_publication)
    return Modality(name, encoder, columns, width, tuple(blocks), starts, np.concatenate(present), before)


def signed_sentiment(shard: EmbeddingShard, *, with_comments: bool) -> tuple[tuple[str, ...], Matrix]:
    """Return names and values, shape (N, 2 or 4), of the sentiment of each text and of whether it has one.

    The value is the label's confidence, from 0 to 1, with the sign of the label: positive +, negative -, neutral 0.

    Raises:
        UsageError: The encoder's labels are others.
    """
    names: list[str] = []
    values: list[npt.NDArray[Any]] = []
    for text in ("caption", "comments") if with_comments else ("caption",):
        labels = shard.scalars[f"{text}_label"].to_pylist()
        unknown = sorted({label for label in labels if label is not None and label.lower() not in _SIGNS})
        if unknown:
            raise UsageError(
                f"the sentiment encoder says {unknown[0]!r}, which is none of {', '.join(_SIGNS)}",
                place=f"{text}_label",
                hint="encode with a model that tells positive from negative, or leave fusion out",
            )
        has = np.array([label is not None for label in labels], dtype=bool)
        signs = np.array([0.0 if label is None else _SIGNS[label.lower()] for label in labels])
        scores = pc.fill_null(shard.scalars[f"{text}_score"].cast("float64"), 0.0).to_numpy()
        names += [f"{text}_sentiment", f"has_{text}_sentiment"]
        values += [signs * scores, has]
    return tuple(names), np.column_stack(values).astype(np.float32)


_SIGNS: Mapping[str, float] = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}
