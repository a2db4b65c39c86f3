"""The words of a text, as they are looked up in lists.

Left out are links, mentions and hashtags: they are names, and a campaign's hashtag says of nobody how they feel.
"""

from __future__ import annotations

import re
import unicodedata

# Besides \w: what is written above, below or inside words in the scripts of the lists, and the joiners between letters.
_MARKS = (
    "\u0300-\u036f"  # accents
    "\u064b-\u065f\u0670\u06d6-\u06ed"  # Arabic
    "\u0900-\u0903\u093a-\u093c\u093e-\u094f\u0951-\u0957\u0962\u0963"  # Devanagari
    "\u200c\u200d"
)
_HAS_MARKS = re.compile(f"[{_MARKS}]")
_NAMES = rf"(?:https?://|www\.)\S+|[#@][\w.{_MARKS}]+"
_PLAIN_PARTS = re.compile(r"[^\W_]+")  # where there are no marks: the same, in a third of the time
_PARTS = re.compile(rf"[^\W_](?:[^\W_]|[{_MARKS}])*")
_PLAIN, _MARKED = (re.compile(rf"{_NAMES}|({part}(?:['-]{part})*)") for part in (_PLAIN_PARTS.pattern, _PARTS.pattern))
_SAME = {"’": "'", "‘": "'", "ʼ": "'", "‐": "-", "‑": "-"}  # noqa: RUF001


def words(text: str) -> list[str]:
    """Return the words of ``text`` in order, in lower case.

    A word has letters, digits and marks, and ``'`` or ``-`` between two of them. Characters that look otherwise and
    mean the same (NFKC: letters of another width or style, what is composed of parts) are the plain ones.
    """
    pattern = _PLAIN
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        for other, plain in _SAME.items():
            text = text.replace(other, plain)
        if _HAS_MARKS.search(text) is not None:
            pattern = _MARKED
    return [word for word in pattern.findall(text.lower()) if word]


def parts(word: str) -> list[str]:
    """Return what stands between the apostrophes and hyphens of ``word``, one of :func:`words`."""
    return _PARTS.findall(word)


def listed(entry: str) -> str | None:
    """Return the word of a text that the ``entry`` of a list is; None where no word is: a hashtag, several words."""
    found = words(entry)
    return found[0] if len(found) == 1 else None
