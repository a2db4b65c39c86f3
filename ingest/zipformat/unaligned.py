"""Read values that begin at any byte of a buffer, by the thousand: the fields of zip's headers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]


def at_every_byte(buffer: bytearray | memoryview, filled: int, dtype: Any) -> AnyArray:
    """View the first ``filled`` bytes of ``buffer`` as if a value of ``dtype`` began at each of them.

    Returns:
        An array of shape (values that end within ``filled``,), without a copy.
    """
    dtype = np.dtype(dtype)
    return np.ndarray((max(filled - dtype.itemsize + 1, 0),), dtype, buffer, strides=(1,))


def gather_records(buffer: bytearray | memoryview, filled: int, dtype: Any, starts: AnyArray) -> AnyArray:
    """Copy the values of the structured ``dtype`` that begin at ``starts``, of whose shape the result is.

    Raises:
        IndexError: A value does not end within the first ``filled`` bytes.
    """
    dtype = np.dtype(dtype)
    # As plain bytes: numpy copies structured values field by field, ten times slower.
    values: AnyArray = at_every_byte(buffer, filled, f"V{dtype.itemsize}")[starts].view(dtype)
    return values
