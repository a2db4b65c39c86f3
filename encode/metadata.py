"""The metadata encoder: numbers of the record that exist before publication. No model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from encode import models
from encode.encoders import METADATA, Recipe, Rows
from shards import posts
from shards.embeddings import Encoder
from shards.run import Run

REVISION = "1"  # of the features below: a change to what they mean is another encoder
CATEGORIES = ("beauty", "family", "fashion", "fitness", "food", "interior", "pet", "travel", "other")
# Likes, comment_count and everything made of comments stay out: they exist only after publication.
COLUMNS = (
    *("key", "caption", "hashtags", "tagged_users", "width", "height", "aspect_ratio", "is_video", "is_verified"),
    *("is_private", "is_sponsored", "images", "missing_images", "taken_at", "followers", "followees"),
    *("influencer_posts", "category"),
)
_DAY_S = 86_400
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0

Column = npt.NDArray[np.float64]


def recipe() -> Recipe:
    """Return the metadata encoder; it is the same for every set of models."""
    encoder = Encoder(
        encoder=METADATA,
        models=models.EVERY,
        model="",
        revision=REVISION,
        weights_sha256="",
        precision="float32",
        dimensions=len(FEATURES),
        dtype="float32",
        scalars=(),
        features=FEATURES,
        available_before_publication=True,
        stand_in_for="",
        preprocessing={"categories": list(CATEGORIES), "time_zone": "UTC", "columns": list(COLUMNS)},
    )
    return Recipe(encoder, lambda: lambda run, shards: (encode(run, shard) for shard in shards))


def encode(run: Run, shard: int) -> Rows:
    """Return the metadata features of post shard ``shard``, every row present."""
    table = posts.read_records(run, shard, COLUMNS)
    return Rows(table["key"].to_pylist(), [None] * table.num_rows, features(table))


def features(table: pa.Table) -> npt.NDArray[np.float32]:
    """Return the features of N records as shape (N, ``len(FEATURES)``).

    A null counts as 0, and a feature ``..._missing`` beside it is then 1. Counts are counts; lengths are in
    characters and pixels; logarithms are natural; hour and weekday are in UTC and turned into points on a circle.

    Args:
        table: Records with at least :data:`COLUMNS`.
    """
    columns = list(_columns(table))
    out = np.empty((table.num_rows, len(columns)), dtype=np.float32)
    for at, (_, column) in enumerate(columns):
        out[:, at] = column
    return out


def _columns(table: pa.Table) -> Iterator[tuple[str, Column]]:
    caption = pc.fill_null(table["caption"], "")
    yield "caption_characters", _numbers(pc.utf8_length(caption))
    yield "caption_words", _numbers(pc.count_substring_regex(caption, r"\S+"))
    yield "caption_missing", 1.0 - _numbers(pc.match_substring_regex(caption, r"[^\s\pZ]"))
    yield "hashtags", _numbers(pc.list_value_length(table["hashtags"]))
    yield "mentions", _numbers(pc.count_substring_regex(caption, r"\B@[A-Za-z0-9_]"))
    yield "tagged_users", _numbers(pc.list_value_length(table["tagged_users"]))
    listed = pc.add(pc.list_value_length(table["images"]), pc.list_value_length(table["missing_images"]))
    yield "images", _numbers(listed)
    for name in ("width", "height", "aspect_ratio"):
        yield name, _numbers(table[name])
    yield "dimensions_missing", _missing(table["width"])
    for name in ("is_video", "is_verified", "is_private"):
        yield name, _numbers(table[name])
        yield f"{name}_missing", _missing(table[name])
    yield "is_sponsored", _numbers(table["is_sponsored"])
    for name in ("followers", "followees", "influencer_posts"):
        yield f"log_{name}", np.log1p(np.maximum(_numbers(table[name]), 0.0))
    yield "account_missing", _missing(table["followers"])
    yield from _time_columns(table["taken_at"])
    category = pc.fill_null(table["category"], "")
    for name in CATEGORIES:
        yield f"category_{name}", _numbers(pc.equal(category, name))
    yield "category_unknown", 1.0 - _numbers(pc.is_in(category, value_set=pa.array(CATEGORIES)))


def _time_columns(taken_at: pa.ChunkedArray) -> Iterator[tuple[str, Column]]:
    seconds = pc.fill_null(taken_at, 0).to_numpy()
    known = 1.0 - _missing(taken_at)
    hour = 2 * np.pi * (seconds % _DAY_S) / _DAY_S
    weekday = 2 * np.pi * ((seconds // _DAY_S + _EPOCH_WEEKDAY) % 7) / 7
    for name, angle in (("hour", hour), ("weekday", weekday)):
        yield f"{name}_sin", np.sin(angle) * known
        yield f"{name}_cos", np.cos(angle) * known
    yield "taken_at_missing", 1.0 - known


def _numbers(column: pa.ChunkedArray) -> Column:
    values: Column = pc.fill_null(column.cast(pa.float64(), safe=False), 0.0).to_numpy()
    return np.nan_to_num(values, posinf=0.0, neginf=0.0)


def _missing(column: pa.ChunkedArray) -> Column:
    values: Column = pc.is_null(column).cast(pa.float64()).to_numpy()
    return values


FEATURES = tuple(name for name, _ in _columns(posts.SCHEMA.empty_table()))
