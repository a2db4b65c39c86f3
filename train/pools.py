"""Rows of embedding shards in shuffled pools: disks read stretches, batches are mixed, and memory holds little.

An epoch visits every row once. Rows are cut into stretches of :data:`STRETCH` neighbours; the stretches are shuffled
and put together into pools, and each pool is shuffled again, row by row. Both orders are a function of the seed, the
epoch and the pool, so a training can be taken up again at any pool. No row is read alone: while one pool is learnt
from, a thread reads the stretches of the next from front to back, into the page cache. Batches are gathered from there,
through the memory maps, and a pool's pages are given back when it is done with.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from train.features import Modality, Rows
from train.networks import Batch

POOL = 65_536
"""Rows shuffled together; with 1,280 half-precision numbers a row that is 160 MiB, and two pools are in memory."""

STRETCH = 4_096
"""Neighbouring rows that are read in one piece."""

CHUNK = 8_192
"""Rows predicted at a time."""

Room = Mapping[str, Tensor]

_SPARSE = 4  # a stretch that spans more than so many times its rows is left to be read where it is touched
_BLOCK = 1 << 20


class Pool(Protocol):
    """N rows of each modality."""

    @property
    def rows(self) -> int:
        """N."""

    def room(self, size: int) -> dict[str, Tensor]:
        """Return memory for batches of at most ``size``: new memory is slow."""

    def batch(self, at: Tensor, room: Room) -> Batch:
        """Return the batch of the places ``at``, ascending, in ``room``."""


@dataclass(frozen=True)
class Held:
    """A pool in memory: vectors as they are on disk, shape (N, D), and presence, shape (N,)."""

    parts: Mapping[str, tuple[Tensor, Tensor]]
    rows: int

    def room(self, size: int) -> dict[str, Tensor]:
        """Return memory for batches of at most ``size``."""
        return {
            name: torch.empty((size, vectors.shape[1]), dtype=vectors.dtype, device=vectors.device)
            for name, (vectors, _) in self.parts.items()
        }

    def batch(self, at: Tensor, room: Room) -> Batch:
        """Return the batch of the places ``at`` in ``room``."""
        return {
            name: (_select(vectors, at, room[name][: len(at)]), present.index_select(0, at))
            for name, (vectors, present) in self.parts.items()
        }


@dataclass(frozen=True)
class Mapped:
    """A pool where it lies, in files that are mapped: ``where``, shape (N,), are its rows in the modalities."""

    modalities: Mapping[str, Modality]
    where: Rows
    places: Mapping[str, Places]

    @property
    def rows(self) -> int:
        """N."""
        return len(self.where)

    def room(self, size: int) -> dict[str, Tensor]:
        """Return memory for batches of at most ``size``."""
        return {name: torch.from_numpy(_empty(modality, size)) for name, modality in self.modalities.items()}

    def batch(self, at: Tensor, room: Room) -> Batch:
        """Return the batch of the places ``at`` in ``room``."""
        chosen = at.numpy()
        found = {}
        for name, places in self.places.items():
            own = room[name][: len(chosen)]
            _gather(places, chosen, own.numpy())
            found[name] = (own, torch.from_numpy(places.present[chosen]))
        return found


@dataclass(frozen=True)
class Places:
    """Where N rows of a modality lie: number of the block and row in it, shape (N,) each, and presence."""

    blocks: Sequence[npt.NDArray[Any]]
    block: Rows
    row: Rows
    present: npt.NDArray[np.bool_]


def _select(vectors: Tensor, at: Tensor, out: Tensor) -> Tensor:
    """Copy rows: on the CPU by one thread, which waits for no other."""
    if vectors.device.type != "cpu":
        return torch.index_select(vectors, 0, at, out=out)
    block, target = vectors.numpy(), out.numpy()
    if _in_words(block):
        block, target = block.view(np.uint64), target.view(np.uint64)
    np.take(block, at.numpy(), axis=0, out=target, mode="clip")
    return out


def hold(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Held:
    """Read ``rows`` of the modalities into memory; row n of it is ``rows[n]`` of theirs.

    Raises:
        OSError: A file cannot be read.
    """
    parts = {}
    for name, modality in modalities.items():
        vectors, places = _empty(modality, len(rows)), locate(modality, rows)
        for start, some in zip(range(0, len(rows), STRETCH), _by_stretch(rows), strict=True):
            fetch(modality, some)
            _gather(places, np.arange(start, start + len(some)), vectors[start : start + len(some)])
            release(modality, some)
        parts[name] = (torch.from_numpy(vectors).to(device), torch.from_numpy(places.present).to(device))
    return Held(parts, len(rows))


def locate(modality: Modality, rows: Rows) -> Places:
    """Return where ``rows`` of a modality lie."""
    block = np.searchsorted(modality.starts, rows, side="right") - 1
    blocks = [np.asarray(each) for each in modality.blocks]
    # Rows are copied soonest in words of eight bytes.
    if len({each.dtype for each in blocks}) == 1 and all(_in_words(each) for each in blocks):
        blocks = [each.view(np.uint64) for each in blocks]
    return Places(blocks, block, rows - modality.starts[block], modality.present[rows])


def _gather(places: Places, chosen: Rows, out: npt.NDArray[Any]) -> None:
    """Copy the vectors of the ``chosen`` places, best ascending, to ``out``, shape (len(chosen), D)."""
    block, row = places.block[chosen], places.row[chosen]
    words = places.blocks[0].dtype == np.uint64
    target = out.view(np.uint64) if words else out
    cuts = np.flatnonzero(block[1:] != block[:-1]) + 1
    for first, last in pairwise((0, *cuts.tolist(), len(chosen))):
        if words and first < last:
            places.blocks[block[first]].take(row[first:last], axis=0, out=target[first:last], mode="clip")
        elif first < last:
            target[first:last] = places.blocks[block[first]][row[first:last]]


def _in_words(block: npt.NDArray[Any]) -> bool:
    return block.shape[1] * block.itemsize % 8 == 0 and block.flags.c_contiguous and block.flags.aligned


def fetch(modality: Modality, rows: Rows) -> None:
    """Read the stretches of files that hold ``rows`` into the page cache.

    Raises:
        OSError: They cannot be read; met at a memory map first, that would end the process without a word.
    """
    scratch = memoryview(bytearray(_BLOCK))
    for file, start, stop, wanted in _stretches(modality, rows):
        if stop - start > _SPARSE * wanted:
            continue
        fd = os.open(str(file.filename), os.O_RDONLY)
        try:
            while start < stop:
                done = os.preadv(fd, [scratch[: stop - start]], start)
                if not done:
                    raise OSError(f"{file.filename} ends before byte {stop}")
                start += done
        finally:
            os.close(fd)


def release(modality: Modality, rows: Rows) -> None:
    """Give back the pages that hold ``rows``: mapped, they would stay with the process for as long as there is room."""
    for file, start, stop, _ in _stretches(modality, rows):
        first = file.offset - file.offset % mmap.ALLOCATIONGRANULARITY  # where the map begins, as numpy makes it
        at = (start - first) // mmap.PAGESIZE * mmap.PAGESIZE
        file.base.madvise(mmap.MADV_DONTNEED, at, stop - first - at)


def _stretches(modality: Modality, rows: Rows) -> Iterator[tuple[Any, int, int, int]]:
    """Yield each mapped file that holds some of ``rows``, from and to which byte, and how many of these are theirs.

    A slice of a memory map keeps the whole map's offset, so only a whole one tells where its rows are.
    """
    for block, local, _ in _pieces(modality, rows):
        file: Any = block if isinstance(getattr(block, "base", None), mmap.mmap) else None
        if file is not None and file.flags.c_contiguous:
            start, stop = int(local.min()) * file.strides[0], (int(local.max()) + 1) * file.strides[0]
            yield file, file.offset + start, file.offset + stop, len(local) * file.strides[0]


def _pieces(modality: Modality, rows: Rows) -> Iterator[tuple[npt.NDArray[Any], Rows, slice]]:
    """Yield each block that rows lie in, their places in it, and theirs among ``rows``."""
    if len(modality.blocks) == 1:
        yield modality.blocks[0], rows, slice(0, len(rows))
        return
    block_of = np.searchsorted(modality.starts, rows, side="right") - 1
    cuts = [0, *(np.flatnonzero(np.diff(block_of)) + 1).tolist(), len(rows)]
    for first, last in pairwise(cuts):
        if first < last:
            block = int(block_of[first])
            yield modality.blocks[block], rows[first:last] - modality.starts[block], slice(first, last)


def _empty(modality: Modality, rows: int) -> npt.NDArray[Any]:
    return np.empty((rows, modality.width), dtype=np.result_type(*(block.dtype for block in modality.blocks)))


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

    The places of a batch ascend: neighbours in it are then neighbours on disk, and their order bears on nothing else.
    """
    order = np.random.default_rng((seed, epoch, pool)).permutation(size)
    for start in range(0, size, batch):
        yield np.sort(order[start : start + batch])


