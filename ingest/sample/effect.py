"""Whether what a post shows and says bears on its engagement and comments: a choice of ``postmill sample``."""

from __future__ import annotations

from enum import StrEnum


class Effect(StrEnum):
    """What content does in a sample."""

    PLANTED = "planted"
    NONE = "none"
