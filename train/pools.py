"""Rows of embedding shards in shuffled pools: disks read stretches, batches are mixed, and memory holds little.

An epoch visits every row once. Rows are cut into stretches of :data:`STRETCH` neighbours; the stretches are shuffled
and put together into pools, and each pool is shuffled again, row by row. Both orders are a function of the seed, the
epoch and the pool, so a training can be taken up again at any pool. No row is read alone: while one pool is learnt
from, a thread reads the stretches of the next from front to back, into memory that the pool before the last has left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train import vectors
from train.features import Modality, Rows
from train.networks import Batch
from train.vectors import Vectors

POOL = 65_536
"""Rows shuffled together; with 1,280 half-precision numbers a row that is 160 MiB, and two pools are in memory."""

STRETCH = 4_096
"""Neighbouring rows that are read in one piece."""

CHUNK = 8_192
"""Rows predicted at a time."""

Room = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Pool:
    """N rows in memory: of each modality the vectors as they are on disk, shape (N, D), and presence, shape (N,)."""

    parts: Mapping[str, tuple[Tensor, Tensor]]
    rows: int

    def room(self, size: int) -> dict[str, tuple[Tensor, Tensor]]:
        """Return memory for batches of at most ``size``: new memory is slow."""
        return {
            name: (held.new_empty((size, held.shape[1])), present.new_empty(size))
            for name, (held, present) in self.parts.items()
        }

    def batch(self, at: Tensor, room: Room) -> Batch:
        """Return vectors, shape (B, D), and presence, shape (B,), of the places ``at``, shape (B,): in ``room``."""
        return {
            name: (_select(held, at, room[name][0]), _select(present, at, room[name][1]))
            for name, (held, present) in self.parts.items()
        }

    def to(self, device: str) -> Pool:
        """Return the pool on the device."""
        return Pool({name: (held.to(device), has.to(device)) for name, (held, has) in self.parts.items()}, self.rows)


def _select(held: Tensor, at: Tensor, room: Tensor) -> Tensor:
    """Copy rows to the beginning of ``room``: on the CPU by one thread, which wakes no other."""
    out = room[: len(at)]
    if held.device.type != "cpu":
        return torch.index_select(held, 0, at, out=out)
    block, target = held.numpy(), out.numpy()
    if block.strides[0] % 8 == 0 and block.ctypes.data % 8 == 0:  # soonest copied eight bytes at a time
        block, target = block.view(np.uint64), target.view(np.uint64)
    np.take(block, at.numpy(), axis=0, out=target, mode="clip")
    return out


def hold(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Pool:
    """Read ``rows`` of the modalities into memory; row n of it is ``rows[n]`` of theirs.

    Raises:
        OSError: A file cannot be read.
    """
    return _read(modalities, rows, _rooms(modalities, len(rows))).to(device)


def _rooms(modalities: Mapping[str, Modality], rows: int) -> dict[str, Vectors]:
    return {name: vectors.room(modality, rows) for name, modality in modalities.items()}


def _read(modalities: Mapping[str, Modality], rows: Rows, rooms: Mapping[str, Vectors]) -> Pool:
    parts = {}
    for name, modality in modalities.items():
        held = rooms[name][: len(rows)]
        for start in range(0, len(rows), STRETCH):
            vectors.read(modality, rows[start : start + STRETCH], held[start : start + STRETCH])
        parts[name] = (torch.from_numpy(held), torch.from_numpy(modality.present[rows]))
    return Pool(parts, len(rows))


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
    """Yield the places from 0 to ``size`` of one pool in batches of at most ``batch``, drawn at random.

    The places of a batch ascend: neighbours in it are then neighbours in memory, and their order bears on nothing else.
    """
    order = np.random.default_rng((seed, epoch, pool)).permutation(size)
    full = size - size % batch
    yield from np.sort(order[:full].reshape(-1, batch), axis=1)
    if full < size:
        yield np.sort(order[full:])


def ahead(modalities: Mapping[str, Modality], wanted: Sequence[Rows], device: str = "cpu") -> Iterator[Pool]:
    """Yield a pool of the rows of each of ``wanted``; a thread reads the next while one is in use.

    What is yielded is for use until the next is asked for.

    Raises:
        OSError: A file cannot be read.
    """
    if not wanted:
        return
    largest = max(len(rows) for rows in wanted)
    rooms = [_rooms(modalities, largest) for _ in wanted[:2]]
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(_read, modalities, wanted[0], rooms[0])
        for number in range(1, len(wanted) + 1):
            pool = following.result()
            if number < len(wanted):
                following = thread.submit(_read, modalities, wanted[number], rooms[number % 2])
            yield pool.to(device)


def in_order(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Iterator[tuple[slice, Batch]]:
    """Yield batches of ``rows`` from first to last, and where each lies; a batch is for use until the next."""
    wanted = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    for number, pool in enumerate(ahead(modalities, wanted, device)):
        yield slice(number * CHUNK, number * CHUNK + pool.rows), dict(pool.parts)
