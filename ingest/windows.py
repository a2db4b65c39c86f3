"""The first pass: a window is read once, front to back, and each of its entries goes to its post shard or its spool."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import suppress

from ingest.entry import locate
from ingest.pack import Place, pack_shard, refuse_if_strict
from ingest.reasons import EntryFault
from ingest.space import AddressSpace
from shards import manifests, plan, posts, publish, spool
from shards.plan import Window
from shards.run import Run
from shards.spool import SpoolEntry

BLOCK = 8 << 20


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
    taken = list(take(run, space, window))
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
    local: dict[Place, SpoolEntry] = {}
    others: list[tuple[int, SpoolEntry]] = []
    for shard, entry in take(run, space, window):
        if shard == window.shard:
            local[entry.row, entry.image] = entry
        else:
            others.append((shard, entry))
    if window.spools:
        _spool(run, image_spool(window.window), others)
    others.clear()
    if window.shard is None:
        return {}
    local.update(spooled(run, window.shard, [metadata_spool(each.window) for each in metadata]))
    return pack_shard(run, window.shard, local)


def spooled(run: Run, shard: int, units: list[str]) -> Iterator[tuple[Place, SpoolEntry]]:
    """Yield what the spools ``units`` hold for post shard ``shard``, one contiguous read each.

    Raises:
        PostmillError: A spool is damaged.
    """
    for unit in units:
        for entry in spool.read_piece(run.spool / f"{unit}.spool", shard):
            yield (entry.row, entry.image), entry


def take(run: Run, space: AddressSpace, window: Window) -> Iterator[tuple[int, SpoolEntry]]:
    """Yield the planned entries of ``window`` with the post shard each goes to, in order of place.

    The data are views of one buffer that holds the window; nothing is decompressed yet.

    Raises:
        PostmillError: A part cannot be read.
    """
    planned = plan.entries(run, window.archive, window.window)
    view = _memory(window.end - window.start)
    for at in range(0, len(view), BLOCK):
        space.readinto(window.start + at, view[at : at + BLOCK])
    columns = ("offset", "end", "name", "method", "flags", "compressed_size", "size", "crc32", "shard", "row", "image")
    for offset, end, name, method, flags, compressed, size, crc32, shard, row, image in zip(
        *(planned[column].to_pylist() for column in columns), strict=True
    ):
        start = offset - window.start
        try:
            begin, stop = locate(view, start, end - window.start, name, method, flags, crc32, compressed, size)
        except EntryFault as fault:
            refuse_if_strict(run, bytes(name).decode("utf-8", "replace"), fault)
            yield shard, spool.faulty(row, image, fault.reason, fault.detail)
        else:
            yield shard, SpoolEntry(row, image, method, crc32, size, view[begin:stop])


def _memory(size: int) -> memoryview:
    """Return ``size`` bytes of memory, in large pages where there are such: filling small ones takes twice as long.

    Raises:
        MemoryError: There is not as much.
    """
    try:
        mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size} bytes for one window") from error
    with suppress(OSError):  # a kernel without large pages
        mapped.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(mapped)


def _spool(run: Run, name: str, entries: list[tuple[int, SpoolEntry]]) -> None:
    entries.sort(key=lambda each: (each[0], each[1].row, each[1].image))
    with publish.unit(run.spool, name, run.fingerprint) as unit:
        unit.counts["entries"] = spool.write(unit.file(f"{name}.spool"), entries)


def is_packed(run: Run, window: Window) -> bool:
    """Say whether stage windows is done with ``window``: its shard and its spool, where it has them."""
    shard_done = window.shard is None or manifests.done(run.posts, posts.shard_name(window.shard), run.fingerprint)
    spool_done = not window.spools or manifests.done(run.spool, image_spool(window.window), run.fingerprint)
    return bool(shard_done and spool_done)
