"""The languages of texts, as py3langid tells them; it is an extra.

Mentions, tags and links are names, not language, and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from postmill.shards.indicators import detector

TOO_SHORT = "too short to tell"
MIN_LETTERS = 20
PREFIX = 2_200
"""Characters of a text that are looked at: as long a caption may be, so that only comments and broken texts are cut."""


def languages_can_be_told() -> bool:
    """Say whether the language detector is installed."""
    return find_spec("py3langid") is not None


def language(text: str) -> str:
    """Return the ISO 639-1 code of the likeliest language of ``text``, or :data:`TOO_SHORT`.

    Texts with fewer than :data:`MIN_LETTERS` letters are.
    """
    return languages([text])[0]


def languages(texts: Sequence[str]) -> list[str]:
    """Return :func:`language` of each of ``texts``: many at once take half the time, and equal ones are told once."""
    read = {text: _read(text) for text in dict.fromkeys(texts)}
    distinct = [words for words in dict.fromkeys(read.values()) if words]
    told = dict(zip(distinct, detector.load().tell(distinct), strict=True)) if distinct else {}
    return [told.get(read[text], TOO_SHORT) for text in texts]


def told_by() -> str:
    """Return what tells languages, with its version, and how much it reads: what changes what is told."""
    try:
        release = version("py3langid")
    except PackageNotFoundError:
        release = "local"
    return f"py3langid {release}, of {MIN_LETTERS} letters or more, the first {PREFIX} characters"


def _read(text: str) -> str:
    """Return what a language is told by; empty where it is too short."""
    read = " ".join(word for word in text[:PREFIX].split() if not word.startswith(("#", "@", "http")))
    return read if sum(map(str.isalpha, read)) >= MIN_LETTERS else ""  # the categories of Unicode that begin with L
