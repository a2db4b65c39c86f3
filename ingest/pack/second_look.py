"""Bytes that do not fit are read once more before that is believed, and what does not fit then is told with its place.

A first read may be wrong where a second one is not: a connection, a memory chip, a part that is being copied. What two
reads agree on is true of this copy of the archive, not of the dataset, so it is kept with a hash of the bytes: when the
bytes at that place are others, the post is put together again (:mod:`.mend`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from postmill.ingest.pack.located import located
from postmill.ingest.source.pinning import open_window
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.local_headers import Expected, locate_one
from postmill.ingest.zipformat.methods.inflate import inflate
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats import plan, spool
from postmill.shards.formats.plan import Window
from postmill.shards.formats.reasons import COPY_FAULTS
from postmill.shards.formats.spool import Seen, SpoolEntry
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import PostmillError

_HALF = 16  # bytes of the hash of what was seen

LookAgain = Callable[[SpoolEntry], SpoolEntry]
"""Reads an entry once more: returns it with its data, or what stands for one that cannot be taken."""


def look_again(run: Run, window: Window | None, entry: SpoolEntry) -> SpoolEntry:
    """Read ``entry`` with handles of its own; return it with data that fit, or its fault.

    Args:
        run: The run.
        window: Where it lies; None, or another, for an entry that had been set aside, which was looked at then.
        entry: As the first read has it.

    Raises:
        PostmillError: A part is missing, is not the one that was planned, or cannot be read; or the entry, which fitted
            when it was set aside, does not now.
    """
    planned = _planned(run, window, entry)
    if window is None or not planned.num_rows:
        raise PostmillError(
            f"of post shard {entry.shard}, row {entry.row}, an entry fitted its checksum when it was set aside, and"
            " does not now, though its spool is the same: the memory of this machine may be failing",
            place=run.spool,
            hint=f"run the same command again, better on another machine: postmill ingest {run.word}",
        )
    with open_window(run, window) as space:
        expected = Expected.of(located(space, planned))
        offset, end = int(expected.offset[0]), int(expected.end[0])
        content = memoryview(space.read(offset, end - offset))
    directory = expected.entry(0)
    try:
        start, stop = locate_one(content, offset, expected, 0)
        data = content[start:stop]
        inflate(directory.method, data, directory.size, directory.crc32, run.options.max_entry)
    except EntryFault as fault:
        seen = (
            Seen(int(planned["offset"][0].as_py()), len(content), _hash(content))
            if fault.reason in COPY_FAULTS
            else None
        )
        return spool.faulty(*entry[:3], fault.reason, fault.detail, seen)
    return entry._replace(method=directory.method, crc32=directory.crc32, size=directory.size, data=data)


def _planned(run: Run, window: Window | None, entry: SpoolEntry) -> pa.Table:
    """Return what the plan says of ``entry``, which is nothing if it is not in ``window``."""
    if window is None:
        return plan.ENTRIES.empty_table()
    planned = _entries(run, window.archive, window.window)
    mask = pa.array([True] * planned.num_rows)
    for name in ("shard", "row", "image"):
        mask = pc.and_(mask, pc.equal(planned[name], getattr(entry, name)))
    return planned.filter(mask)


@lru_cache(maxsize=1)  # where one entry of a window does not fit, thousands may not
def _entries(run: Run, archive: int, window: int) -> pa.Table:
    return plan.entries(run, archive, window)


def is_different(space: AddressSpace, seen: Seen) -> bool:
    """Say whether the bytes at a place are others than were seen there.

    Raises:
        PartError: A part cannot be read.
    """
    offset = space.address(seen.place)
    return offset + seen.bytes > space.size or _hash(memoryview(space.read(offset, seen.bytes))) != seen.hash


def _hash(content: memoryview) -> str:
    return blake3(content).hexdigest(_HALF)
