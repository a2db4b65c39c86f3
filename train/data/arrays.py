"""The arrays that training passes about, each named after what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
"""Targets, predictions, and all that is computed from them."""

Times: TypeAlias = npt.NDArray[np.float64]
"""Seconds since 1970; NaN where not known."""

Matrix: TypeAlias = npt.NDArray[np.float32]
"""Vectors of posts as models are shown them, a row a post."""

Vectors: TypeAlias = npt.NDArray[Any]
"""Vectors of posts in the number format they have on disk."""

Rows: TypeAlias = npt.NDArray[np.int64]
"""Positions of posts among others, from 0."""

Ids: TypeAlias = npt.NDArray[np.uint64]
"""Hashes that stand for accounts, for groups of near-duplicates, or for what posts have in common."""

Mask: TypeAlias = npt.NDArray[np.bool_]
"""Which posts are meant."""

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""What a model learnt, by name."""
