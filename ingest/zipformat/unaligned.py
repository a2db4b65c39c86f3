"""Read values that begin at any byte of a buffer, by the thousand: the fields of zip's headers.

Of a block of the central directory all record signatures are found at once, and it is checked that each record ends
where the next begins. Where that fails, because a name or comment contains the signature, the block is walked record by
record.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.ingest.zipformat.signatures import DIRECTORY_RECORD, RECORD_FIELDS, RECORD_LENGTHS, RECORD_SIGNATURE

RECORD_DTYPE = np.dtype(RECORD_FIELDS)
_RECORD_SIZE = DIRECTORY_RECORD.size  # bytes of a record before its name
_RECORD_WORD = int.from_bytes(RECORD_SIGNATURE, "little")

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


def record_starts(buffer: bytearray, filled: int) -> tuple[AnyArray, int]:
    """Return where the complete records in the first ``filled`` bytes of ``buffer`` begin, and where the last ends."""
    if filled < _RECORD_SIZE or not buffer.startswith(RECORD_SIGNATURE):
        return np.empty(0, dtype=np.int64), 0
    words = [
        np.flatnonzero(np.frombuffer(buffer, "<u4", (filled - k) // 4, k) == _RECORD_WORD) * 4 + k for k in range(4)
    ]
    starts = np.sort(np.concatenate(words), kind="stable")
    starts = starts[starts <= filled - _RECORD_SIZE]
    records = gather_records(buffer, filled, RECORD_DTYPE, starts)
    ends = starts + _RECORD_SIZE + records["name_length"] + records["extra_length"] + records["comment_length"]
    if not np.array_equal(ends[:-1], starts[1:]):
        return _walk(buffer, filled)
    complete = len(starts) - int(ends[-1] > filled)
    return starts[:complete], int(ends[complete - 1]) if complete else 0


def _walk(buffer: bytearray, filled: int) -> tuple[AnyArray, int]:
    starts: list[int] = []
    start = 0
    while start + _RECORD_SIZE <= filled and buffer.startswith(RECORD_SIGNATURE, start):
        end = start + _RECORD_SIZE + sum(RECORD_LENGTHS.unpack_from(buffer, start))
        if end > filled:
            break
        starts.append(start)
        start = end
    return np.array(starts, dtype=np.int64), start
