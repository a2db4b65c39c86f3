"""Vectors of embedding shards brought into memory: by reading their files, never through the memory maps.

A map whose file cannot be read ends the process without a word (SIGBUS); a read that fails is an error with a name. And
where the page cache holds the file already, one copy out of it is all there is to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from postmill.train.data.arrays import Rows, Vectors
from postmill.train.data.modality import Block, Modality

_SPARSE = 4  # rows that span more than this many times their number are read one at a time
_WINDOW = 1 << 20  # bytes read at a time where only some of the rows in them are asked for


def allocate(modality: Modality, rows: int) -> Vectors:
    """Return memory, not yet written to, for the vectors of ``rows`` posts: shape (rows, D), of the type on disk.

    It is torch's: numpy asks for huge pages, and their first touch took 0.5 s for 160 MiB where memory was full of
    cached files, six times that of small pages.
    """
    stored = np.result_type(*(block.values.dtype for block in modality.blocks))
    memory: Vectors = torch.empty((rows, modality.width), dtype=torch.from_numpy(np.empty(0, stored)).dtype).numpy()
    return memory


def read(modality: Modality, rows: Rows, out: Vectors) -> None:
    """Read the vectors of ``rows`` to ``out``, shape (len(rows), D); fastest where rows ascend and are neighbours.

    Raises:
        OSError: A file cannot be read, or ends too soon.
    """
    for block, local, positions in _by_block(modality, rows):
        if block.path is None:
            out[positions] = block.values[local]
        else:
            _read_file(block, block.path, local, out[positions])


def _read_file(block: Block, path: Path, rows: Rows, out: Vectors) -> None:
    values = block.values
    fd = os.open(path, os.O_RDONLY)
    try:
        if (rows[1:] == rows[:-1] + 1).all() and out.dtype == values.dtype:
            _fill(fd, block, int(rows[0]), out)
            return
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        for start, stop, within in _windows(ascending, max(1, _WINDOW // values.strides[0])):
            window = np.empty((stop - start, *values.shape[1:]), dtype=values.dtype)
            _fill(fd, block, start, window)
            out[order[within]] = window[ascending[within] - start]
    finally:
        os.close(fd)


def _windows(rows: Rows, size: int) -> Iterator[tuple[int, int, slice]]:
    """Yield from and to which row of a file to read, and which of the ascending ``rows`` are in that window."""
    dense = rows[-1] - rows[0] < _SPARSE * len(rows)
    first = 0
    while first < len(rows):
        start = int(rows[first])
        last = int(np.searchsorted(rows, start + (size if dense else 1)))
        yield start, int(rows[last - 1]) + 1, slice(first, last)
        first = last


def _fill(fd: int, block: Block, row: int, out: Vectors) -> None:
    """Read the rows of a file from ``row`` on until ``out`` is full."""
    left = memoryview(out.view(np.uint8).reshape(-1).data) if out.size else memoryview(b"")
    offset = block.offset + row * block.values.strides[0]
    while left:
        size = os.preadv(fd, [left], offset)
        if not size:
            raise OSError(f"{block.path} ends before byte {offset + len(left)}")
        left, offset = left[size:], offset + size


def _by_block(modality: Modality, rows: Rows) -> Iterator[tuple[Block, Rows, slice]]:
    """Yield each block that rows lie in, their positions in it, and theirs among ``rows``."""
    if not len(rows):
        return
    lowest, highest = np.searchsorted(modality.starts, (rows.min(), rows.max()), side="right") - 1
    if lowest == highest:
        yield modality.blocks[lowest], rows - modality.starts[lowest], slice(0, len(rows))
        return
    block_of = np.searchsorted(modality.starts, rows, side="right") - 1
    cuts = [0, *(np.flatnonzero(np.diff(block_of)) + 1).tolist(), len(rows)]
    for first, last in pairwise(cuts):
        block = int(block_of[first])
        yield modality.blocks[block], rows[first:last] - modality.starts[block], slice(first, last)
