"""How texts are put into batches: a function of the set of texts alone, so that a second run gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from encode.device import Compute, stream
from encode.encoders import MAX_CHARACTERS

T = TypeVar("T")
Tokens = Any  # what a tokenizer makes of a batch: a mapping from names to tensors


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


def over_texts(
    compute: Compute,
    texts: Sequence[str],
    size: int,
    lengths: Callable[[list[str]], Sequence[int]],
    tokenize: Callable[[list[str]], Tokens],
    forward: Callable[[Tokens], npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Return ``forward``'s rows for ``texts``, in their order; each distinct text is computed once.

    Texts of like length share a batch, so that little of it is padding. ``tokenize`` is called from this thread
    alone: fast tokenizers keep state.

    Args:
        compute: Where ``forward`` runs.
        texts: N texts, at least one; of each the first :data:`MAX_CHARACTERS` characters are read.
        size: Texts in a batch.
        lengths: Returns the number of tokens of each text.
        tokenize: Makes the model's input from a batch of texts.
        forward: Returns shape (batch, D) for a batch; safe to call from several threads.

    Returns:
        Shape (N, D), float32.
    """
    cut = [text[:MAX_CHARACTERS] for text in texts]
    distinct = sorted(set(cut))
    by_length = sorted(zip(lengths(distinct), distinct, strict=True), reverse=True)
    ordered = [text for _, text in by_length]
    rows = np.concatenate(list(stream(compute, in_batches(ordered, size), tokenize, forward, prepare_here=True)))
    place = {text: n for n, text in enumerate(ordered)}
    picked: npt.NDArray[np.float32] = rows[[place[text] for text in cut]]
    return picked
