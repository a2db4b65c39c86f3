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
class _Batch:
    """Some texts of a shard in tokens, and the rows of its table that are theirs."""

    tokens: Tokens
    table: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _EndOfTexts:
    """All distinct texts of a shard are computed: row n of its table is as row ``of[n]``; zeros where that is -1."""

    context: Any
    table: npt.NDArray[np.float32]
    of: npt.NDArray[np.int64]


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

    def batches() -> Iterator[_Batch | _EndOfTexts]:
        # One shard is read, the next tokenized without the interpreter's lock, and batches are made of a third.
        with closing(prefetched(tokenized(), 1)) as ahead:
            for context, cut, distinct, lay_out in ahead:
                tokens = lay_out()
                table = np.empty((len(cut), model.width), np.float32)
                row_of: dict[str | None, int] = {text: row for row, text in reversed([*enumerate(cut)])}  # the first
                rows = np.array([row_of[text] for text in distinct], dtype=np.int64)
                order = by_length(tokens.lengths)
                for span in by_budget(tokens.lengths[order].tolist(), TOKENS * compute.batch_scale):
                    chosen = order[span.start : span.stop]
                    yield _Batch(tokens.batch(chosen), table, rows[chosen])
                row_of[None] = -1
                yield _EndOfTexts(context, table, np.array([row_of[text] for text in cut], dtype=np.int64))

    def forward(item: _Batch | _EndOfTexts) -> Any:
        if isinstance(item, _EndOfTexts):
            return item
        return item, leaving(compute, model.forward(item.tokens))

    def collect(result: Any) -> _EndOfTexts | None:
        if isinstance(result, _EndOfTexts):
            return result
        batch, made = result
        batch.table[batch.rows] = to_host(compute, made)
        return None

    for ended in stream(compute, batches(), lambda item: item, forward, collect, prepare_while_drawing=True):
        if ended is not None:
            repeated = np.flatnonzero((ended.of >= 0) & (ended.of != np.arange(len(ended.of))))
            ended.table[repeated] = ended.table[ended.of[repeated]]
            ended.table[ended.of < 0] = 0
            yield ended.context, ended.table
