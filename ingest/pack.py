"""From a shard's planned posts, their metadata and their pictures to one finished post shard."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, compress, filterfalse, islice, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import deflate
import pyarrow as pa

from ingest.inflate import DEFLATE, inflate
from ingest.influencers import Influencer
from ingest.metadata import NotAPost, complete, parse_info
from ingest.reasons import EntryFault
from shards import faults, offsets, plan, posts, publish, spool
from shards.errors import PostmillError
from shards.faults import Fault
from shards.reasons import Reason
from shards.run import Run
from shards.spool import FAULT_METHOD, SpoolEntry
from shards.tar import Buffer, TarWriter

# RFC 1952: deflate, no name, no time, unknown system. A deflated zip entry is this and a trailer away from gzip.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_GZIP_TRAILER = struct.Struct("<II")  # CRC-32 and size of the plain bytes
_LEVEL = 6
_HELD = 4 << 20  # bytes of members, decompressed, after which they are written
_RECORDS = 1000  # held as Python objects at a time

_ROW, _IMAGE = itemgetter(SpoolEntry._fields.index("row")), itemgetter(SpoolEntry._fields.index("image"))


class _Planned(NamedTuple):
    """One row of :data:`shards.plan.POSTS`."""

    row: int
    key: str
    influencer: str
    post_id: str
    line: int
    images: list[str]
    places: list[int]  # METADATA_IMAGE, and those of the pictures found
    category: str | None
    followers: int
    followees: int
    influencer_posts: int


_Packed = tuple[dict[str, Any], list[Buffer], bytes | None]  # record, pictures, raw metadata


def pack_shard(
    run: Run, shard: int, held: Iterable[SpoolEntry], passing: Iterable[Sequence[SpoolEntry]] = ()
) -> dict[str, int]:
    """Write post shard ``shard``; return its counts of posts, images, faults and lost posts.

    Args:
        run: The run.
        shard: Which shard.
        held: Entries of its posts, read before the first of ``passing``.
        passing: The others, in batches whose data are valid until the next is asked for. A post is written as soon as
            its entries have come and those before it are written; what has to wait is copied.

    Raises:
        PostmillError: The shard cannot be written, the entries of a post are not those planned, or what iterating over
            the entries raises.
    """
    name = posts.shard_name(shard)
    found: list[Fault] = []
    records: list[dict[str, Any]] = []  # the latest; those before are in tables, which take a fraction of the memory
    tables: list[pa.Table] = []
    images = 0
    with publish.unit(run.posts, name, run.fingerprint) as unit:
        tar = TarWriter(unit.file(f"{name}.tar"))
        for ready in _complete(_rows(plan.posts(run, shard)), held, passing):
            names: list[str] = []
            contents: list[Buffer] = []
            size = 0
            for post, entries in ready:
                packed = _pack(run, post, entries, found)
                if packed is None:
                    continue
                record, pictures, raw = packed
                key, text = post.key, posts.record_json(record)
                names.append(f"{key}.json")
                contents.append(text)
                for number, picture in enumerate(pictures):
                    names.append(f"{key}.{number}.jpg")
                    contents.append(picture)
                if raw is not None:
                    names.append(f"{key}.raw.json.gz")
                    contents.append(raw)
                images += len(pictures)
                size += len(text) + sum(map(len, pictures))
                if size > _HELD:
                    tar.add(names, contents)
                    names, contents, size = [], [], 0
                records.append(record)
                if len(records) == _RECORDS:
                    tables.append(posts.records_table(records))
                    records.clear()
            tar.add(names, contents)
        tar.close()
        table = pa.concat_tables([*tables, posts.records_table(records)])
        unit.file(f"{name}{offsets.SUFFIX}").write(offsets.index_bytes(tar.members))
        unit.table(f"{name}.parquet", table)
        if found:
            unit.table(f"{name}.{faults.FILE}", faults.table(found))
        unit.counts.update(
            posts=table.num_rows, images=images, faults=len(found), lost=sum(fault.post_lost for fault in found)
        )
        unit.info["faults"] = dict(Counter(fault.reason for fault in found))  # for who would not open every table
        return dict(unit.counts)


def _complete(
    planned: Iterator[_Planned],
    held: Iterable[SpoolEntry],
    passing: Iterable[Sequence[SpoolEntry]],
) -> Iterator[Iterable[tuple[_Planned, list[SpoolEntry]]]]:
    """Yield all planned posts in order with their entries, some at a time, as soon as these have come.

    The data of a batch are valid until the next is asked for; of what waits longer they are copied.
    """
    waiting: defaultdict[int, list[SpoolEntry]] = defaultdict(list)  # by row
    for entry in held:
        waiting[_ROW(entry)].append(entry)
    post = next(planned, None)
    for batch in passing:
        rows = list(map(_ROW, batch))
        for row, entry in zip(rows, batch, strict=True):
            waiting[row].append(entry)
        ready = []
        while post is not None and len(waiting[post.row]) == len(post.places):
            ready.append((post, waiting.pop(post.row)))
            post = next(planned, None)
        yield ready
        for row in waiting.keys() & rows:
            waiting[row] = spool.lasting(waiting[row])
    if post is not None:
        yield ((post, waiting.pop(post.row, [])) for post in chain([post], planned))


def refuse_if_strict(run: Run, entry: str, fault: EntryFault) -> None:
    """At the strict level, turn the fault of one entry into an error.

    Raises:
        PostmillError: The run is strict.
    """
    if run.options["level"] == "strict":
        raise PostmillError(
            f"{entry}: {fault}",
            place=run.folder,
            hint="plan in a new run folder without --strict: it is then a fault of that one entry",
        ) from fault


def _rows(table: pa.Table) -> Iterator[_Planned]:
    for batch in table.to_batches(max_chunksize=_RECORDS):
        columns = {name: _values(batch[name]) for name in _Planned._fields if name != "places"}
        found = _values(batch["found"])
        columns["places"] = [[plan.METADATA_IMAGE, *compress(range(len(each)), each)] for each in found]
        yield from map(_Planned._make, zip(*(columns[name] for name in _Planned._fields), strict=True))


def _values(column: pa.Array) -> list[Any]:
    """Return ``column`` as Python objects; Arrow makes lists of lists in ten times this time."""
    if not pa.types.is_list(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    flat, bounds = column.flatten().to_pylist(), column.offsets.to_pylist()
    first = bounds[0]
    return [flat[start - first : stop - first] for start, stop in pairwise(bounds)]


def _pack(run: Run, post: _Planned, entries: list[SpoolEntry], found: list[Fault]) -> _Packed | None:
    """Put one planned post together, or say in ``found`` why it is lost."""
    _, key, influencer, post_id, line, images, places, category, followers, followees, influencer_posts = post
    who = influencer, post_id
    max_entry = run.options["max_entry"]
    entries.sort(key=_IMAGE)
    if list(map(_IMAGE, entries)) != places:  # a number changed in a spool shows nowhere else before verify
        raise PostmillError(
            f"of post {key}, what was set aside is not what the plan says: a spool is damaged",
            place=run.spool,
            hint=f"find it: postmill verify {run.word}; delete it and its manifest, then ingest again",
        )
    metadata = entries[0]
    try:
        _, _, _, method, crc32, size, data = metadata
        info = inflate(method, data, size, crc32, max_entry)
        fields = parse_info(info)
    except EntryFault as error:
        fault = _cause(metadata, error)
        refuse_if_strict(run, f"{influencer}-{post_id}.info", fault)
        found.append(Fault(fault.reason, True, *who, archive="metadata", detail=fault.detail))
        return None
    except NotAPost as error:
        found.append(Fault(Reason.METADATA_UNREADABLE, True, *who, archive="metadata", detail=str(error)))
        return None
    taken: list[str] = []
    pictures: list[Buffer] = []
    for entry in islice(entries, 1, None):
        _, _, place, method, crc32, size, data = entry
        try:
            pictures.append(inflate(method, data, size, crc32, max_entry))
            taken.append(images[place])
        except EntryFault as error:
            fault = _cause(entry, error)
            name = f"{influencer}-{images[place]}"
            refuse_if_strict(run, name, fault)
            found.append(Fault(fault.reason, False, *who, archive="images", entry=name, detail=fault.detail))
    missing = [] if len(taken) == len(images) else list(filterfalse(set(taken).__contains__, images))
    if not pictures:
        found.append(Fault(Reason.NO_IMAGE, True, *who, line=line, detail=f"{len(missing)} listed"))
        return None
    account = None if category is None else _account(influencer, category, followers, followees, influencer_posts)
    record = complete(fields, key, post_id, influencer, account, taken, missing)
    return record, pictures, _gzip(metadata, info) if run.options["raw"] else None


def _cause(entry: SpoolEntry, error: EntryFault) -> EntryFault:
    """Return what is wrong with ``entry``: of one that could not be taken, what was found out then."""
    if entry.method != FAULT_METHOD:
        return error
    reason, detail = entry.fault()
    return EntryFault(Reason(reason), detail)


def _gzip(entry: SpoolEntry, plain: Buffer) -> bytes:
    """Return the entry as gzip: its own deflated bytes where it has such, else compressed anew."""
    deflated = entry.data if entry.method == DEFLATE else deflate.deflate_compress(plain, _LEVEL)
    return b"".join((_GZIP_HEADER, deflated, _GZIP_TRAILER.pack(entry.crc32, entry.size & 0xFFFFFFFF)))


_account = lru_cache(maxsize=1024)(Influencer)  # an account's posts share one
