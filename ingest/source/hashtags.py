"""The hashtags of a caption, as Instagram links them: in every script, with emoji, and not within addresses."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_ASCII_TAG = re.compile(r"#(\w+)", re.ASCII)
# What follows a scheme, or a host before its path, up to the next blank: a # in it is a place in a page.
_ADDRESS = re.compile(r"(?:://|\bwww\.|\.[a-z]{2,}/)[^\s\u2800]*", re.IGNORECASE)
_PATH = re.compile(r"\.[a-z]{2,}/", re.IGNORECASE)
_EMOJI = "\u203c\u2049\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297"
_EMOJI += "\u3299\U0001f000-\U0001faff"  # their blocks: the list itself grows every year
_JOINERS = "\u200c\u200d"  # ZWNJ and ZWJ, within words of many scripts and within emoji
_FLAGS = "\U000e0020-\U000e007f"  # the letters in the flags of regions


def hashtags(caption: str) -> list[str]:
    """Return the hashtags of ``caption`` in their order, in lower case, without ``#``.

    A tag is letters, marks, numbers and underscores, with the joiners between them, and emoji.
    """
    if "#" not in caption:
        return []
    if "://" in caption or "www." in caption or _PATH.search(caption):
        caption = _ADDRESS.sub("", caption)
    if caption.isascii():
        return [tag.lower() for tag in _ASCII_TAG.findall(caption)]
    return [tag.rstrip(_JOINERS).lower() for tag in _tag().findall(caption)]


@cache
def _tag() -> re.Pattern[str]:
    r"""Return the pattern of a tag; ``\w`` is letters, numbers and the underscore, and lacks the marks of Unicode.

    Nearly all tags end before a character of ASCII, which is looked at first.
    """
    marks = [chr(code) for code in range(0x20000) if unicodedata.category(chr(code)).startswith("M")]
    marks.append("\U000e0100-\U000e01ef")  # the only ones beyond
    others = f"[{_EMOJI}{''.join(marks)}{_JOINERS}{_FLAGS}]"
    return re.compile(rf"#((?=[\w{_EMOJI}])\w*(?:(?![\x00-\x7f]){others}+\w*)*)")
