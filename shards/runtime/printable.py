"""Text as a terminal may be given it: nothing in it moves the cursor, changes a title or turns letters round."""

from __future__ import annotations

import re

# C0 but newline and tab, DEL, C1; the two separators that some readers take for the end of a line; and what changes
# the direction of all that follows.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return ``text`` with each character that controls a terminal written as its number: ``\x1b``, ``\u202e``."""
    return _CONTROL.sub(_written, text)


def printable_json(text: str) -> str:
    r"""Return the JSON ``text``, which means the same, with such characters as JSON writes them: ``\u009b``."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
