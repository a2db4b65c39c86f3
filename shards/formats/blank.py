"""What a text is that has nothing to read in it, which is as good as none: for encoders, features and reports alike.

Instagram users put characters that draw nothing where they want blank lines, and a broken copy leaves others.
"""

from __future__ import annotations

import re

# What draws nothing of itself: White_Space, Cc, and Default_Ignorable_Code_Point of Unicode 15 (DerivedCoreProperties),
# interlinear annotations, the blank Braille pattern, and what stands for an object or a character that was lost.
_INVISIBLE = (
    *((0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x1680, 0x1680)),
    *((0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x2800, 0x2800)),
    *((0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFD)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else chr(code)


VISIBLE = "[^" + "".join(f"{_escaped(first)}-{_escaped(last)}" for first, last in _INVISIBLE) + "]"
"""A pattern of one visible character, for :mod:`re` and for Arrow's functions of that kind."""

_VISIBLE = re.compile(VISIBLE)


def is_blank(text: str | None) -> bool:
    """Say whether ``text`` is none, or has no visible character."""
    return text is None or _VISIBLE.search(text) is None
