"""Intervals that hold what they promise on accounts that were not trained on.

Conformalised quantile regression (Romano, Patterson and Candès, 2019): on posts set aside, how far outside its
interval does each target lie? Widening all intervals by the right quantile of these distances makes them hold the
nominal share of posts like those. The posts set aside are whole groups (accounts, or near-duplicates), the same that
decided when training stopped. It is a quantile; MAPIE, which offers it, would be a dependency for two lines.
"""

from __future__ import annotations

import math

import numpy as np

from postmill.train.data.arrays import Floats
from postmill.train.models.problem import COVERAGE


def distances(true: Floats, low: Floats, high: Floats) -> Floats:
    """Return how far outside its interval each target lies; negative inside, the distance to the nearer end."""
    return np.maximum(low - true, true - high)


def correction(outside: Floats) -> float | None:
    """Return by how much to widen both ends of intervals, given :func:`distances` of N posts set aside.

    None where there are too few of them to hold :data:`.problem.COVERAGE`.
    """
    rank = math.ceil((len(outside) + 1) * COVERAGE)
    return float(np.sort(outside)[rank - 1]) if rank <= len(outside) else None
