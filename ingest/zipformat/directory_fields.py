"""Directory records by the thousand: where their entries lie, and whether they can be read, a column at a time.

Each check marks rows with a :class:`.reasons.Reason`; the first mark of a row stays. Format: APPNOTE 6.3.10, section
4.4.
"""

from __future__ import annotations

import numpy as np

from postmill.ingest.zipformat.directory import Directory
from postmill.ingest.zipformat.faults import Faults
from postmill.ingest.zipformat.methods.decoder import METHODS
from postmill.ingest.zipformat.signatures import FLAG_ENCRYPTED, LOCAL_HEADER, NOWHERE, STORED, WRAP, method_name
from postmill.ingest.zipformat.space import AddressSpace
from postmill.ingest.zipformat.unaligned import AnyArray
from postmill.shards.formats.reasons import Reason


class Unwrapper:
    """Counts offsets on that begin anew after 4 GiB, batch after batch; entries come in the order of their places."""

    def __init__(self) -> None:
        self._last = 0
        self._turns = 0

    def __call__(self, offset: AnyArray) -> AnyArray:
        """Return what the next offsets (uint64, bytes) are in truth."""
        turns = self._turns + np.cumsum(offset < np.append(np.uint64(self._last), offset[:-1]))
        self._last, self._turns = int(offset[-1]), int(turns[-1])
        true: AnyArray = offset + turns.astype(np.uint64) * np.uint64(WRAP)
        return true


def place_entries(
    space: AddressSpace,
    directory: Directory,
    offset: AnyArray,
    disk: AnyArray,
    name_length: AnyArray,
    compressed: AnyArray,
    faults: Faults,
) -> AnyArray:
    """Return the absolute offsets (uint64) of local headers; :data:`.signatures.NOWHERE` where there can be none."""
    if directory.kind == "disks":
        sizes = np.array([part.size for part in space.parts], dtype=np.uint64)
        starts = np.array([part.start for part in space.parts], dtype=np.uint64)
    elif directory.starts:
        starts = np.array(directory.starts, dtype=np.uint64)
        sizes = np.diff(starts, append=np.uint64(space.size))
    else:
        sizes = np.array([space.size - directory.shift], dtype=np.uint64)
        starts = np.array([directory.shift]).astype(np.uint64)  # of a negative one sums run over to what is meant
    faults.mark(
        disk >= len(sizes),
        Reason.PART_MISSING,
        lambda row: f"begins on part {disk[row] + 1} of an archive with {len(sizes)}",
    )
    part = np.minimum(disk, len(sizes) - 1)
    # At the very end of a part some writers have not yet turned to the next one.
    outside = (offset > sizes[part]) | (disk >= len(sizes)) | (offset < np.uint64(max(-directory.shift, 0)))
    directory.beyond.update(disk[outside & (disk < len(sizes))].tolist())
    absolute = np.where(outside, np.uint64(NOWHERE), starts[part] + np.where(outside, np.uint64(0), offset))
    limit = np.uint64(directory.start)
    # An offset within the archive leaves room for these sums in 64 bits.
    named = np.where(outside, limit, absolute) + name_length.astype(np.uint64) + np.uint64(LOCAL_HEADER.size)
    faults.mark(
        outside | (named > limit),
        Reason.OFFSET_OUT_OF_RANGE,
        lambda row: f"offset {offset[row]} of part {disk[row] + 1}; the directory begins at {limit}",
    )
    faults.mark(
        ~outside & (named <= limit) & (compressed > limit - np.minimum(named, limit)),
        Reason.TRUNCATED,
        lambda row: f"{compressed[row]} bytes at {named[row]}; the directory begins at {limit}",
    )
    return absolute


def check_fields(method: AnyArray, flags: AnyArray, size: AnyArray, compressed: AnyArray, faults: Faults) -> None:
    """Mark what cannot be decompressed, and stored entries whose sizes differ."""
    faults.mark((flags & FLAG_ENCRYPTED) != 0, Reason.ENCRYPTED, lambda row: f"flags {flags[row]:#06x}")
    faults.mark(~np.isin(method, METHODS), Reason.METHOD_UNSUPPORTED, lambda row: method_name(method[row]))
    faults.mark(
        (method == STORED) & (size != compressed),
        Reason.SIZE_MISMATCH,
        lambda row: f"stored {size[row]} bytes in {compressed[row]}",
    )
