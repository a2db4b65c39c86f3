"""What waits for other bytes is made anew as soon as these are there: which pieces of ingest that concerns.

A post waits where two reads agreed that its bytes in the archive are not those that the directory speaks of. The table
of faults of its shard has the place and a hash of what was seen there; only where something else stands there now is
there anything to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from postmill.ingest.pack.second_look import is_different
from postmill.ingest.source.pinning import open_archive, open_window
from postmill.ingest.zipformat.parts import there
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats import faults, plan, posts
from postmill.shards.formats.choices import Stage
from postmill.shards.formats.counts import ShardCounts
from postmill.shards.formats.places import part_of
from postmill.shards.formats.plan import ARCHIVES, IMAGES, METADATA, Window
from postmill.shards.formats.spool import Seen
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Level
from postmill.shards.runtime.addresses import is_url
from postmill.shards.runtime.errors import PostmillError


@dataclass(frozen=True)
class Misfit:
    """Bytes that did not fit, and the post shard that was made without what they should be."""

    shard: int
    archive: int
    seen: Seen


@dataclass(frozen=True)
class Waiting:
    """What waits: posts, and how many entries by the name of the part that holds their bytes."""

    posts: int
    parts: Counter[str]


@dataclass(frozen=True)
class Grown:
    """A part that has more bytes than when the run was planned, which then did without: name, bytes then and now."""

    name: str
    planned: int
    bytes: int


def stale_pieces(run: Run) -> dict[Stage, frozenset[int]]:
    """Return the numbers of the pieces of each stage to be made anew, for their bytes are others now.

    Raises:
        PostmillError: A table of faults is damaged.
    """
    numbers: dict[Stage, set[int]] = {stage: set() for stage in Stage}
    windows = {archive: plan.windows(run, archive) for archive in (METADATA, IMAGES)}
    makers = {window.shard: window.window for window in windows[IMAGES] if window.shard is not None}
    for archive in (METADATA, IMAGES):
        for misfit, window in _changed(run, archive, windows[archive]):
            numbers[Stage.METADATA if archive == METADATA else Stage.WINDOWS].add(window.window)
            maker = makers.get(misfit.shard)
            if maker is None:
                numbers[Stage.SPANNING].add(misfit.shard)
            else:
                numbers[Stage.WINDOWS].add(maker)
    return {stage: frozenset(chosen) for stage, chosen in numbers.items()}


def waiting(run: Run) -> Waiting:
    """Return what waits for other bytes.

    Raises:
        PostmillError: A table of faults is damaged.
    """
    parts: Counter[str] = Counter()
    windows = {archive: plan.windows(run, archive) for archive in (METADATA, IMAGES)}
    archives = (run.sources.metadata, run.sources.images)
    for misfit in _misfits(run):
        place = misfit.seen.place
        last = _window_at(windows[misfit.archive], place).last_part  # an entry ends on the last part of its window
        parts.update(name for name, _ in archives[misfit.archive].parts[part_of(place) : last + 1])
    return Waiting(sum(counts.waiting for _, counts in _waiting_shards(run)), parts)


def grown_parts(run: Run) -> list[Grown]:
    """Return the parts that have come, or grown, since the run was planned without them, as ``--salvage`` allows.

    What they hold has no place in the run: where every entry lies, and which posts a shard has, would be otherwise. Of
    archives at an address, only parts that were missing are asked for.
    """
    if run.options.level is not Level.SALVAGE:
        return []
    grown = []
    for archive in (METADATA, IMAGES):
        for part in open_archive(run, archive, 0, -1).parts:
            if part.missing or not is_url(part.path):
                planned, size = 0 if part.missing else part.size, there(part.path)
                if size is not None and size > planned:
                    grown.append(Grown(part.name, planned, size))
    return grown


def _waiting_shards(run: Run) -> Iterator[tuple[int, ShardCounts]]:
    for shard in range(plan.counts(run).shards):
        counts = posts.counts(run, shard)
        if counts is not None and counts.misfits:
            yield shard, counts


def _misfits(run: Run) -> Iterator[Misfit]:
    for shard, _ in _waiting_shards(run):
        table = faults.of_shard(run, shard)
        assert table is not None, "what is counted stands there"
        for row in table.filter(table["seen_hash"].is_valid()).to_pylist():
            seen = Seen(row["seen_place"], row["seen_bytes"], row["seen_hash"])
            yield Misfit(shard, ARCHIVES.index(row["archive"]), seen)


def _changed(run: Run, archive: int, windows: list[Window]) -> Iterator[tuple[Misfit, Window]]:
    """Yield the misfits of ``archive`` whose bytes are others now, with the window that they lie in."""
    opened: dict[int, AddressSpace | None] = {}  # by window; None where a part is not there, or not whole
    try:
        for misfit in _misfits(run):
            if misfit.archive != archive:
                continue
            window = _window_at(windows, misfit.seen.place)
            if window.window not in opened:
                opened[window.window] = _opened(run, archive, window)
            space = opened[window.window]
            if space is not None and is_different(space, misfit.seen):
                yield misfit, window
    finally:
        for space in opened.values():
            if space is not None:
                space.close()


def _opened(run: Run, archive: int, window: Window) -> AddressSpace | None:
    try:
        return open_window(run, window)
    except PostmillError:  # it still waits, which is said of it
        return None


def _window_at(windows: list[Window], place: int) -> Window:
    return next(window for window in windows if window.start <= place < window.end)
