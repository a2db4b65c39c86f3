"""The first pass: a window is read once, front to back, and each of its entries goes to its post shard or its spool."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ingest.entry import locate
from ingest.forward import Forward
from ingest.pack import pack_shard, refuse_if_strict
from ingest.reasons import EntryFault
from ingest.space import BLOCK, AddressSpace, is_url
from shards import manifests, plan, posts, publish, spool
from shards.plan import Window
from shards.run import Run
from shards.spool import SpoolEntry

_CACHED = 2 << 20  # bytes to read at a time: what is checked, hashed and written next is still in the processor's cache
_COLUMNS = ("offset", "end", "name", "method", "flags", "compressed_size", "size", "crc32", "shard", "row", "image")


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
    others: list[tuple[int, SpoolEntry]] = []
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


def _local(
    taken: Iterator[list[tuple[int, SpoolEntry]]], own: int | None, others: list[tuple[int, SpoolEntry]]
) -> Iterator[list[SpoolEntry]]:
    """Yield of each batch the entries of post shard ``own``; copies of the rest go to ``others``."""
    for batch in taken:
        local = []
        for shard, entry in batch:
            if shard == own:
                local.append(entry)
            else:
                others.append((shard, spool.lasting(entry)))
        yield local


def spooled(run: Run, shard: int, units: list[str]) -> Iterator[SpoolEntry]:
    """Yield what the spools ``units`` hold for post shard ``shard``, one contiguous read each.

    Raises:
        PostmillError: A spool is damaged.
    """
    for unit in units:
        yield from spool.read_piece(run.spool / f"{unit}.spool", shard)


def take(run: Run, space: AddressSpace, window: Window, block: int) -> Iterator[list[tuple[int, SpoolEntry]]]:
    """Yield the planned entries of ``window`` in order of place, in batches that span ``block`` bytes at most.

    An entry that is longer is a batch of its own. Each entry comes with the post shard it goes to. The data are views
    of one buffer, valid until the next batch is asked for; nothing is decompressed yet.

    Raises:
        PostmillError: A part cannot be read.
    """
    planned = plan.entries(run, window.archive, window.window)
    forward = Forward(space, window.end, block)
    for start, rows in _batches(planned, block):
        view = forward.view(start, max(row[1] for row in rows))
        batch: list[tuple[int, SpoolEntry]] = []
        for offset, end, name, method, flags, compressed, size, crc32, shard, row, image in rows:
            try:
                begin, stop = locate(view, offset - start, end - start, name, method, flags, crc32, compressed, size)
            except EntryFault as fault:
                refuse_if_strict(run, bytes(name).decode("utf-8", "replace"), fault)
                batch.append((shard, spool.faulty(row, image, fault.reason, fault.detail)))
            else:
                batch.append((shard, SpoolEntry(row, image, method, crc32, size, view[begin:stop])))
        yield batch


def _batches(planned: pa.Table, block: int) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """Cut the rows of ``planned`` where they would span more than ``block`` bytes; yield each start and its rows."""
    rows: list[tuple[Any, ...]] = []
    start = 0
    for row in zip(*(planned[column].to_pylist() for column in _COLUMNS), strict=True):
        if rows and row[1] > start + block:
            yield start, rows
            rows = []
        if not rows:
            start = row[0]
        rows.append(row)
    if rows:
        yield start, rows


def _spool(run: Run, name: str, entries: list[tuple[int, SpoolEntry]]) -> None:
    entries.sort(key=lambda each: (each[0], each[1].row, each[1].image))
    with publish.unit(run.spool, name, run.fingerprint) as unit:
        unit.counts["entries"] = spool.write(unit.file(f"{name}.spool"), entries)


def is_packed(run: Run, window: Window) -> bool:
    """Say whether stage windows is done with ``window``: its shard and its spool, where it has them."""
    shard_done = window.shard is None or manifests.done(run.posts, posts.shard_name(window.shard), run.fingerprint)
    spool_done = not window.spools or manifests.done(run.spool, image_spool(window.window), run.fingerprint)
    return bool(shard_done and spool_done)
