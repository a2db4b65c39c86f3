"""The first pass: a window is read once, front to back, and each of its entries goes to its post shard or its spool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

import numpy as np

from postmill.ingest.pack.located import located
from postmill.ingest.pack.post import refuse_if_strict
from postmill.ingest.pack.post_shard import pack_shard
from postmill.ingest.pack.second_look import look_again
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.forward import Forward
from postmill.ingest.zipformat.local_headers import Expected, locate_all, locate_one
from postmill.ingest.zipformat.methods.inflate import inflate
from postmill.ingest.zipformat.space import AddressSpace
from postmill.ingest.zipformat.stretches import Stretches
from postmill.shards.formats import plan, spool
from postmill.shards.formats.counts import SpoolCounts
from postmill.shards.formats.plan import Window
from postmill.shards.formats.reasons import COPY_FAULTS, Reason
from postmill.shards.formats.spool import FAULT_METHOD, Piece, SpoolEntry
from postmill.shards.formats.units import SPOOL_SUFFIX, image_spool, metadata_spool
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Level
from postmill.shards.runtime.errors import PostmillError

# Bytes to read at a time: what is checked, hashed and written next is still in the processor's cache.
_CACHED_BYTES = 2 << 20
_FEWEST = 4  # a window of fewer entries tells nothing of its source
_DESTINATION = attrgetter("shard", "row", "image")


class _Sorting:
    """Passes on the entries of one post shard, batch by batch, and keeps copies of the others in ``set_aside``."""

    def __init__(self, batches: Iterable[list[SpoolEntry]], shard: int | None) -> None:
        self._batches = batches
        self._shard = shard
        self.set_aside: list[SpoolEntry] = []

    def __iter__(self) -> Iterator[list[SpoolEntry]]:
        for batch in self._batches:
            self.set_aside += spool.lasting(entry for entry in batch if entry.shard != self._shard)
            yield [entry for entry in batch if entry.shard == self._shard]


def spool_metadata(run: Run, space: AddressSpace, window: Window) -> None:
    """Do one task of stage metadata: set the window's entries aside, those of one post shard together.

    Raises:
        PostmillError: The archive cannot be read or the spool cannot be written.
    """
    (entries,) = read_window(run, space, window, space.size)
    _write_spool(run, metadata_spool(window.window), window, entries)


def pack_window(run: Run, space: AddressSpace, window: Window, metadata: Sequence[Window]) -> None:
    """Do one task of stage windows: write the window's post shard and set the pictures of spanning posts aside.

    Args:
        run: The run; stage metadata is done.
        space: The picture archive.
        window: Which window.
        metadata: All windows of the metadata archive.

    Raises:
        PostmillError: The archive cannot be read, a spool is damaged, or the shard cannot be written.
    """
    pictures = _Sorting(read_window(run, space, window, _CACHED_BYTES), window.shard)
    if window.shard is None:
        for _ in pictures:  # they are all set aside
            pass
    else:
        metadata_spools = [metadata_spool(source.window) for source in metadata]
        pack_shard(run, window.shard, read_pieces(run, window.shard, metadata_spools), pictures, window)
    if window.spools:
        _write_spool(run, image_spool(window.window), window, pictures.set_aside)


def read_pieces(run: Run, shard: int, names: Iterable[str]) -> dict[str, Piece]:
    """Return what each of the spools ``names`` has for post shard ``shard``, one contiguous read each.

    Raises:
        PostmillError: A spool is missing, damaged or cannot be read.
    """
    command = f"postmill ingest {run.word}"
    return {name: spool.read_piece(run.spool / f"{name}{SPOOL_SUFFIX}", shard, command) for name in names}


def read_window(run: Run, space: AddressSpace, window: Window, block: int) -> Iterator[list[SpoolEntry]]:
    """Yield the planned entries of ``window`` in order of offset, in batches that span ``block`` bytes at most.

    An entry that is longer is a batch of its own. The data are views of one buffer, valid until the next batch is asked
    for; nothing is decompressed yet.

    Raises:
        PostmillError: A part cannot be read.
    """
    planned = located(space, plan.entries(run, window.archive, window.window))
    misfits: list[int] = []  # offsets of entries whose bytes are not those that the directory speaks of
    # The same rows twice: headers are compared as arrays, but entries are made of lists, for an array gives its values
    # one at a time much more slowly.
    columns = [planned[name].to_numpy().tolist() for name in SpoolEntry._fields[:-1]]
    listed = Expected.of(planned)
    stretches = Stretches(space, listed.offset, listed.end)
    begin, end = stretches.closed_up(listed.offset), stretches.closed_up(listed.end)
    expected = listed._replace(offset=begin, end=end)
    forward = Forward(stretches, stretches.size, block)
    for rows in expected.cut(block):
        base = int(expected.offset[rows.start])
        view = forward.view(base, int(expected.end[rows].max()))
        starts, ends, sure = locate_all(view, base, expected, rows)
        data = [view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        batch = list(map(spool.as_entry, zip(*(column[rows] for column in columns), data, strict=True)))
        for index in np.flatnonzero(~sure).tolist():
            batch[index] = _located_alone(run, window, view, base, expected, rows.start + index, batch[index])
            if batch[index].method == FAULT_METHOD and batch[index].fault().seen is not None:
                misfits.append(int(listed.offset[rows.start + index]))
                if run.options.level is not Level.SALVAGE and 2 * len(misfits) > max(planned.num_rows, _FEWEST):
                    raise _broken_source(run, space, misfits, planned.num_rows)
        yield batch


def _located_alone(
    run: Run, window: Window, view: memoryview, base: int, expected: Expected, row: int, entry: SpoolEntry
) -> SpoolEntry:
    """Return ``entry`` with its data, or what stands for it if it cannot be taken, which a second read confirmed."""
    try:
        start, end = locate_one(view, base, expected, row)
    except EntryFault as first:
        again = look_again(run, window, entry) if first.reason in COPY_FAULTS else None
        if again is not None and again.method != FAULT_METHOD:
            return again
        reason, detail, seen = (first.reason, first.detail, None) if again is None else again.fault()
        fault = EntryFault(Reason(reason), detail)
        refuse_if_strict(run, expected.name(row).decode("utf-8", "replace"), fault)
        return spool.faulty(*entry[:3], reason, detail, seen)
    return entry._replace(data=view[start:end])


def _confirmed(run: Run, window: Window, entry: SpoolEntry) -> SpoolEntry:
    """Return ``entry``, which is to be set aside, with data that fit, or what stands for it if a second read agrees.

    Data that came wrong once would else lie in the spool for good, and be read past wherever it is used.
    """
    if entry.method == FAULT_METHOD:
        return entry
    try:
        inflate(entry.method, entry.data, entry.size, entry.crc32, run.options.max_entry)
    except EntryFault as first:
        return look_again(run, window, entry) if first.reason in COPY_FAULTS else entry
    return entry


def _broken_source(run: Run, space: AddressSpace, offsets: Sequence[int], total: int) -> PostmillError:
    """Return what is said of a window in which most entries are not what the directory says: no faults of theirs."""
    parts = [space.parts[number] for number in sorted({space.part_at(offset) for offset in offsets})]
    names = ", ".join(part.name for part in parts)
    return PostmillError(
        f"at least {len(offsets):,} of the {total:,} entries of a window are not what the directory says: {names} is no"
        " whole copy of its part, or another archive's",
        place=parts[0].path,
        hint=f"fetch {names} again, then run the same command again: it carries on, postmill ingest {run.word}",
    )


def _write_spool(run: Run, name: str, window: Window, entries: list[SpoolEntry]) -> None:
    entries = [_confirmed(run, window, entry) for entry in entries]
    entries.sort(key=_DESTINATION)
    with publish.unit(run.spool, name, run.fingerprint) as unit:
        unit.inputs[plan.NAME] = plan.contents_hash(run)
        SpoolCounts(spool.write(unit.file(f"{name}{SPOOL_SUFFIX}"), entries)).put(unit)
