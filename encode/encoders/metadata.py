"""The metadata encoder: numbers of the record that exist before publication. No model."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from postmill.encode.interface import EncodedShard, EncoderSpec
from postmill.encode.models import EVERY_SET
from postmill.encode.options import EncoderName, Precision
from postmill.shards.formats import posts
from postmill.shards.formats.blank import VISIBLE
from postmill.shards.formats.encoders import Encoder
from postmill.shards.run.folder import Run

FEATURES_REVISION = "1"  # of the features below: a change to what they mean is another encoder
CATEGORY_NAMES = ("beauty", "family", "fashion", "fitness", "food", "interior", "pet", "travel", "other")
# Likes, comment_count and everything made of comments stay out: they exist only after publication.
RECORD_COLUMNS = (
    *("key", "caption", "hashtags", "tagged_users", "width", "height", "aspect_ratio", "is_video", "is_verified"),
    *("is_private", "is_sponsored", "images", "missing_images", "taken_at", "followers", "followees"),
    *("influencer_posts", "category"),
)
_SECONDS_A_DAY = 86_400
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0

Feature = npt.NDArray[np.float64]  # shape (N,), a value for each record


@functools.cache
def features() -> tuple[str, ...]:
    """Return the names of the features, in their order; no constant, for pyarrow loads pandas to make them."""
    return tuple(name for name, _ in _named_features(posts.SCHEMA.empty_table()))


def spec() -> EncoderSpec:
    """Return the metadata encoder; it is the same for every set of models."""
    encoder = Encoder(
        encoder=str(EncoderName.METADATA),
        models=EVERY_SET,
        model="",
        revision=FEATURES_REVISION,
        weights_sha256="",
        precision=str(Precision.FLOAT32),
        dimensions=len(features()),
        dtype="float32",
        scalars=(),
        features=features(),
        available_before_publication=True,
        stand_in_for="",
        preprocessing={
            "categories": list(CATEGORY_NAMES),
            "time_zone": "UTC",
            "columns": list(RECORD_COLUMNS),
            "caption_missing": "no visible character",
        },
    )
    return EncoderSpec(encoder, lambda: lambda run, shards: (encode_records(run, shard) for shard in shards))


def encode_records(run: Run, shard: int) -> EncodedShard:
    """Return the metadata features of post shard ``shard``, every row present."""
    table = posts.read_records(run, shard, RECORD_COLUMNS)
    return EncodedShard(table["key"].to_pylist(), [None] * table.num_rows, record_features(table))


def record_features(table: pa.Table) -> npt.NDArray[np.float32]:
    """Return the features of N records as shape (N, ``len(features())``).

    A null counts as 0, and a feature ``..._missing`` beside it is then 1. Counts are counts; lengths are in
    characters and pixels; logarithms are natural; hour and weekday are in UTC and turned into points on a circle.

    Args:
        table: Records with at least :data:`RECORD_COLUMNS`.
    """
    columns = list(_named_features(table))
    out = np.empty((table.num_rows, len(columns)), dtype=np.float32)
    for index, (_, column) in enumerate(columns):
        out[:, index] = column
    return out


def _named_features(table: pa.Table) -> Iterator[tuple[str, Feature]]:
    caption = pc.fill_null(table["caption"], "")
    yield "caption_characters", _floats(pc.utf8_length(caption))
    yield "caption_words", _floats(pc.count_substring_regex(caption, r"\S+"))
    yield "caption_missing", 1.0 - _floats(pc.match_substring_regex(caption, VISIBLE))
    yield "hashtags", _floats(pc.list_value_length(table["hashtags"]))
    yield "mentions", _floats(pc.count_substring_regex(caption, r"\B@[A-Za-z0-9_]"))
    yield "tagged_users", _floats(pc.list_value_length(table["tagged_users"]))
    listed = pc.add(pc.list_value_length(table["images"]), pc.list_value_length(table["missing_images"]))
    yield "images", _floats(listed)
    for name in ("width", "height", "aspect_ratio"):
        yield name, _floats(table[name])
    yield "dimensions_missing", _missing_flag(table["width"])
    for name in ("is_video", "is_verified", "is_private"):
        yield name, _floats(table[name])
        yield f"{name}_missing", _missing_flag(table[name])
    yield "is_sponsored", _floats(table["is_sponsored"])
    for name in ("followers", "followees", "influencer_posts"):
        yield f"log_{name}", np.log1p(np.maximum(_floats(table[name]), 0.0))
    yield "account_missing", _missing_flag(table["followers"])
    yield from _time_columns(table["taken_at"])
    category = pc.fill_null(table["category"], "")
    for name in CATEGORY_NAMES:
        yield f"category_{name}", _floats(pc.equal(category, name))
    yield "category_unknown", 1.0 - _floats(pc.is_in(category, value_set=pa.array(CATEGORY_NAMES)))


def _time_columns(taken_at: pa.ChunkedArray) -> Iterator[tuple[str, Feature]]:
    seconds = pc.fill_null(taken_at, 0).to_numpy()
    known = 1.0 - _missing_flag(taken_at)
    hour = 2 * np.pi * (seconds % _SECONDS_A_DAY) / _SECONDS_A_DAY
    weekday = 2 * np.pi * ((seconds // _SECONDS_A_DAY + _EPOCH_WEEKDAY) % 7) / 7
    for name, angle in (("hour", hour), ("weekday", weekday)):
        yield f"{name}_sin", np.sin(angle) * known
        yield f"{name}_cos", np.cos(angle) * known
    yield "taken_at_missing", 1.0 - known


def _floats(column: pa.ChunkedArray) -> Feature:
    values: Feature = pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy()
    return np.nan_to_num(values, posinf=0.0, neginf=0.0)


def _missing_flag(column: pa.ChunkedArray) -> Feature:
    values: Feature = pc.is_null(column).cast(pa.float64()).to_numpy()
    return values
