"""The post record: one schema for ``KEY.json`` in the tar and for the Parquet beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa

from postmill.shards.formats import offsets
from postmill.shards.formats.counts import ShardCounts
from postmill.shards.formats.units import shard_name
from postmill.shards.run import checked, manifests, parquet, publish
from postmill.shards.run.folder import Run
from postmill.shards.run.manifests import FileState, Manifest
from postmill.shards.runtime.errors import PostmillError


def _field(name: str, kind: pa.DataType, meaning: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"meaning": meaning})


SCHEMA = pa.schema(
    [
        _field("key", pa.string(), "WebDataset key: the post id made safe, unique in the run", False),
        _field("post_id", pa.string(), "id of the post as the mapping names it", False),
        _field("post_hash", pa.string(), "SHA-256 of the metadata as canonical JSON", False),
        _field("influencer", pa.string(), "account name in the archives (the account may have been renamed)", False),
        _field("owner_id", pa.string(), "the account's numeric id"),
        _field("owner_username", pa.string(), "account name inside the metadata"),
        _field("category", pa.string(), "of the account, from influencers.txt"),
        _field("followers", pa.int64(), "accounts following it when the list was crawled"),
        _field("followees", pa.int64(), "accounts it followed when the list was crawled"),
        _field("influencer_posts", pa.int64(), "posts of the account when the list was crawled"),
        _field("shortcode", pa.string(), "the post's name in a link"),
        _field("post_type", pa.string(), "GraphImage, GraphSidecar or GraphVideo"),
        _field("taken_at", pa.int64(), "time of publication, seconds since 1970 UTC"),
        _field("caption", pa.string(), "text of the caption; null where there is none"),
        _field("comments", pa.string(), "top-level comment texts, one a line; null where none is in the metadata"),
        _field("comments_read", pa.int32(), "how many comment texts were merged", False),
        _field("likes", pa.int64(), "null where hidden"),
        _field("comment_count", pa.int64(), "comments in all, of which the metadata holds the first page"),
        _field("hashtags", pa.list_(pa.string()), "of the caption, lower case, in order, without #", False),
        _field("tagged_users", pa.list_(pa.string()), "account names tagged in the picture", False),
        _field("is_video", pa.bool_(), "null where the metadata does not say"),
        _field("is_sponsored", pa.bool_(), "marked as an advertisement or with a sponsor", False),
        _field("is_verified", pa.bool_(), "of the account"),
        _field("is_private", pa.bool_(), "of the account"),
        _field("width", pa.int32(), "pixels of the original, not of the stored JPEG"),
        _field("height", pa.int32(), "pixels of the original, not of the stored JPEG"),
        _field("aspect_ratio", pa.float64(), "width / height"),
        _field("accessibility_caption", pa.string(), "description of the picture for screen readers"),
        _field("images", pa.list_(pa.string()), "picture names in the mapping's order; the nth is KEY.n.jpg", False),
        _field(
            "missing_images",
            pa.list_(pa.string()),
            "listed pictures that could not be had, or were not asked for",
            False,
        ),
    ]
)

NAMES = tuple(SCHEMA.names)
_IN_ORDER = itemgetter(*NAMES)


def record_json(record: Mapping[str, Any]) -> bytes:
    """Return ``record`` as the UTF-8 JSON of ``KEY.json``: the fields of :data:`SCHEMA` in their order, no blanks."""
    return orjson.dumps(record if tuple(record) == NAMES else {name: record[name] for name in NAMES})


def records_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return ``records`` as a table of :data:`SCHEMA`, one row each, in order."""
    columns = list(zip(*map(_IN_ORDER, records), strict=True)) or [()] * len(SCHEMA)
    return pa.Table.from_arrays(list(map(pa.array, columns, SCHEMA.types)), schema=SCHEMA)


def records_hash(run: Run, shard: int) -> str:
    """Return the BLAKE3 of the records of post shard ``shard``, as its manifest states it.

    Raises:
        PostmillError: The shard is not there yet, or its manifest cannot be read.
    """
    return _records_state(run, shard).blake3


