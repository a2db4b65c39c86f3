"""What a user chooses: stages and levels by name, and what holds unless told otherwise.

Nothing is loaded for it: help and `postmill status` must not wait for what reads archives.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Level = Literal["strict", "default", "salvage"]
"""How much contradiction in an archive is borne, see :mod:`ingest.levels`."""

SHARD_BYTES = 256 << 20
"""Picture bytes of a window and so, about, of a post shard."""

MAX_ENTRY = 64 << 20
"""Largest entry that is taken, bytes."""


class Stage(StrEnum):
    """The stages of ingest in the order in which they depend on each other."""

    METADATA = "metadata"
    WINDOWS = "windows"
    SPANNING = "spanning"
