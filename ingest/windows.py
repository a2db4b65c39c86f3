"""The first pass: a window is read once, front to back, and each of its entries goes to its post shard or its spool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from operator import attrgetter

import numpy as np

from ingest.forward import Forward
from ingest.headers import Expected, locate_all, locate_one
from ingest.pack import pack_shard, refuse_if_strict
from ingest.reasons import EntryFault
from ingest.space import BLOCK, AddressSpace, is_url
from shards import manifests, plan, posts, publish, spool
from shards.plan import Window
from shards.run import Run
from shards.spool import SpoolEntry

_CACHED = 2 << 20  # bytes to read at a time: what is checked, hashed and written next is still in the processor's cache
_PLACE = attrgetter("shard", "row", "image")


def metadata_spool(window: int) -> str:
    """Return the unit name of the spool of metadata window ``window``."""
    return f"metadata-{window:06d}"


def image_spool(window: int) -> str:
    """Return the unit name of the spool of picture window ``window``."""
    return f"window-{window:06d}"


def spool_metadata(run: Run, space: AddressSpace, window: Window) -> None:
    """Do one task of stage metadata: set the window's entries aside, those of one post shard together.

    Raises:
        PostmillError: The archive cannot be read or the spool cannot be written.
    """
    (taken,) = take(run, space, window, window.end - window.start)
    _spool(run, metadata_spool(window.window), taken)


def pack_window(run: Run, space: AddressSpace, window: Window, metadata: list[Window]) -> dict[str, int]:
    """Do one task of stage windows: write the window's post shard and set the pictures of spanning posts aside.

    Args:
        run: The run; stage metadata is done.
        space: The picture archive.
        window: Which window.
        metadata: All windows of the metadata archive.

    Returns:
        The counts of the post shard; empty where the window has none.

    Raises:
        PostmillError: The archive cannot be read, a spool is damaged, or the shard cannot be written.
    """
    others: list[SpoolEntry] = []
    remote = any(is_url(part.path) for part in space.parts)
    pictures = _local(take(run, space, window, BLOCK if remote else _CACHED), window.shard, others)
    counts: dict[str, int] = {}
    if window.shard is None:
        deque(pictures, maxlen=0)  # they are all set aside
    else:
        counts = pack_shard(
            run, window.shard, spooled(run, window.shard, [metadata_spool(each.window) for each in metadata]), pictures
        )
    if window.spools:
        _spool(run, image_spool(window.window), others)
    return counts


def _local(taken: Iterator[list[SpoolEntry]], own: int | None, others: list[SpoolEntry]) -> Iterator[list[SpoolEntry]]:
    """Yield of each batch the entries of post shard ``own``; copies of the rest go to ``others``."""
    for batch in taken:
        others += spool.lasting(entry for entry in batch if entry.shard != own)
        yield [entry for entry in batch if entry.shard == own]


def spooled(run: Run, shard: int, units: list[str]) -> Iterator[SpoolEntry]:
    """Yield what the spools ``units`` hold for post shard ``shard``, one contiguous read each.

    Raises:
        PostmillError: A spool is damaged.
    """
    for unit in units:
        yield from spool.read_piece(run.spool / f"{unit}.spool", shard)


def take(run: Run, space: AddressSpace, window: Window, block: int) -> Iterator[list[SpoolEntry]]:
    """Yield the planned entries of ``window`` in order of place, in batches that span ``block`` bytes at most.

    An entry that is longer is a batch of its own. The data are views of one buffer, valid until the next batch is asked
    for; nothing is decompressed yet.

    Raises:
        PostmillError: A part cannot be read.
    """
    planned = plan.entries(run, window.archive, window.window)
    columns = [planned[name].to_numpy().tolist() for name in SpoolEntry._fields[:-1]]
    expected = Expected.of(planned)
    forward = Forward(space, window.end, block)
    for rows in expected.cut(block):
        base = int(expected.offset[rows.start])
        view = forward.view(base, int(expected.end[rows].max()))
        starts, ends, sure = locate_all(view, base, expected, rows)
        data = [view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        batch = list(map(spool.as_entry, zip(*(column[rows] for column in columns), data, strict=True)))
        for at in np.flatnonzero(~sure).tolist():
            batch[at] = _doubtful(run, view, base, expected, rows.start + at, batch[at])
        yield batch


def _doubtful(run: Run, view: memoryview, base: int, expected: Expected, row: int, entry: SpoolEntry) -> SpoolEntry:
    """Return ``entry`` with its data, or what stands for it if it cannot be taken."""
    try:
        start, end = locate_one(view, base, expected, row)
    except EntryFault as fault:
        refuse_if_strict(run, expected.name(row).decode("utf-8", "replace"), fault)
        return spool.faulty(*entry[:3], fault.reason, fault.detail)
    return entry._replace(data=view[start:end])


def _spool(run: Run, name: str, entries: list[SpoolEntry]) -> None:
    entries.sort(key=_PLACE)
    with publish.unit(run.spool, name, run.fingerprint) as unit:
        unit.counts["entries"] = spool.write(unit.file(f"{name}.spool"), entries)


def is_packed(run: Run, window: Window) -> bool:
    """Say whether stage windows is done with ``window``: its shard and its spool, where it has them."""
    shard_done = window.shard is None or manifests.done(run.posts, posts.shard_name(window.shard), run.fingerprint)
    spool_done = not window.spools or manifests.done(run.spool, image_spool(window.window), run.fingerprint)
    return bool(shard_done and spool_done)
