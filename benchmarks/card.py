"""What a GPU and the cores beside it do, in one table and four minutes: ``benchmarks/encode.py --device cuda --check``.

Shards of an invented dataset and models of random weights are made on the spot; then, for pictures, captions and
sentiment in turn, four rates of the same items:

- decode, the preparation alone: with a model that makes zeros, by all cores;
- copy, a batch put into pinned memory and brought to the GPU, over and over, with nothing computed;
- model, the GPU alone on one batch that lies ready;
- postmill, everything together, and the share of the time in which the GPU had nothing to compute.

The least of the first three is what postmill cannot beat. On a CPU there is no copy, and nothing is idle.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.preparation import Encode, rate
from postmill.encode.device import Compute, leaving, single_threaded, to_device, to_host, tokens_to_device
from postmill.encode.options import EncoderName
from postmill.encode.preparation.stream import stream
from postmill.shards.runtime.devices import Device

ENCODERS = (EncoderName.IMAGE, EncoderName.TEXT, EncoderName.SENTIMENT)
HEADER = (
    "| encoder | precision | items | decode /s | copy /s | model /s | postmill /s | of the least | GPU idle |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
_WHOLE_S = 20.0  # of each encoder: about how long everything together is measured
_PART_S = 5.0  # of each of its parts

Batches = tuple[list[tuple[int, Any]], Callable[[Any], Any]]


def row(
    label: str, compute: Compute, items: int, chosen: list[int], *, encode: Encode, prepare: Encode, batches: Batches
) -> str:
    """Return the row of one encoder.

    Args:
        label: Its first cells.
        compute: Where its model runs.
        items: Texts or pictures of the shards.
        chosen: The shards.
        encode: Encodes shards, writing nothing.
        prepare: Prepares shards for a model that makes zeros.
        batches: Batches as they come from the CPU, each with its items, and what computes one.
    """
    ready, forward = batches
    with single_threaded(compute):
        decode = rate(prepare, chosen, items, _PART_S)
        copy = _repeated(ready, lambda batch: _copy(compute, batch)) if compute.device == Device.CUDA else None
        model = model_alone(compute, ready, forward, _PART_S)
        with compute.card.busy.measured() as computing:
            whole = rate(encode, chosen, items, _WHOLE_S)
    parts = [rate for rate in (decode, copy, model) if rate is not None]
    idle = "-" if copy is None else f"{100 * (1 - computing.busy / computing.wall):.0f} %"
    rates = " | ".join("-" if rate is None else f"{rate:,.0f}" for rate in (decode, copy, model, whole))
    return f"| {label} | {rates} | {whole / min(parts):.2f} | {idle} |"


def _copy(compute: Compute, batch: Any) -> None:
    """Bring a batch to the device, and wait for it."""
    moved = to_device(compute, batch) if isinstance(batch, np.ndarray) else tokens_to_device(compute, batch)
    last = moved if isinstance(batch, np.ndarray) else next(reversed(moved.values()))
    to_host(compute, last.flatten()[:1])


def model_alone(compute: Compute, ready: list[tuple[int, Any]], forward: Callable[[Any], Any], seconds: float) -> float:
    """Return how many items a second the model does with batches that are ready, as many at once as when encoding.

    Args:
        compute: Where it runs.
        ready: Batches as they come from the CPU, each with how many items it stands for.
        forward: Computes one.
        seconds: For how long they are replayed, about.
    """
    started = time.perf_counter()

    def replayed() -> Iterator[tuple[int, Any]]:
        while time.perf_counter() - started < seconds:
            yield from ready if len(ready) > 1 else ready * 2

    done = stream(
        compute,
        replayed(),
        lambda item: item,
        lambda item: (item[0], leaving(compute, forward(_anew(item[1])))),
        lambda item: (item[0], to_host(compute, item[1])),
    )
    return sum(count for count, _ in done) / (time.perf_counter() - started)


def _anew(batch: Any) -> Any:
    """Return a batch of texts anew: moving it may change it in place."""
    return batch if isinstance(batch, np.ndarray) else type(batch)(batch)


def _repeated(ready: list[tuple[int, Any]], work: Callable[[Any], None]) -> float:
    """Return how many items a second go through ``work``."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < _PART_S:
        for count, batch in ready:
            work(batch)
            done += count
    return done / (time.perf_counter() - started)