def ahead(modalities: Mapping[str, Modality], wanted: Sequence[Rows], device: str = "cpu") -> Iterator[Pool]:
    """Yield a pool of the rows of each of ``wanted``; a thread reads the next while one is in use.

    What is yielded is for use until the next is asked for.

    Raises:
        OSError: A file cannot be read.
    """
    if not wanted:
        return
    bring: Callable[[Rows], Held | Mapped] = partial(_mapped if device == "cpu" else hold, modalities)
    with ThreadPoolExecutor(max_workers=1) as thread:
        following = thread.submit(bring, wanted[0])
        for number in range(1, len(wanted) + 1):
            pool = following.result()
            if number < len(wanted):
                following = thread.submit(bring, wanted[number])
            if isinstance(pool, Held):
                yield Held({name: (a.to(device), b.to(device)) for name, (a, b) in pool.parts.items()}, pool.rows)
                continue
            yield pool
            for modality in modalities.values():
                for some in _by_stretch(pool.where):
                    release(modality, some)


def _mapped(modalities: Mapping[str, Modality], rows: Rows) -> Mapped:
    for modality in modalities.values():
        for some in _by_stretch(rows):
            fetch(modality, some)
    return Mapped(modalities, rows, {name: locate(modality, rows) for name, modality in modalities.items()})


def _by_stretch(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), STRETCH):
        yield rows[start : start + STRETCH]


def in_order(modalities: Mapping[str, Modality], rows: Rows, device: str = "cpu") -> Iterator[tuple[slice, Batch]]:
    """Yield batches of ``rows`` from first to last, and where each lies; a batch is for use until the next."""
    wanted = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    room: dict[str, Tensor] = {}
    for number, pool in enumerate(ahead(modalities, wanted, device)):
        room = room or pool.room(pool.rows)
        at = slice(number * CHUNK, number * CHUNK + pool.rows)
        yield at, pool.batch(torch.arange(pool.rows, device=device), room)
