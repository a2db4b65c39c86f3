"""What comes before a model, alone: pictures decoded and resized, texts tokenized, with a model that makes zeros.

It is what ``benchmarks/encode.py --model none`` prints. The bare rate beside it is of what is in memory already: of
pictures, decoding and resizing in one thread, times the processes; of texts, one call of the tokenizer's library over
the distinct texts of a shard, on as many cores: the one that transformers makes, and then the fastest that there is,
which does not count characters. What either returns is thrown away.
"""

from __future__ import annotations

import functools
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from benchmarks.workload import spread
from postmill.encode.device import Compute
from postmill.encode.encoders import image
from postmill.encode.interface import EncoderSpec
from postmill.encode.preparation.batches import TOKENS, TextModel
from postmill.encode.preparation.picture import NotAPicture, open_picture
from postmill.encode.preparation.reader import read_pictures
from postmill.shards.formats import posts
from postmill.shards.run.folder import Run

_HEADS = ("encoder", "items", "processes or threads", "prepared /s", "bare /s", "of bare", "fastest call /s", "of it")
HEADER = f"| {' | '.join(_HEADS)} |\n|{'---|' * len(_HEADS)}"
_ROUNDS = 5
_ROUND_S = 12.0  # to start processes may take two of them, and they serve a call of many shards

Encode = Callable[[list[int]], None]


def pictures(spec: EncoderSpec, compute: Compute, run: Run) -> tuple[Encode, ...]:
    """Return what prepares pictures of shards for a model that makes zeros, and what does it bare, in one thread."""
    assert spec.load_image_model is not None
    model = spec.load_image_model()
    nothing = replace(model, forward=lambda batch: np.ones((len(batch), model.dimensions), np.float32))

    def prepared(chosen: list[int]) -> None:
        for _ in image.encode_pictures([nothing], compute, run, [(shard, [0]) for shard in chosen]):
            pass

    @functools.cache
    def contents(shard: int) -> list[bytes]:  # read in the first round, of which none is the best
        keys = posts.read_records(run, shard, ["key"])["key"].to_pylist()
        return [picture.data for picture in read_pictures(run, shard, keys)]

    def bare(chosen: list[int]) -> None:
        for content in itertools.chain.from_iterable(map(contents, chosen)):
            try:
                model.prepare(open_picture(content))
            except NotAPicture:
                continue

    return prepared, bare


def texts(
    spec: EncoderSpec, module: ModuleType, run: Run, folder: Path, texts_of: Callable[[int], list[str]]
) -> tuple[Encode, ...]:
    """Return what prepares the texts of shards for a model that makes zeros, and two that tokenize them bare."""
    assert spec.load is not None
    encode = spec.load()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.enable_truncation(settings.get("max_length") or settings["model_max_length"])

    def prepared(chosen: list[int]) -> None:
        with _zeros(module):
            for _ in encode(run, chosen):
                pass

    @functools.cache
    def distinct(shard: int) -> list[str]:  # read in the first round, of which none is the best
        return sorted(set(texts_of(shard)))

    def bare(call: Callable[[list[str]], Any], chosen: list[int]) -> None:
        for shard in chosen:
            call(distinct(shard))

    calls = library.encode_batch, library.encode_batch_fast
    return prepared, *(functools.partial(bare, call) for call in calls)


@contextmanager
def _zeros(module: ModuleType) -> Iterator[None]:
    """Have the encoders of ``module`` compute zeros in place of what their models make."""
    real = module.over_texts

    def over_texts(compute: Compute, model: TextModel, shards: Any) -> Any:
        nothing = np.zeros((TOKENS * compute.batch_scale, model.width), np.float32)  # no batch has more texts

        def zeros(tokens: Any) -> Any:
            return nothing[: len(tokens["input_ids"])]

        return real(compute, replace(model, forward=zeros), shards)

    module.over_texts = over_texts  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.over_texts = real  # type: ignore[attr-defined]


def row(name: str, items: int, compute: Compute, works: tuple[Encode, ...], chosen: list[int], scale: int) -> str:
    """Return a row: medians of rounds, and of what neighbours in time give as a ratio, for a machine's pace changes.

    Args:
        name: Of the encoder.
        items: Pictures or texts of the shards.
        compute: How many threads there are.
        works: As :func:`pictures` and :func:`texts` return.
        chosen: The shards.
        scale: By how much bare rates are multiplied: the cores where they are those of one thread.
    """
    passes = [_passes(work, chosen) for work in works]
    rounds = [
        [n * items / _timed(work, chosen * n) for work, n in zip(works, passes, strict=True)] for _ in range(_ROUNDS)
    ]
    ours, *alone = zip(*rounds, strict=True)
    cells = [f"{statistics.median(ours):,.0f}"]
    for bare in alone:
        shares = [prepared / (each * scale) for prepared, each in zip(ours, bare, strict=True)]
        cells.append(f"{statistics.median(bare) * scale:,.0f}")
        cells.append(spread(shares))
    cells += ["-"] * (len(_HEADS) - 3 - len(cells))
    return f"| {name} | {items:,} | {compute.workers} | {' | '.join(cells)} |"


def rate(work: Encode, chosen: list[int], items: int, seconds: float) -> float:
    """Return how many items a second are done in one call of about so many seconds, after shorter ones."""
    passes = _passes(work, chosen, seconds)
    return passes * items / _timed(work, chosen * passes)


def _passes(work: Encode, chosen: list[int], seconds: float = _ROUND_S) -> int:
    """Return how many times the shards fit into so many seconds, by the faster of two calls of them alone."""
    return max(1, round(seconds / min(_timed(work, chosen) for _ in range(2))))  # the first call is slow everywhere


def _timed(work: Encode, chosen: list[int]) -> float:
    started = time.perf_counter()
    work(chosen)
    return time.perf_counter() - started
