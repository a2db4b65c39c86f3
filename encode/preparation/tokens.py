"""Texts tokenized once: by the tokenizer's own library in one call, then cut into batches of the model's input.

The usual way asks a tokenizer twice, for the lengths by which texts are put into batches and for the batches, and each
call builds lists of masks and types beside the numbers of the tokens. Here the numbers are made once, on all cores and
without the interpreter's lock, and padded where a batch is made. That both give the same is tried when a model is
loaded, with texts of every kind; of a tokenizer of which it is not so, the usual way is taken, and that is said.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.shards.runtime.progress import Progress

Tokens = Any  # what a tokenizer makes of a batch: a mapping from names to tensors
Reference = Callable[[list[str]], Tokens]

_PROBES = ("a", "", " two  words ", "naïve 🎉 東京 мир", "[SEP] </s> <mask> [CLS]", "line\nbreak\x00", "word " * 3000)


@dataclass(frozen=True)
class Tokenized:
    """Some texts in tokens.

    Attributes:
        lengths: Shape (texts,): how many tokens each has, those that begin and end it among them.
        batch: Makes the model's input of the texts with these numbers, padded to the longest. Safe to call while
            another thread tokenizes.
    """

    lengths: npt.NDArray[np.int64]
    batch: Callable[[npt.NDArray[np.int64]], Tokens]


Tokenize = Callable[[list[str]], Callable[[], Tokenized]]
"""Tokenizes texts, without the interpreter's lock; what it returns lays the tokens out, with it, and is called once."""


def tokenizing(tokenizer: Any, longest: int, reference: Reference, progress: Progress) -> Tokenize:
    """Return what tokenizes texts as ``reference`` does, each once if the tokenizer allows it.

    Args:
        tokenizer: A tokenizer of transformers. It is left set to texts of one length limit, without padding.
        longest: How many tokens of a text are read.
        reference: What the model's own library makes of a batch.
        progress: Told where each text is tokenized twice.
    """
    quick = _once(tokenizer, longest, reference)
    if quick is not None and _same(quick(list(_PROBES))(), reference(list(_PROBES))):
        _set_limits(tokenizer, longest)
        return quick
    progress.note(f"{type(tokenizer).__name__} gives others than its library does by itself: texts are tokenized twice")

    alone = threading.Lock()  # a tokenizer keeps what it was last told of padding

    def twice(texts: list[str]) -> Callable[[], Tokenized]:
        with alone:
            found = tokenizer(texts, truncation=True, max_length=longest).input_ids if texts else []
        lengths = np.array([len(ids) for ids in found], dtype=np.int64)

        def batch(rows: npt.NDArray[np.int64]) -> Tokens:
            with alone:
                return reference([texts[row] for row in rows])

        return lambda: Tokenized(lengths, batch)

    return twice


def _once(tokenizer: Any, longest: int, reference: Reference) -> Tokenize | None:
    """Return what tokenizes once; None where the tokenizer is none of the library, or pads in a way of its own."""
    if not getattr(tokenizer, "is_fast", False) or tokenizer.pad_token_id is None or tokenizer.padding_side != "right":
        return None
    import torch

    probe = reference(["a"])
    if not isinstance(probe, Mapping) or "input_ids" not in probe:
        return None
    kind: Any = type(probe)
    names = list(probe)
    tensors = {name for name in names if isinstance(probe[name], torch.Tensor)}
    library, padding = tokenizer.backend_tokenizer, int(tokenizer.pad_token_id)

    def once(texts: list[str]) -> Callable[[], Tokenized]:
        _set_limits(tokenizer, longest)
        encodings = library.encode_batch_fast(texts) if texts else []
        return lambda: laid_out(encodings)

    def laid_out(encodings: Sequence[Any]) -> Tokenized:
        lengths = np.array([len(encoding) for encoding in encodings], dtype=np.int64)
        ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), np.int32, int(lengths.sum()))
        starts = np.cumsum(lengths) - lengths

        def batch(rows: npt.NDArray[np.int64]) -> Tokens:
            columns = np.arange(lengths[rows].max())
            filled_in = columns < lengths[rows, None]
            numbers = np.full(filled_in.shape, padding, dtype=np.int64)
            numbers[filled_in] = ids[(starts[rows, None] + columns)[filled_in]]
            mask = filled_in.astype(np.int64)
            made = {"input_ids": numbers, "attention_mask": mask}
            filled = {
                name: torch.from_numpy(made[name]) if name in made else torch.zeros(mask.shape, dtype=torch.int64)
                for name in tensors
            }
            return kind({name: filled[name] if name in tensors else probe[name] for name in names})

        return Tokenized(lengths, batch)

    return once


def _set_limits(tokenizer: Any, longest: int) -> None:
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.enable_truncation(longest, direction=tokenizer.truncation_side)


def _same(ours: Tokenized, theirs: Tokens) -> bool:
    import torch

    made = ours.batch(np.arange(len(ours.lengths)))
    return list(made) == list(theirs) and all(
        torch.equal(made[name], theirs[name]) if isinstance(theirs[name], torch.Tensor) else made[name] == theirs[name]
        for name in theirs
    )
