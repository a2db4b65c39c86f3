"""py3langid for many texts at once: its automaton is walked by all of them together, a byte of each at a time.

What it tells is what ``py3langid.classify`` tells, to the last bit of a score. It reads tables that the package keeps
for itself, so they are tried on a few texts first; where they are not what they were, texts are told one by one.
"""
# ruff: noqa: RUF001

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

_BATCH_BYTES = 1 << 18  # of texts, filled up to the longest: what is looked at while it lies in the processor's cache
_TRIED = (
    "What a good day it is to be outside with everybody.",
    "QUE BUENO ES ESTAR FUERA CON TODO EL MUNDO.",
    "Was für ein schöner Tag, um mit allen draußen zu sein.",
    "Какой хороший день, чтобы быть на улице со всеми.",
    "今天天气很好，大家一起出去走走吧。",
    "يا له من يوم جميل للخروج مع الجميع",
    "Ovo je lep dan. Ово је леп дан.",
    "🎉",
    "",
)

Tell = Callable[[Sequence[str]], list[str]]
"""Returns the ISO 639-1 code of the likeliest language of each text."""


@dataclass(frozen=True)
class Detector:
    """What tells languages.

    Attributes:
        tell: The function.
        slower: Why it tells texts one by one; empty where it does not.
    """

    tell: Tell
    slower: str = ""


@dataclass(frozen=True)
class _Automaton:
    """py3langid's tables.

    Attributes:
        encode: Turns a text into the bytes that are walked over.
        moves: The next state, by row and byte.
        bases: Where a state's row begins in ``moves``.
        features: The feature that is seen on coming to a state, -1 for none.
        weights: Shape (features, classes), float32.
        prior: Shape (classes,).
        classes: Their codes.
        aliases: Pairs of classes of the same code, of which the greater score counts.
        floor: The score of every class where no feature was seen.
    """

    encode: Callable[[str], bytes]
    moves: npt.NDArray[Any]
    bases: npt.NDArray[np.int64]
    features: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    prior: npt.NDArray[np.float32]
    classes: Sequence[str]
    aliases: Sequence[tuple[int, int]]
    floor: float


@cache
def load() -> Detector:
    """Return the detector, loaded once. py3langid must be installed."""
    import py3langid

    def one_by_one(texts: Sequence[str]) -> list[str]:
        return [str(py3langid.classify(text)[0]) for text in texts]

    try:
        automaton = _automaton()
        if _tell(automaton, _TRIED) != one_by_one(_TRIED):
            raise ValueError("it tells other languages than alone")
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        return Detector(one_by_one, f"py3langid {py3langid.__version__} is not as postmill knows it ({error})")
    return Detector(lambda texts: _tell(automaton, texts))


def _automaton() -> _Automaton:
    from py3langid import langid

    identifier = langid._get_identifier()
    return _Automaton(
        encode=identifier._encode,
        moves=np.frombuffer(identifier.tk_nextmove, dtype=identifier.tk_nextmove.typecode),
        bases=np.asarray(identifier._rowbase, dtype=np.int64),
        features=np.asarray(identifier.tk_output, dtype=np.int32),
        weights=np.asarray(identifier.nb_ptc, dtype=np.float32),  # once, where the package does it for every text
        prior=np.asarray(identifier.nb_pc),
        classes=list(identifier.nb_classes),
        aliases=list(identifier._alias_pairs),
        floor=float(langid.RAW_FLOOR),
    )


def _tell(automaton: _Automaton, texts: Sequence[str]) -> list[str]:
    encoded = [automaton.encode(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda n: -len(encoded[n]))
    told = [""] * len(texts)
    start = 0
    while start < len(order):
        rows = max(1, _BATCH_BYTES // max(1, len(encoded[order[start]])))
        batch = order[start : start + rows]
        for number, code in zip(batch, _tell_batch(automaton, [encoded[n] for n in batch]), strict=True):
            told[number] = code
        start += rows
    return told


def _tell_batch(automaton: _Automaton, texts: Sequence[bytes]) -> list[str]:
    """Return the languages of ``texts``, the longest first."""
    seen = _seen(automaton, texts)
    scores = np.full((len(texts), len(automaton.classes)), automaton.floor, dtype=np.float32)
    for row, features in enumerate(seen):
        counts = Counter(features[features >= 0].tolist())  # in the order in which they are first seen, as the package
        if counts:
            rows = np.fromiter(counts.keys(), np.intp, len(counts))
            often = np.fromiter(counts.values(), np.float32, len(counts))
            scores[row] = np.log1p(often) @ automaton.weights[rows] + automaton.prior
    for first, other in automaton.aliases:
        scores[:, first] = np.maximum(scores[:, first], scores[:, other])
        scores[:, other] = automaton.floor
    return [automaton.classes[n] for n in scores.argmax(axis=1).tolist()]


def _seen(automaton: _Automaton, texts: Sequence[bytes]) -> npt.NDArray[np.int32]:
    """Return the features that are seen at each byte of N ``texts``, shape (N, bytes of the first); -1 for none."""
    lengths = np.array([len(text) for text in texts])
    width = int(lengths[0])
    padded = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8).reshape(len(texts), width)
    columns = np.ascontiguousarray(padded.T)
    seen = np.full(columns.shape, -1, dtype=np.int32)
    states = np.zeros(len(texts), dtype=np.int64)
    going = np.searchsorted(-lengths, -np.arange(width), side="left")  # how many texts have a byte there
    for column, count in enumerate(going.tolist()):
        states = automaton.moves[automaton.bases[states[:count]] + columns[column, :count]]
        seen[column, :count] = automaton.features[states]
    return np.ascontiguousarray(seen.T)
