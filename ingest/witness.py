"""Tell a part that belongs to another archive, or was mixed up with another part, before any work is done.

Sizes and numbers can be right while the bytes are another archive's. The directory says what each part must hold: the
first and the last entry that begin on it bear witness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.directory import Directory
from ingest.entry import LOCAL_HEADER
from ingest.space import AddressSpace
from shards.errors import PostmillError

_LOCAL_SIGNATURE = b"PK\x03\x04"

Witness = tuple[int, bytes]  # offset of a local header, and the raw name it must have


def check_parts(
    space: AddressSpace, directory: Directory, batches: Iterable[pa.RecordBatch], *, strict: bool = False
) -> Iterator[pa.RecordBatch]:
    """Pass the directory's ``batches`` on, and after the last look at every part of a split archive.

    Parts that hold neither of their witnesses are named in ``directory.warnings``. Reads two headers of each part.

    Raises:
        PartError: A part cannot be read.
        PostmillError: A part is not this archive's, and ``strict``.
    """
    witnesses: dict[int, tuple[Witness, Witness]] = {}
    starts = np.array([part.start for part in space.parts], dtype=np.uint64)
    for batch in batches:
        if len(space.parts) > 1:
            for part, first, last in _extremes(batch, starts):
                known = witnesses.get(part, (first, last))
                witnesses[part] = (min(known[0], first), max(known[1], last))
        yield batch
    strangers = [
        space.parts[part].name
        for part, pair in sorted(witnesses.items())
        if not any(_confirms(space, witness) for witness in pair)
    ]
    if strangers:
        warning = (
            f"{', '.join(strangers)}: not the entries that the directory lists there; of another archive, or damaged"
        )
        if strict:
            raise PostmillError(warning, place=space.parts[-1].path, hint="fetch the part again")
        if warning not in directory.warnings:
            directory.warnings.append(warning)


def _extremes(batch: pa.RecordBatch, starts: npt.NDArray[np.uint64]) -> Iterator[tuple[int, Witness, Witness]]:
    """Yield the first and last sound entry on each part that ``batch`` tells of."""
    rows = np.flatnonzero(batch["fault"].is_null().to_numpy(zero_copy_only=False))
    offsets = batch["offset"].to_numpy()[rows]
    order = np.argsort(offsets, kind="stable")
    rows, offsets = rows[order], offsets[order]
    parts, first = np.unique(np.searchsorted(starts, offsets, side="right") - 1, return_index=True)
    last = np.append(first, len(rows))[1:] - 1
    for part, low, high in zip(parts.tolist(), first.tolist(), last.tolist(), strict=True):
        names = (batch["raw_name"][int(rows[at])].as_py() for at in (low, high))
        yield part, (int(offsets[low]), next(names)), (int(offsets[high]), next(names))


def _confirms(space: AddressSpace, witness: Witness) -> bool:
    offset, name = witness
    header = space.read(offset, LOCAL_HEADER + len(name))
    return header.startswith(_LOCAL_SIGNATURE) and header.endswith(name)
