"""Rows of embedding shards, brought into memory in shuffled pools: disks read stretches, and batches are mixed.

An epoch visits every row once. Rows are cut into stretches of :data:`STRETCH` neighbours; the stretches are shuffled
and put together into pools, and each pool is shuffled again, row by row. Both orders are a function of the seed, the
epoch and the pool, so a training can be taken up again at any pool. No row is read alone: a stretch is one read, and
while one pool is learnt from, a thread fetches the next.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from train.features import Modality, Rows
from train.networks import Batch

POOL = 65_536
"""Rows shuffled together in memory; with 1,280 half-precision numbers a row that is 160 MiB, and two are held."""

STRETCH = 4_096
"""Neighbouring rows that are read in one piece."""

CHUNK = 8_192
"""Rows predicted at a time."""

Room = Mapping[str, npt.NDArray[Any]]

_SPARSE = 4  # a stretch that spans more than so many times its rows is read row by row


@dataclass(frozen=True)
class Held:
    """N rows of each modality in memory: vectors as they are on disk, shape (N, D), and presence, shape (N,)."""

    parts: Mapping[str, tuple[Tensor, Tensor]]
    rows: int

    def batch(self, at: Tensor, room: Mapping[str, Tensor] | None = None) -> Batch:
        """Return the batch of the places ``at``, in ``room`` where there is some: new memory is slow."""
        return {
            name: (
                vectors.index_select(0, at) if room is None else _select(vectors, at, room[name][: len(at)]),
                present.index_select(0, at),
            )
            for name, (vectors, present) in self.parts.items()
        }

    def room(self, size: int) -> dict[str, Tensor]:
        """Return memory for batches of ``size``."""
        return {
            name: torch.empty((size, vectors.shape[1]), dtype=vectors.dtype, device=vectors.device)
            for name, (vectors, _) in self.parts.items()
        }


def _select(vectors: Tensor, at: Tensor, out: Tensor) -> Tensor:
    """Copy the rows ``at`` to ``out``: on the CPU by one thread and eight bytes at a time, which waits for no other."""
    if vectors.device.type == "cpu" and vectors.shape[1] * vectors.element_size() % 8 == 0:
        words = (side.numpy().view(np.uint64) for side in (vectors, out))
        np.take(next(words), at.numpy(), axis=0, out=next(words), mode="clip")
        return out
    return torch.index_select(vectors, 0, at, out=out)


def hold(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu", room: Room | None = None) -> Held:
    """Read ``rows`` of the modalities into memory; row n of it is ``rows[n]`` of theirs.

    ``room`` has memory for each modality that may be used; what was held there before is then gone.
    """
    parts = {}
    for name, modality in modalities.items():
        vectors = torch.from_numpy(read(modality, rows, None if room is None else room[name][: len(rows)]))
        present = torch.from_numpy(modality.present[rows])
        parts[name] = (vectors.to(device), present.to(device))
    return Held(parts, len(rows))


def read(modality: Modality, rows: Rows, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """Return the vectors of ``rows`` in the number format they are stored in, shape (len(rows), D).

    Neighbouring rows are read from the file in one piece, past the memory map: pages mapped would stay with the
    process for as long as there is memory.
    """
    if out is None:
        out = np.empty((len(rows), modality.width), dtype=_dtype(modality))
    for start in range(0, len(rows), STRETCH):
        some = rows[start : start + STRETCH]
        block_of = np.searchsorted(modality.starts, some, side="right") - 1
        cuts = np.flatnonzero(np.diff(block_of)) + 1
        for piece in np.split(np.arange(len(some)), cuts):
            block = int(block_of[piece[0]])
            local = some[piece] - modality.starts[block]
            target = out[start + piece[0] : start + piece[-1] + 1]
            _read_block(modality.blocks[block], local, target)
    return out


def _dtype(modality: Modality) -> np.dtype[Any]:
    return np.result_type(*(block.dtype for block in modality.blocks))


def _read_block(block: Any, local: Rows, out: npt.NDArray[Any]) -> None:
    low, high = int(local.min()), int(local.max()) + 1
    if high - low > _SPARSE * len(local):
        out[:] = block[local]
        return
    dense = high - low == len(local) and bool((np.diff(local) == 1).all())
    # A slice of a memory map keeps the whole map's offset, so only a whole one tells where its rows are.
    mapped: Any = getattr(block, "base", None)
    whole = isinstance(block, np.memmap) and isinstance(mapped, mmap.mmap) and block.flags.c_contiguous
    if not whole:
        out[:] = block[low:high] if dense else block[local]
        return
    if dense and out.dtype == block.dtype:
        _read_file(block, low, out)
        return
    spanned = np.empty((high - low, block.shape[1]), dtype=block.dtype)
    _read_file(block, low, spanned)
    out[:] = spanned if dense else spanned[local - low]


def _read_file(block: Any, low: int, out: npt.NDArray[Any]) -> None:
    """Fill ``out`` with the rows from ``low`` of a memory-mapped file, read in order."""
    left = out.reshape(-1).view(np.uint8).data
    at = block.offset + low * block.shape[1] * block.dtype.itemsize
    fd = os.open(str(block.filename), os.O_RDONLY)
    try:
        while left:
            done = os.preadv(fd, [left], at)
            if not done:
                raise OSError(f"{block.filename} ends before row {low + len(out)}")
            left, at = left[done:], at + done
    finally:
        os.close(fd)


def pools(count: int, seed: int, epoch: int) -> list[Rows]:
    """Return the places from 0 to ``count`` in the pools of an epoch, stretches in order of place within a pool."""
    stretches = np.split(np.arange(count), range(STRETCH, count, STRETCH))
    order = np.random.default_rng((seed, epoch)).permutation(len(stretches))
    per_pool = POOL // STRETCH
    return [
        np.concatenate([stretches[n] for n in sorted(order[first : first + per_pool])])
        for first in range(0, len(order), per_pool)
    ]


def mixed(size: int, batch: int, seed: int, epoch: int, pool: int) -> Iterator[Rows]:
    """Yield the places from 0 to ``size`` of one pool in random order, in batches of at most ``batch``."""
    order = np.random.default_rng((seed, epoch, pool)).permutation(size)
    for start in range(0, size, batch):
        yield order[start : start + batch]


def ahead(modalities: Mapping[str, Modality], wanted: Sequence[Rows], device: str = "cpu") -> Iterator[Held]:
    """Yield the rows of each of ``wanted`` in memory; a thread reads the next while one is in use.

    What is yielded lasts until the next is asked for.
    """
    if not wanted:
        return
    largest = max(map(len, wanted))
    rooms = [
        {name: np.empty((largest, m.width), dtype=_dtype(m)) for name, m in modalities.items()}
        for _ in range(min(2, len(wanted)))
    ]
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(hold, modalities, wanted[0], "cpu", rooms[0])
        for number in range(1, len(wanted) + 1):
            held = following.result()
            if number < len(wanted):  # whoever asked for this pool is done with the one before, whose room is free
                following = thread.submit(hold, modalities, wanted[number], "cpu", rooms[number % 2])
            yield held if device == "cpu" else _move(held, device)


def _move(held: Held, device: str) -> Held:
    return Held({name: (a.to(device), b.to(device)) for name, (a, b) in held.parts.items()}, held.rows)


def in_order(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Iterator[tuple[slice, Batch]]:
    """Yield batches of ``rows`` from first to last, and where each lies."""
    wanted = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    for number, held in enumerate(ahead(modalities, wanted, device)):
        at = slice(number * CHUNK, number * CHUNK + held.rows)
        yield at, held.parts