def read_records(run: Run, shard: int, columns: Sequence[str] | None = None, expected: str | None = None) -> pa.Table:
    """Read the records of post shard ``shard``: one row a post, in the order of the tar.

    Args:
        run: The run.
        shard: Number of the post shard.
        columns: Which columns, all by default.
        expected: Their BLAKE3 (:func:`records_hash`), where rows have to fit what was read before.

    Raises:
        PostmillError: The shard is not there yet, cannot be read, or is another one than was read before.
    """
    path, command = run.posts / f"{shard_name(shard)}.parquet", f"postmill ingest {run.word}"
    state = _records_state(run, shard)
    if expected not in (None, state.blake3):
        raise PostmillError(
            "was made anew while posts were read", place=path, hint="run the same command again: it reads it as it is"
        )
    try:
        return parquet.read_checked(path, state, command, columns)
    except (KeyError, pa.ArrowException) as error:  # it holds what it should, and that is not what it should be
        raise checked.damaged(path, str(error), command) from error


def _records_state(run: Run, shard: int) -> FileState:
    return _state(run, shard, ".parquet", "records")


def _state(run: Run, shard: int, suffix: str, what: str) -> FileState:
    done, file = manifest(run, shard), f"{shard_name(shard)}{suffix}"
    if file not in done.files:
        raise checked.damaged(
            run.posts / f"{shard_name(shard)}.json", f"its manifest names no {what}", f"postmill ingest {run.word}"
        )
    return done.files[file]


def manifest(run: Run, shard: int) -> Manifest:
    """Return the manifest of post shard ``shard``.

    Raises:
        PostmillError: The shard is not there yet, or cannot be read.
    """
    name = shard_name(shard)
    done = manifests.whole(run.posts, name, run.fingerprint)
    if done is None:
        raise PostmillError(
            f"post shard {name} is not done", place=run.posts, hint=f"make it: postmill ingest {run.word}"
        )
    return done


def counts(run: Run, shard: int) -> ShardCounts | None:
    """Return what the manifest of post shard ``shard`` states, None where the shard is not done."""
    done = manifests.done(run.posts, shard_name(shard), run.fingerprint)
    return None if done is None else ShardCounts.of(done)


def tar_state(run: Run, shard: int) -> FileState:
    """Return what the manifest of post shard ``shard`` states of its tar, which may have been dropped.

    Raises:
        PostmillError: The shard is not there yet, cannot be read, or names no tar.
    """
    return _state(run, shard, ".tar", "tar")


def index_state(run: Run, shard: int) -> FileState:
    """Return what the manifest of post shard ``shard`` states of its tar's index; errors are those of a tar's state."""
    return _state(run, shard, offsets.SUFFIX, "index")


def with_tar(run: Run, shards: Iterable[int]) -> list[int]:
    """Return those of ``shards`` that are done and whose tar is there."""
    return [shard for shard in shards if (tar := _tar_of(run, shard)) is not None and not tar.dropped]


def dropped(run: Run, shards: Iterable[int]) -> list[int]:
    """Return those of ``shards`` that are done and whose tar was let go."""
    return [shard for shard in shards if (tar := _tar_of(run, shard)) is not None and tar.dropped]


def drop_tar(run: Run, shard: int) -> None:
    """Let go of the tar of post shard ``shard``; its records, its index, and the tar's length and hash stay.

    Raises:
        PostmillError: The shard is not there yet, cannot be read, or its folder cannot be written.
    """
    publish.drop(run.posts, manifest(run, shard), f"{shard_name(shard)}.tar")


def restore_command(run: Run) -> str:
    """Return the command that packs again what was dropped, from the archives."""
    return f"postmill ingest {run.word} --restore"


def done_shards(run: Run, shards: int) -> Iterator[int]:
    """Yield the numbers below ``shards`` of the post shards that are done."""
    return done_among(run, range(shards))


def done_among(run: Run, shards: Iterable[int]) -> Iterator[int]:
    """Yield those of ``shards`` that are done; no other is looked at."""
    return (shard for shard in shards if manifests.whole(run.posts, shard_name(shard), run.fingerprint) is not None)


def _tar_of(run: Run, shard: int) -> FileState | None:
    done = manifests.whole(run.posts, shard_name(shard), run.fingerprint)
    return None if done is None else done.files.get(f"{shard_name(shard)}.tar")
