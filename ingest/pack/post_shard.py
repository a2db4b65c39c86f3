"""One post shard, finished: its posts one after another in a tar, their records beside it, and the faults."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

import pyarrow as pa

from postmill.ingest.pack.post import PlannedPost, pack_post, planned_posts
from postmill.ingest.pack.second_look import look_again
from postmill.shards.formats import faults, offsets, plan, posts, spool
from postmill.shards.formats.counts import ShardCounts
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.plan import Window
from postmill.shards.formats.spool import Piece, SpoolEntry
from postmill.shards.formats.tar import Buffer, TarWriter
from postmill.shards.formats.units import shard_name
from postmill.shards.run import publish
from postmill.shards.run.folder import Run

_WRITTEN_BYTES = 4 << 20  # of members, decompressed, after which they are written
_RECORDS = 1000  # kept as Python objects at a time

_ROW = itemgetter(SpoolEntry._fields.index("row"))


class _Records:
    """The records of a shard: the latest as they are, those before in tables, which take a fraction of the memory."""

    def __init__(self) -> None:
        self._latest: list[dict[str, Any]] = []
        self._tables: list[pa.Table] = []

    def add(self, record: dict[str, Any]) -> None:
        self._latest.append(record)
        if len(self._latest) == _RECORDS:
            self._tables.append(posts.records_table(self._latest))
            self._latest.clear()

    def table(self) -> pa.Table:
        return pa.concat_tables([*self._tables, posts.records_table(self._latest)])


def pack_shard(
    run: Run,
    shard: int,
    pieces: Mapping[str, Piece],
    passing: Iterable[Sequence[SpoolEntry]] = (),
    window: Window | None = None,
) -> ShardCounts:
    """Write post shard ``shard``; return what its manifest states.

    Args:
        run: The run.
        shard: Which shard.
        pieces: What each spool has for it, by the spool's name.
        passing: The others, in batches whose data are valid until the next is asked for. A post is written as soon as
            its entries have come and those before it are written; what has to wait is copied.
        window: The window that ``passing`` comes from.

    Raises:
        PostmillError: The shard cannot be written, the entries of a post are not those planned, or what iterating over
            the entries raises.
    """
    name = shard_name(shard)
    shard_faults: list[Fault] = []
    records = _Records()
    images = not_chosen = without_time = 0
    with publish.unit(run.posts, name, run.fingerprint) as unit:
        unit.inputs[plan.NAME] = plan.contents_hash(run)
        unit.inputs["spool"] = spool.pieces_hash(pieces.items())
        spooled = chain.from_iterable(piece.entries() for piece in pieces.values())
        look = partial(look_again, run, window)
        tar = TarWriter(unit.file(f"{name}.tar"))
        for ready in _complete(planned_posts(plan.posts(run, shard)), spooled, passing):
            names: list[str] = []
            contents: list[Buffer] = []
            size = 0
            for post, entries in ready:
                packed = pack_post(run, post, entries, look)
                shard_faults += packed.faults
                not_chosen += packed.not_chosen
                without_time += packed.without_time
                if packed.record is None:
                    continue
                key, record_json = post.key, posts.record_json(packed.record)
                names.append(f"{key}.json")
                contents.append(record_json)
                for number, picture in enumerate(packed.pictures):
                    names.append(f"{key}.{number}.jpg")
                    contents.append(picture)
                if packed.raw is not None:
                    names.append(f"{key}.raw.json.gz")
                    contents.append(packed.raw)
                images += len(packed.pictures)
                size += len(record_json) + sum(map(len, packed.pictures))
                if size > _WRITTEN_BYTES:
                    tar.add(names, contents)
                    names, contents, size = [], [], 0
                records.add(packed.record)
            tar.add(names, contents)
        tar.close()
        table = records.table()
        unit.file(f"{name}{offsets.SUFFIX}").write(offsets.index_bytes(tar.members))
        unit.table(f"{name}.parquet", table)
        if shard_faults:
            unit.table(faults.shard_file(shard), faults.table(shard_faults))
        counts = ShardCounts(
            posts=table.num_rows,
            images=images,
            faults=len(shard_faults),
            lost=sum(fault.post_lost for fault in shard_faults),
            waiting=sum(fault.post_waits for fault in shard_faults),
            misfits=sum(fault.seen_hash is not None for fault in shard_faults),
            reasons=dict(Counter(fault.reason for fault in shard_faults)),
            not_chosen=not_chosen,
            without_time=without_time,
        )
        counts.put(unit)
    return counts


def _complete(
    planned: Iterator[PlannedPost],
    spooled: Iterable[SpoolEntry],
    passing: Iterable[Sequence[SpoolEntry]],
) -> Iterator[Iterable[tuple[PlannedPost, list[SpoolEntry]]]]:
    """Yield all planned posts in order with their entries, several at a time, as soon as these have come.

    The data of a batch are valid until the next is asked for; of what waits longer they are copied.
    """
    waiting: defaultdict[int, list[SpoolEntry]] = defaultdict(list)  # by row
    for entry in spooled:
        waiting[_ROW(entry)].append(entry)
    post = next(planned, None)
    for batch in passing:
        rows = list(map(_ROW, batch))
        for row, entry in zip(rows, batch, strict=True):
            waiting[row].append(entry)
        ready = []
        while post is not None and len(waiting[post.row]) == len(post.expected):
            ready.append((post, waiting.pop(post.row)))
            post = next(planned, None)
        yield ready
        for row in waiting.keys() & rows:
            waiting[row] = spool.lasting(waiting[row])
    if post is not None:
        yield ((post, waiting.pop(post.row, [])) for post in chain([post], planned))
