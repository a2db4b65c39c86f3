"""How texts are put into batches: a function of a shard's texts alone, so that a second run gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from postmill.encode.device import Compute, leaving, to_host
from postmill.encode.interface import MAX_CHARACTERS
from postmill.encode.preparation.stream import prefetched, stream
from postmill.encode.preparation.tokens import Tokenize, Tokenized, Tokens

T = TypeVar("T")
TOKENS = 1024  # of a batch on one core, padding included: its activations stay in the core's cache


@dataclass(frozen=True)
class TextModel:
    """A loaded model of texts.

    Attributes:
        tokenize: Tokenizes texts. Called by one thread at a time: fast tokenizers keep state.
        forward: Returns a tensor of shape (batch, ``width``) for a batch; safe to call from several threads.
        width: Numbers it makes of a text.
    """

    tokenize: Tokenize
    forward: Callable[[Tokens], Any]
    width: int


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of ``size``; the last may be shorter."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def by_length(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the numbers of texts, shape (texts,): the longest first, of equals the last, on any machine the same."""
    return np.argsort(lengths, kind="stable")[::-1]


def by_budget(lengths: Sequence[int], budget: int) -> Iterator[range]:
    """Yield stretches of ``lengths``, which descend, each as long as ``budget`` tokens allow, and at least 1.

    The first of a stretch is its longest, to which the others are padded.
    """
    start = 0
    while start < len(lengths):
        count = max(1, budget // max(1, lengths[start]))
        yield range(start, min(start + count, len(lengths)))
        start += count


@dataclass(frozen=True)
class _EndOfTexts:
    """All texts of a shard are computed: ``rows[n]`` is the row, among the distinct ones, of text n; -1 of none."""

    context: Any
    rows: npt.NDArray[np.int64]


def over_texts(
    compute: Compute, model: TextModel, shards: Iterable[tuple[T, Sequence[str | None]]]
) -> Iterator[tuple[T, npt.NDArray[np.float32]]]:
    """Yield the model's rows for the texts of each shard, in their order; each distinct text is computed once.

    Texts of like length share a batch, so that little of it is padding. The next shards are read and tokenized, and
    their first batches computed, before the rows of this one are drawn.

    Args:
        compute: Where the model runs.
        model: The model.
        shards: What the caller knows a shard by, and its texts; of each the first :data:`MAX_CHARACTERS` characters
            are read. None is a text that is not there.

    Yields:
        What the caller gave, and shape (texts, ``model.width``), float32; zeros where there is no text.
    """

    def read() -> Iterator[tuple[T, list[str | None], list[str]]]:
        for context, texts in shards:
            cut = [None if text is None else text[:MAX_CHARACTERS] for text in texts]
            yield context, cut, sorted({text for text in cut if text is not None})

    def tokenized() -> Iterator[tuple[T, list[str | None], list[str], Callable[[], Tokenized]]]:
        with closing(prefetched(read(), 1)) as ahead:
            for context, cut, distinct in ahead:
                yield context, cut, distinct, model.tokenize(distinct)

    def batches() -> Iterator[Tokens | _EndOfTexts]:
        # One shard is read, the next tokenized without the interpreter's lock, and batches are made of a third.
        with closing(prefetched(tokenized(), 1)) as ahead:
            for context, cut, distinct, lay_out in ahead:
                tokens = lay_out()
                order = by_length(tokens.lengths)
                for span in by_budget(tokens.lengths[order].tolist(), TOKENS * compute.batch_scale):
                    yield tokens.batch(order[span.start : span.stop])
                places = np.empty(len(distinct), np.int64)
                places[order] = np.arange(len(distinct))
                place_of: dict[str | None, int] = dict(zip(distinct, places.tolist(), strict=True))
                yield _EndOfTexts(context, np.array([place_of.get(text, -1) for text in cut], dtype=np.int64))

    def forward(batch: Tokens | _EndOfTexts) -> Any:
        return batch if isinstance(batch, _EndOfTexts) else leaving(compute, model.forward(batch))

    def collect(result: Any) -> Any:
        return result if isinstance(result, _EndOfTexts) else to_host(compute, result)

    nothing = np.zeros((1, model.width), np.float32)
    computed: list[npt.NDArray[np.float32]] = []
    table = nothing  # used again: to be given memory anew costs more than to write it
    for result in stream(compute, batches(), lambda batch: batch, forward, collect, prepare_while_drawing=True):
        if isinstance(result, _EndOfTexts):
            computed.append(nothing)
            height = sum(map(len, computed))
            if height > len(table):
                table = np.empty((height, model.width), np.float32)
            yield result.context, np.concatenate(computed, out=table[:height])[result.rows]
            computed.clear()
        else:
            computed.append(result)
