"""Where models run, and how their batches are spread over threads without changing a bit of the result."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from shards.errors import UsageError
from shards.progress import Progress

DEVICES = ("auto", "cpu", "cuda")
_AHEAD = 2  # batches in hand for each thread: enough to keep it busy, little memory

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@dataclass(frozen=True)
class Compute:
    """A device.

    Attributes:
        device: ``cpu`` or ``cuda``.
        workers: Threads that decode pictures and, on the CPU, run the model, a batch each.
    """

    device: str
    workers: int

    @property
    def precision(self) -> str:
        """Number format of the model's weights and activations."""
        return "float16" if self.device == "cuda" else "float32"

    @property
    def batch_scale(self) -> int:
        """How many of the CPU's batches make one of this device's."""
        return 8 if self.device == "cuda" else 1


def choose(device: str, workers: int | None, progress: Progress) -> Compute:
    """Resolve ``device`` (one of :data:`DEVICES`) and say which was taken where it was left open.

    Args:
        device: What the user asked for.
        workers: Number of threads; None: as many as this process has cores.
        progress: Told what ``auto`` took.

    Raises:
        UsageError: ``cuda`` was asked for and there is none.
    """
    import torch

    found = torch.cuda.is_available()
    if device == "cuda" and not found:
        raise UsageError(
            "there is no CUDA device that torch can use here",
            place="--device cuda",
            hint="check nvidia-smi and that torch was installed with CUDA, or give --device cpu",
        )
    taken = "cuda" if found and device != "cpu" else "cpu"
    threads = workers or len(os.sched_getaffinity(0))
    if device == "auto":
        what = torch.cuda.get_device_name() if taken == "cuda" else f"the CPU, {threads} threads; CUDA was not found"
        progress.note(f"device: {what}")
    return Compute(taken, threads)


@contextmanager
def steady(compute: Compute) -> Iterator[None]:
    """Have each torch operation run on one thread while the block runs.

    Sums are then added up in the same order however many cores there are. The cores are kept busy by
    :func:`stream`, with a batch for each, which is as fast for models of this size.
    """
    import torch

    threads = torch.get_num_threads()
    if compute.device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def stream(
    compute: Compute,
    items: Iterable[A],
    prepare: Callable[[A], B],
    forward: Callable[[B], C],
    *,
    prepare_here: bool = False,
) -> Iterator[C]:
    """Yield ``forward(prepare(item))`` for each of ``items``, in order, several at a time.

    On the CPU both run in the pool; on CUDA ``forward`` runs in the calling thread, while the pool prepares the
    next batches. ``items`` is drawn in the calling thread, a few ahead of what is yielded.

    Args:
        compute: Where ``forward`` runs, and how many threads the pool has.
        items: What is worked on.
        prepare: Makes ready on the CPU: decodes, tokenizes.
        forward: Runs the model.
        prepare_here: Call ``prepare`` from the calling thread alone.
    """
    with ThreadPoolExecutor(compute.workers) as pool:
        ahead = compute.workers * _AHEAD
        if compute.device == "cuda":
            ready = map(prepare, items) if prepare_here else _in_order(pool, prepare, items, ahead)
            yield from map(forward, ready)
        elif prepare_here:
            yield from _in_order(pool, forward, map(prepare, items), ahead)
        else:
            yield from _in_order(pool, lambda item: forward(prepare(item)), items, ahead)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[A], B], items: Iterable[A], ahead: int) -> Iterator[B]:
    source = iter(items)
    pending: deque[Future[B]] = deque(pool.submit(work, item) for item in islice(source, ahead))
    try:
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(work, item) for item in islice(source, 1))
            yield result
    finally:
        for future in pending:
            future.cancel()
