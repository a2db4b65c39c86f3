"""The packaged word lists in one table: a row for each word of a language, a column for each thing a list says of it.

Encoders look words up in it; those who read their tables turn the numbers of words back into words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from postmill.shards.indicators import lists
from postmill.shards.indicators.lists import EMOLEX, LANGUAGES, ListFile
from postmill.shards.indicators.words import listed

SCORES = ("happiness", "valence", "arousal", "dominance", *EMOLEX)
"""The columns of :attr:`Lexica.scores`."""
ENGLISH = "en"
"""The one language with more than happiness."""
WITHOUT_BLANKS = frozenset({"zh"})
"""The languages of lists in which no blank parts words."""
_SPELT = {"ur": str.maketrans({"\u064a": "\u06cc", "\u0643": "\u06a9"})}
"""Letters of another language that a list is written with: labMT's Urdu has Arabic's ye and kaf, which Urdu has not."""

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Word:
    """An entry of labMT: its language, how it stands in the list, and its happiness from 1 to 9."""

    language: str
    word: str
    happiness: float


@dataclass(frozen=True)
class Lexica:
    """All lists.

    Attributes:
        rows: By language, the row of each of its words, in the form in which :func:`.words.words` gives them.
        scores: Shape (W, 14), float32: what :data:`SCORES` names, happiness, valence, arousal and dominance from 1 to
            9, and of a word of EmoLex whether it carries the emotion, 0 or 1; NaN where the list has no such word.
        numbers: Shape (W,), int32: the number of labMT's entry, -1 where it has none.
        emoji: The rank of each emoji, from -1 to 1.
        sha256: SHA-256 over the files, hexadecimal.
        packages: The versions of the packages that they come from.
        entries: Of each language, labMT's entries in the file's order, each with its happiness.
    """

    rows: Mapping[str, Mapping[str, int]]
    scores: npt.NDArray[np.float32]
    numbers: npt.NDArray[np.int32]
    emoji: Mapping[str, float]
    sha256: str
    packages: Mapping[str, str]
    entries: Mapping[str, list[tuple[str, float]]]

    def word(self, number: int) -> Word:
        """Return the entry of labMT with ``number``: entries are numbered through, languages as in :data:`LANGUAGES`.

        Raises:
            IndexError: There is none.
        """
        for language, start in _starts(self.entries).items():
            if 0 <= number - start < len(self.entries[language]):
                word, happiness = self.entries[language][number - start]
                return Word(language, word, happiness)
        raise IndexError(f"{number} is no word's number")


@cache
def load() -> Lexica:
    """Return the packaged lists, read and checked once.

    Raises:
        PostmillError: A package is not installed, or a file of it is damaged.
    """
    files = lists.happiness_files()
    norms, emolex, emoji = lists.norms_file(), lists.emolex_file(), lists.emoji_file()
    entries = {code: lists.happiness(file) for code, file in files.items()}
    happiness = {
        code: _by_word(
            (word.translate(_SPELT.get(code, {})), (number, value))
            for number, (word, value) in enumerate(entries[code], start)
        )
        for code, start in _starts(entries).items()
    }
    means, carried = _by_word(lists.norms(norms)), _by_word(lists.emolex(emolex))
    rows: dict[str, dict[str, int]] = {}
    total = 0
    for code, found in happiness.items():
        known = dict.fromkeys((*found, *means, *carried) if code == ENGLISH else found)
        rows[code] = {word: row for row, word in enumerate(known, total)}
        total += len(known)
    scores = np.full((total, len(SCORES)), np.nan, dtype=np.float32)
    numbers = np.full(total, -1, dtype=np.int32)
    for code, found in happiness.items():
        places = [rows[code][word] for word in found]
        numbers[places], scores[places, 0] = np.array(list(found.values())).T
    scores[[rows[ENGLISH][word] for word in means], 1:4] = list(means.values())
    scores[[rows[ENGLISH][word] for word in carried], 4:] = list(carried.values())
    scores.flags.writeable = numbers.flags.writeable = False
    hashed = _sha256([*files.values(), norms, emolex, emoji])
    return Lexica(rows, scores, numbers, dict(lists.emoji(emoji)), hashed, lists.packages(), entries)


def _starts(entries: Mapping[str, Sequence[object]]) -> dict[str, int]:
    """Return the number of the first entry of each language."""
    starts, total = {}, 0
    for language in LANGUAGES:
        starts[language] = total
        total += len(entries[language])
    return starts


def _by_word(entries: Iterable[tuple[str, _Value]]) -> dict[str, _Value]:
    """Return what a list says by word of a text: of entries that are the same word, the one that is written like it."""
    found: dict[str, _Value] = {}
    exact: set[str] = set()
    for entry, value in entries:
        word = listed(entry)
        if word is not None and (word not in found or (word == entry and word not in exact)):
            found[word] = value
            if word == entry:
                exact.add(word)
    return found


def _sha256(files: Sequence[ListFile]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path.name} {len(file.content)}\n".encode())
        digest.update(file.content)
    return digest.hexdigest()
