"""Values out of a buffer that begin at any of its bytes, by the thousand: the fields of zip's headers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# What a local header and a directory record have both, in this order (APPNOTE 6.3.10, sections 4.3.7 and 4.3.12).
HEADER_FIELDS = [
    ("needed", "<u2"),
    ("flags", "<u2"),
    ("method", "<u2"),
    ("modified", "<u4"),
    ("crc32", "<u4"),
    ("compressed_size", "<u4"),
    ("size", "<u4"),
    ("name_length", "<u2"),
    ("extra_length", "<u2"),
]


def at_every_byte(buffer: bytearray | memoryview, filled: int, dtype: Any) -> Array:
    """View the first ``filled`` bytes of ``buffer`` as if a value of ``dtype`` began at each of them.

    Returns:
        An array of shape (values that end within ``filled``,), without a copy.
    """
    dtype = np.dtype(dtype)
    return np.ndarray((max(filled - dtype.itemsize + 1, 0),), dtype, buffer, strides=(1,))


def gather(buffer: bytearray | memoryview, filled: int, dtype: Any, starts: Array) -> Array:
    """Copy the values of the structured ``dtype`` that begin at ``starts``, of whose shape the result is.

    Raises:
        IndexError: A value does not end within the first ``filled`` bytes.
    """
    dtype = np.dtype(dtype)
    # As plain bytes: numpy copies structured values field by field, ten times slower.
    values: Array = at_every_byte(buffer, filled, f"V{dtype.itemsize}")[starts].view(dtype)
    return values
