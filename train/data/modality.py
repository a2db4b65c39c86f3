"""One modality of many posts: vectors in the blocks they have on disk, and which posts have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from postmill.shards.formats.encoders import Encoder
from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Mask, Matrix, Rows, Vectors

RECORDS = "records"
"""Stands in :attr:`.Encoder.models` of a modality that was computed from the records, without an encoder."""


@dataclass(frozen=True)
class Block:
    """The vectors of one shard.

    Attributes:
        values: Shape (posts of the shard, D).
        path: The file of which ``values`` is a memory map, row after row; None where they are in memory.
        offset: The byte of the file at which they begin.
    """

    values: Vectors
    path: Path | None = None
    offset: int = 0

    @classmethod
    def of_file(cls, path: Path, values: Vectors | None = None) -> Block:
        """Return the block of an ``.npy`` file, given what :func:`numpy.load` made of it, or opening it.

        A file in Fortran's order has no row in one piece: it is read through the map, as is what is no map.
        """
        if values is None:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(values, np.memmap) and values.flags.c_contiguous:
            return cls(values, path, values.offset)
        return cls(values)


@dataclass(frozen=True)
class Modality:
    """One modality of N posts, kept in the blocks it has on disk and never copied to memory as a whole.

    Attributes:
        name: One of :class:`.options.ModalityName`.
        encoder: The encoder it comes from; a description of the same form where it was computed from the records.
        columns: Name of each component where components have names, else empty.
        width: Number of components, D.
        blocks: One a shard.
        starts: Shape (shards + 1,): row at which each block begins, and N.
        present: Shape (N,): False where the post lacks the modality; its row is then zero.
        before_publication: Whether everything in it exists before a post is published.
        contents: A hash over the files that it was read from; empty where it was computed from the records.
    """

    name: str
    encoder: Encoder
    columns: tuple[str, ...]
    width: int
    blocks: tuple[Block, ...]
    starts: Rows
    present: Mask
    before_publication: bool
    contents: str = ""

    @property
    def is_embedding(self) -> bool:
        """Whether the components are an encoder's coordinates rather than numbers with a meaning each."""
        return not self.columns

    def take(self, rows: Rows) -> Matrix:
        """Return the vectors of ``rows``, shape (len(rows), D)."""
        if len(self.blocks) == 1:
            return self.blocks[0].values[rows].astype(np.float32)
        taken = np.empty((len(rows), self.width), dtype=np.float32)
        block_of = np.searchsorted(self.starts, rows, side="right") - 1
        for block in np.unique(block_of):
            positions = np.flatnonzero(block_of == block)
            taken[positions] = self.blocks[block].values[rows[positions] - self.starts[block]]
        return taken


def select(modality: Modality, prefixes: Sequence[str]) -> Modality:
    """Return the modality with only the named components that begin with one of ``prefixes``, in memory.

    Raises:
        UsageError: It has none.
    """
    kept = [number for number, name in enumerate(modality.columns) if name.startswith(tuple(prefixes))]
    if not kept:
        raise UsageError(
            f"the encoder {modality.encoder.encoder} has no component {' or '.join(prefixes)}",
            place=modality.encoder.folder,
            hint="encode with the metadata encoder of this version, or leave the model out",
        )
    blocks = tuple(Block(np.ascontiguousarray(block.values[:, kept])) for block in modality.blocks)
    return replace(modality, columns=tuple(modality.columns[n] for n in kept), width=len(kept), blocks=blocks)


def masked(modality: Modality, kept: Mask) -> Modality:
    """Return the modality as it would be if only the posts of ``kept``, shape (N,), had it."""
    return replace(modality, present=modality.present & kept)


def in_memory(
    name: str, columns: tuple[str, ...], values: Matrix, present: Mask, *, before_publication: bool
) -> Modality:
    """Return the modality of N posts that was computed from their records, shape (N, ``len(columns)``)."""
    description = Encoder(
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
    return Modality(name, description, columns, len(columns), (Block(values),), starts, present, before_publication)
