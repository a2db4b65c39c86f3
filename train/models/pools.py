"""Rows of embedding shards in shuffled pools: disks read stretches, batches are mixed, and memory holds little.

An epoch visits every row once. Rows are cut into stretches of :data:`STRETCH` neighbours; the stretches are shuffled
and put together into pools, and each pool is shuffled again, row by row. Both orders are a function of the seed, the
epoch and the pool, so a training can be taken up again at any pool. No row is read alone: while one pool is learnt
from, a thread reads the stretches of the next from front to back, into memory that the pool before the last has left;
a training that is done with a pool before the next is there helps to read it.

By hand: torch's DataLoader takes rows one at a time, is many times slower on them, and cannot be taken up again at a
pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from postmill.train.data import vectors
from postmill.train.data.arrays import Rows, Vectors
from postmill.train.data.modality import Modality
from postmill.train.models.networks import Batch

IN_MEMORY = 65_536
"""Rows up to which a table is one pool, kept in memory; with 1,280 half-precision numbers a row that is 160 MiB."""

POOL = 16_384
"""Rows of a larger table that are shuffled together: two pools are in memory, and larger ones load more slowly."""

STRETCH = 1_024
"""Neighbouring rows that are read in one piece: sixteen stretches a pool, a megabyte or two each."""

CHUNK = 8_192
"""Rows predicted at a time."""

Buffers = Mapping[str, tuple[Tensor, Tensor]]
"""By modality: memory for the vectors and for the presence of a batch."""


@dataclass(frozen=True)
class Pool:
    """N rows in memory: of each modality the vectors as they are on disk, shape (N, D), and presence, shape (N,)."""

    parts: Mapping[str, tuple[Tensor, Tensor]]
    rows: int

    def buffers(self, size: int) -> Buffers:
        """Return memory for batches of at most ``size``, to be used for all of them: new memory is slow."""
        return {
            name: (values.new_empty((size, values.shape[1])), present.new_empty(size))
            for name, (values, present) in self.parts.items()
        }

    def batch(self, positions: Tensor, buffers: Buffers) -> Batch:
        """Return vectors, shape (B, D), and presence, shape (B,), of ``positions``, shape (B,): in ``buffers``."""
        return {
            name: (_select(values, positions, buffers[name][0]), _select(present, positions, buffers[name][1]))
            for name, (values, present) in self.parts.items()
        }

    def to(self, device: str) -> Pool:
        """Return the pool on the device."""
        parts = {name: (values.to(device), present.to(device)) for name, (values, present) in self.parts.items()}
        return Pool(parts, self.rows)


def _select(rows: Tensor, positions: Tensor, buffer: Tensor) -> Tensor:
    """Copy some of ``rows`` to the beginning of ``buffer``: on the CPU by one thread, which wakes no other."""
    out = buffer[: len(positions)]
    if rows.device.type != "cpu":
        return torch.index_select(rows, 0, positions, out=out)
    source, target = rows.numpy(), out.numpy()
    if source.strides[0] % 8 == 0 and source.ctypes.data % 8 == 0:  # eight bytes at a time are copied fastest
        source, target = source.view(np.uint64), target.view(np.uint64)
    np.take(source, positions.numpy(), axis=0, out=target, mode="clip")
    return out


def hold(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Pool:
    """Read ``rows`` of the modalities into memory; row n of it is ``rows[n]`` of theirs.

    Raises:
        OSError: A file cannot be read.
    """
    filling = _filling(modalities, rows, _allocate(modalities, len(rows)))
    filling.read()
    return filling.pool().to(device)


def _allocate(modalities: Mapping[str, Modality], rows: int) -> dict[str, Vectors]:
    return {name: vectors.allocate(modality, rows) for name, modality in modalities.items()}


@dataclass(frozen=True)
class _Filling:
    """A pool on its way into memory; several threads may read at it.

    Attributes:
        modalities: What is read.
        rows: Which rows of it.
        memory: Where to, at least as long as ``rows``.
        left: Modality and first position of each stretch that no thread has begun.
    """

    modalities: Mapping[str, Modality]
    rows: Rows
    memory: Mapping[str, Vectors]
    left: deque[tuple[str, int]]

    def read(self) -> None:
        """Read until nothing is left to begin.

        Raises:
            OSError: A file cannot be read.
        """
        while True:
            try:
                name, start = self.left.popleft()
            except IndexError:
                return
            stretch = slice(start, min(start + STRETCH, len(self.rows)))
            vectors.read(self.modalities[name], self.rows[stretch], self.memory[name][stretch])

    def pool(self) -> Pool:
        """Return the pool, all of which has been read."""
        size = len(self.rows)
        parts = {
            name: (torch.from_numpy(self.memory[name][:size]), torch.from_numpy(modality.present[self.rows]))
            for name, modality in self.modalities.items()
        }
        return Pool(parts, size)


def _filling(modalities: Mapping[str, Modality], rows: Rows, memory: Mapping[str, Vectors]) -> _Filling:
    left = deque((name, start) for name in modalities for start in range(0, len(rows), STRETCH))
    return _Filling(modalities, rows, memory, left)


def pools(count: int, seed: int, epoch: int) -> list[Rows]:
    """Return the positions from 0 to ``count`` in the pools of an epoch; within a pool, stretches ascend."""
    stretches = np.split(np.arange(count), range(STRETCH, count, STRETCH))
    order = np.random.default_rng((seed, epoch)).permutation(len(stretches))
    per_pool = POOL // STRETCH
    return [
        np.concatenate([stretches[n] for n in sorted(order[first : first + per_pool])])
        for first in range(0, len(order), per_pool)
    ]


def mixed(size: int, batch: int, seed: int, epoch: int, pool: int) -> Iterator[Rows]:
    """Yield the positions from 0 to ``size`` of one pool in batches of at most ``batch``, drawn at random.

    The positions of a batch ascend: neighbours in it are then neighbours in memory, and nothing else depends on order.
    """
    order = np.random.default_rng((seed, epoch, pool)).permutation(size)
    full = size - size % batch
    yield from np.sort(order[:full].reshape(-1, batch), axis=1)
    if full < size:
        yield np.sort(order[full:])


def ahead(modalities: Mapping[str, Modality], tables: Sequence[Rows], device: str = "cpu") -> Iterator[Pool]:
    """Yield a pool of the rows of each of ``tables``; a thread reads the next while one is in use.

    What is yielded is for use until the next is asked for.

    Raises:
        OSError: A file cannot be read.
    """
    if not tables:
        return
    largest = max(len(rows) for rows in tables)
    memory = [_allocate(modalities, largest) for _ in tables[:2]]
    with ThreadPoolExecutor(max_workers=1) as thread:

        def begin(number: int) -> tuple[_Filling, Future[None]]:
            filling = _filling(modalities, tables[number], memory[number % 2])
            return filling, thread.submit(filling.read)

        filling, reader = begin(0)
        for number in range(1, len(tables) + 1):
            filling.read()  # instead of waiting
            reader.result()
            pool = filling.pool()
            if number < len(tables):
                filling, reader = begin(number)
            yield pool.to(device)


def in_order(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Iterator[Batch]:
    """Yield batches of ``rows`` from first to last; a batch is for use until the next."""
    tables = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    for pool in ahead(modalities, tables, device):
        yield dict(pool.parts)
