"""A place in an archive: a part and a byte in it, as one number.

Places are in order as the bytes are, and say nothing of how long any part is, so that a plan is the same whichever
parts have come.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

PART_BITS = 46
"""Bits of the byte in its part, 64 TiB; the bits above them are the part's number."""

_BYTES = (1 << PART_BITS) - 1

Number = TypeVar("Number", int, npt.NDArray[np.int64])


def place(part: Number, offset: Number) -> Number:
    """Return the place of the byte ``offset`` of the part with the number ``part``, from 0."""
    return (part << PART_BITS) + offset


def part_of(place: Number) -> Number:
    """Return the number of the part that ``place`` is in."""
    return place >> PART_BITS


def offset_of(place: Number) -> Number:
    """Return which byte of its part ``place`` is, from 0."""
    return place & _BYTES
