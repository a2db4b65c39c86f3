"""Texts judged by word lists: what their words and emoji say, and how many of them the lists know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from postmill.encode.interface import MAX_CHARACTERS
from postmill.shards.indicators.languages import TOO_SHORT, languages
from postmill.shards.indicators.lexica import SCORES, WITHOUT_BLANKS, Lexica
from postmill.shards.indicators.words import parts, words

LEAST_HITS = 3
"""Words of a list that a text has, below which nothing is said of it by that list; of emoji one is enough."""

HAPPINESS, VAD, EMOLEX = slice(0, 1), slice(1, 4), slice(4, len(SCORES))  # of a list: all of a word, or none
COLUMNS: Mapping[str, pa.DataType] = {
    **dict.fromkeys(SCORES, pa.float32()),
    "emoji": pa.float32(),
    **dict.fromkeys(("words", "happiness_hits", "vad_hits", "emolex_hits", "emoji_hits"), pa.int32()),
    "language": pa.string(),
    "happiness_words": pa.list_(pa.int32()),
}
"""What :func:`judge` gives of a text."""

_SIGNS = re.compile("[\u200d\u203c-\u2fff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001ffff]+")
_JOINER, _VARIANT = "\u200d", "\ufe0f"
_LATIN_OR_NOT = re.compile(r"[a-z0-9]+|[^a-z0-9]+")


@dataclass(frozen=True)
class _Hits:
    """What lists know of N texts.

    Attributes:
        rows: The rows of the words that they know, of all texts in order.
        per_text: Shape (N,): how many of them each text has.
        words: Shape (N,): how many words it has.
    """

    rows: npt.NDArray[np.int64]
    per_text: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]


def judge(texts: Sequence[str], lexica: Lexica) -> dict[str, pa.Array]:
    """Return :data:`COLUMNS` of N texts, N values each; equal texts are judged once.

    Scores are means over the words that a list knows, null where there are fewer than :data:`LEAST_HITS`; counts of
    words are never null. The language is null where the text is too short to tell it.
    """
    number = {text: n for n, text in enumerate(dict.fromkeys(texts))}
    judged = _judge([text[:MAX_CHARACTERS] for text in number], lexica)
    if len(number) == len(texts):
        return judged
    rows = pa.array([number[text] for text in texts])
    return {name: column.take(rows) for name, column in judged.items()}


def _judge(texts: Sequence[str], lexica: Lexica) -> dict[str, pa.Array]:
    told = languages(texts)
    hits = _hits(texts, told, lexica)
    text_of_hit = np.repeat(np.arange(len(texts)), hits.per_text)
    scores = lexica.scores[hits.rows]
    columns: dict[str, pa.Array] = {}
    counts = {}
    for hits_name, of_list in (("happiness_hits", HAPPINESS), ("vad_hits", VAD), ("emolex_hits", EMOLEX)):
        known = ~np.isnan(scores[:, of_list.start])
        text_of_known, known_scores = text_of_hit[known], scores[known]
        counts[hits_name] = np.bincount(text_of_known, minlength=len(texts))
        for column in range(of_list.start, of_list.stop):
            totals = np.bincount(text_of_known, known_scores[:, column], minlength=len(texts))
            columns[SCORES[column]] = _means(totals, counts[hits_name], LEAST_HITS)
    columns["emoji"], counts["emoji_hits"] = _emoji(texts, lexica.emoji)
    columns["words"] = pa.array(hits.words, pa.int32())
    columns |= {name: pa.array(of_texts, pa.int32()) for name, of_texts in counts.items()}
    columns["language"] = pa.array([None if name == TOO_SHORT else name for name in told], pa.string())
    columns["happiness_words"] = _numbers(lexica.numbers[hits.rows], counts["happiness_hits"])
    return {name: columns[name] for name in COLUMNS}


def _hits(texts: Sequence[str], told: Sequence[str], lexica: Lexica) -> _Hits:
    rows: list[int] = []
    per_text, counted = [], []
    of_language = {language: _lookup(language, lexica) for language in set(told)}
    for text, language in zip(texts, told, strict=True):
        before = len(rows)
        counted.append(of_language[language](words(text), rows))
        per_text.append(len(rows) - before)
    return _Hits(*(np.array(numbers, dtype=np.int64) for numbers in (rows, per_text, counted)))


def _lookup(language: str, lexica: Lexica) -> Callable[[Sequence[str], list[int]], int]:
    """Return what appends the rows of a text's words to a list, and returns how many words there are."""
    rows = lexica.rows.get(language)
    if rows is None:
        return lambda found, _: len(found)
    get = rows.get
    longest = max((len(word) for word in rows if not word.isascii()), default=1)

    def parted_by_blanks(found: Sequence[str], into: list[int]) -> int:
        number = len(found)
        for word in found:
            row = get(word)
            if row is not None:
                into.append(row)
            elif "'" in word or "-" in word:
                pieces = parts(word)
                number += len(pieces) - 1
                into.extend(row for piece in pieces if (row := get(piece)) is not None)
        return number

    def without_blanks(found: Sequence[str], into: list[int]) -> int:
        number = 0
        for word in found:
            for piece in [word] if word in rows else _LATIN_OR_NOT.findall(word):
                for segment in [piece] if piece.isascii() else _segments(piece, rows, longest):
                    number += 1
                    if (row := get(segment)) is not None:
                        into.append(row)
        return number

    return without_blanks if language in WITHOUT_BLANKS else parted_by_blanks


def _segments(piece: str, known: Mapping[str, int], longest: int) -> Iterator[str]:
    """Yield ``piece`` cut from the left into the longest words that are known; what begins none, by the character."""
    start = 0
    while start < len(piece):
        ends = range(min(len(piece), start + longest), start + 1, -1)
        end = next((end for end in ends if piece[start:end] in known), start + 1)
        yield piece[start:end]
        start = end


def _emoji(texts: Sequence[str], ranks: Mapping[str, float]) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the mean rank of each text's emoji, null where it has none that is ranked, and how many it has."""
    totals, hits = np.zeros(len(texts)), np.zeros(len(texts), dtype=np.int64)
    for number, text in enumerate(texts):
        if not text.isascii():
            found = [ranks[sign] for run in _SIGNS.findall(text) for sign in _first_signs(run) if sign in ranks]
            totals[number], hits[number] = sum(found), len(found)
    return _means(totals, hits, 1), hits


def _first_signs(run: str) -> Iterator[str]:
    """Yield the signs of ``run`` but those that are joined to the one before: several joined ones are one emoji."""
    joined = False
    for sign in run:
        if sign == _JOINER:
            joined = True
        elif sign != _VARIANT:
            if not joined:
                yield sign
            joined = False


def _means(totals: npt.NDArray[Any], hits: npt.NDArray[np.int64], least: int) -> pa.Array:
    means = (totals / np.maximum(hits, 1)).astype(np.float32)
    return pa.array(means, mask=hits < least)


def _numbers(numbers: npt.NDArray[np.int32], hits: npt.NDArray[np.int64]) -> pa.Array:
    """Return the numbers of labMT's entries that each text has, in order, as lists; -1 is none."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(hits)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(numbers[numbers >= 0], pa.int32()))
