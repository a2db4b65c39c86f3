"""One planned post put together from its entries, or the faults that say why it is lost."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import compress, filterfalse, islice, pairwise
from operator import itemgetter
from typing import Any, NamedTuple

import deflate
import pyarrow as pa

from postmill.ingest.pack.second_look import LookAgain
from postmill.ingest.source.influencers import Influencer
from postmill.ingest.source.layout import metadata_entry, picture_entry
from postmill.ingest.source.post_fields import complete_record, parse_info
from postmill.ingest.source.post_json import NotAPost, plain_json
from postmill.ingest.zipformat.faults import EntryFault
from postmill.ingest.zipformat.methods.inflate import inflate
from postmill.ingest.zipformat.signatures import DEFLATE
from postmill.shards.formats.faults import Fault
from postmill.shards.formats.plan import ARCHIVES, IMAGES, METADATA, METADATA_IMAGE
from postmill.shards.formats.reasons import COPY_FAULTS, Reason
from postmill.shards.formats.spool import FAULT_METHOD, PLAIN_FILE, Seen, SpoolEntry
from postmill.shards.formats.tar import Buffer
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Level
from postmill.shards.runtime.errors import PostmillError

# RFC 1952: deflate, no name, no time, unknown system. A deflated zip entry is this and a trailer away from gzip.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_GZIP_TRAILER = struct.Struct("<II")  # CRC-32 and size of the plain bytes
_GZIP_LEVEL = 6
_BATCH_ROWS = 1000  # of the plan, kept as Python objects at a time

_IMAGE_NUMBER = itemgetter(SpoolEntry._fields.index("image"))


# NamedTuples, for both are made once a post: a frozen dataclass takes a quarter longer to be made.
class PlannedPost(NamedTuple):
    """What the plan says of one post of a shard.

    Attributes:
        row: Its row in the shard.
        key: Its WebDataset key.
        influencer: Account name as in the archives.
        post_id: As the mapping names it.
        line: Of the mapping file, from 1.
        images: Picture names as the mapping lists them.
        expected: The numbers ``image`` of its entries: METADATA_IMAGE, and those of the pictures that the archive has.
        account: Its row of the influencers file, None where there is none.
    """

    row: int
    key: str
    influencer: str
    post_id: str
    line: int
    images: list[str]
    expected: list[int]
    account: Influencer | None


class PackedPost(NamedTuple):
    """What came of one planned post.

    Attributes:
        faults: What is wrong with it or its pictures.
        record: Its record, None where the post is lost.
        pictures: JPEGs in the order of the record's ``images``.
        raw: The original metadata as gzip, None where the run does not keep it.
        not_chosen: Whether it is left out, without a fault, for it is not of the span of time that is asked for.
        without_time: Whether that is because it has none.
    """

    faults: Sequence[Fault]
    record: dict[str, Any] | None = None
    pictures: Sequence[Buffer] = ()
    raw: bytes | None = None
    not_chosen: bool = False
    without_time: bool = False


def planned_posts(table: pa.Table) -> Iterator[PlannedPost]:
    """Yield the rows of ``table`` (schema :data:`.plan.POSTS`)."""
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        names = ("row", "key", "influencer", "post_id", "line", "images")
        influencer = _python_values(batch["influencer"])
        numbers = (_python_values(batch[name]) for name in ("category", "followers", "followees", "influencer_posts"))
        flags_of_posts = _python_values(batch["found"])
        expected = [[METADATA_IMAGE, *compress(range(len(flags)), flags)] for flags in flags_of_posts]
        columns = (*(_python_values(batch[name]) for name in names), expected, map(_account, influencer, *numbers))
        yield from map(PlannedPost._make, zip(*columns, strict=True))


def pack_post(run: Run, post: PlannedPost, entries: list[SpoolEntry], look: LookAgain) -> PackedPost:
    """Put one planned post together.

    Args:
        run: The run, for its options.
        post: The post.
        entries: Its metadata and its pictures in any order; sorted here.
        look: Reads an entry once more whose bytes do not fit.

    Raises:
        PostmillError: The entries are not those planned; or, at the strict level, one of them has a fault.
    """
    entries.sort(key=_IMAGE_NUMBER)
    if (
        list(map(_IMAGE_NUMBER, entries)) != post.expected
    ):  # a number changed in a spool shows nowhere else before verify
        raise PostmillError(
            f"of post {post.key}, what was set aside is not what the plan says: a spool is damaged",
            place=run.spool,
            hint=f"find it: postmill verify {run.word}",
        )
    images, options = post.images, run.options
    metadata = entries[0]
    try:
        metadata, info = _plain(metadata, options.max_entry, look)
        metadata, info = _without_xz(metadata, info, options.max_entry)
        fields, field_faults = parse_info(info)
    except _Unusable as error:
        name = metadata_entry(post.influencer, post.post_id)
        refuse_if_strict(run, name, error.fault)
        return PackedPost([_of_entry(post, ARCHIVES[METADATA], name, error, decisive=True)])
    except NotAPost as error:
        return PackedPost([_of_metadata(post, Reason.METADATA_UNREADABLE, str(error), lost=True)])
    if not options.chosen.takes(fields["taken_at"]):
        return PackedPost((), not_chosen=True, without_time=fields["taken_at"] is None)
    faults = [_of_metadata(post, fault.reason, fault.detail, lost=False) for fault in field_faults]
    names: list[str] = []
    pictures: list[Buffer] = []
    for entry in islice(entries, 1, None):
        try:
            pictures.append(_plain(entry, options.max_entry, look)[1])
            names.append(images[entry.image])
        except _Unusable as error:
            name = picture_entry(post.influencer, images[entry.image])
            refuse_if_strict(run, name, error.fault)
            waits = error.seen is not None and options.level is not Level.SALVAGE and not _any_waits(faults)
            faults.append(_of_entry(post, ARCHIVES[IMAGES], name, error, decisive=waits))
    if _any_waits(faults):
        return PackedPost(faults)
    missing = [] if len(names) == len(images) else list(filterfalse(set(names).__contains__, images))
    if not pictures and not (options.pictureless or run.locations.text_only):
        waits = any(fault.seen_hash is not None for fault in faults)
        no_image = Fault(Reason.NO_IMAGE, not waits, post.influencer, post.post_id, line=post.line, post_waits=waits)
        faults.append(replace(no_image, detail=f"{len(missing)} listed"))
        return PackedPost(faults)
    record = complete_record(fields, post.key, post.post_id, post.influencer, post.account, names, missing)
    return PackedPost(faults, record, pictures, gzip_member(metadata, info) if options.raw else None)


def refuse_if_strict(run: Run, entry: str, fault: EntryFault) -> None:
    """At the strict level, turn the fault of one entry into an error.

    Raises:
        PostmillError: The run is strict.
    """
    if run.options.level is Level.STRICT:
        raise PostmillError(
            f"{entry}: {fault}",
            place=run.folder,
            hint="plan in a new run folder without --strict: it is then a fault of that one entry",
        ) from fault


def gzip_member(entry: SpoolEntry, plain: Buffer) -> bytes:
    """Return ``entry`` as gzip: its own deflated bytes where it has such, else ``plain`` compressed anew."""
    deflated = entry.data if entry.method == DEFLATE else deflate.deflate_compress(plain, _GZIP_LEVEL)
    crc32 = deflate.crc32(plain) if entry.method == PLAIN_FILE else entry.crc32
    return b"".join((_GZIP_HEADER, deflated, _GZIP_TRAILER.pack(crc32, entry.size & 0xFFFFFFFF)))


class _Unusable(Exception):
    """An entry that two reads could not take: what is wrong, and the bytes where other ones may mend it."""

    def __init__(self, reason: str, detail: str, seen: Seen | None) -> None:
        super().__init__(reason, detail)
        self.fault, self.seen = EntryFault(Reason(reason), detail), seen


def _plain(entry: SpoolEntry, max_entry: int, look: LookAgain) -> tuple[SpoolEntry, Buffer]:
    """Return ``entry`` as it is used, and its plain bytes; what does not fit is read once more.

    Raises:
        _Unusable: It cannot be taken.
    """
    if entry.method == FAULT_METHOD:  # which two reads of the first pass agreed on
        raise _Unusable(*entry.fault())
    try:
        return entry, inflate(entry.method, entry.data, entry.size, entry.crc32, max_entry)
    except EntryFault as error:
        if error.reason not in COPY_FAULTS:
            raise _Unusable(error.reason, error.detail, None) from error
        again = look(entry)
        if again.method == FAULT_METHOD:
            raise _Unusable(*again.fault()) from error
    return again, inflate(again.method, again.data, again.size, again.crc32, max_entry)


def _without_xz(entry: SpoolEntry, info: Buffer, max_entry: int) -> tuple[SpoolEntry, Buffer]:
    """Return metadata that a collector compressed as a file that it did not.

    Raises:
        NotAPost: It cannot be decompressed.
    """
    plain = plain_json(info, max_entry)
    return (entry, info) if plain is info else (entry._replace(method=PLAIN_FILE, size=len(plain)), plain)


def _of_entry(post: PlannedPost, archive: str, name: str, error: _Unusable, *, decisive: bool) -> Fault:
    """Return the fault of an entry; a ``decisive`` one is why the post is not there, yet or for ever."""
    fault, seen = error.fault, error.seen
    offset, length, digest = (None, None, None) if seen is None else seen
    return Fault(
        fault.reason,
        post_lost=decisive and seen is None,
        post_waits=decisive and seen is not None,
        influencer=post.influencer,
        post_id=post.post_id,
        archive=archive,
        entry=name,
        detail=fault.detail,
        seen_place=offset,
        seen_bytes=length,
        seen_hash=digest,
    )


def _any_waits(faults: Sequence[Fault]) -> bool:
    """Say whether one of ``faults`` is why a post waits."""
    return any(fault.post_waits for fault in faults)


def _of_metadata(post: PlannedPost, reason: Reason, detail: str, *, lost: bool) -> Fault:
    """Return a fault of a post's metadata: why it is lost, or what is wrong with one of its fields."""
    return Fault(reason, lost, post.influencer, post.post_id, ARCHIVES[METADATA], detail=detail)


@lru_cache(maxsize=1024)  # an account's posts share one
def _account(
    influencer: str, category: str | None, followers: int | None, followees: int | None, influencer_posts: int | None
) -> Influencer | None:
    """Return the account of a row of the plan, whose columns are null where the influencers file has no such row."""
    columns = category, followers, followees, influencer_posts
    return None if columns == (None,) * len(columns) else Influencer(influencer, *columns)


def _python_values(column: pa.Array) -> list[Any]:
    """Return ``column`` as Python objects; Arrow makes lists of lists in ten times this time."""
    if not pa.types.is_list(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    flat, bounds = column.flatten().to_pylist(), column.offsets.to_pylist()
    first = bounds[0]
    return [flat[start - first : stop - first] for start, stop in pairwise(bounds)]
