"""The metadata features: their values, what a null becomes, and that nothing of the target is among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from postmill.encode.encoders import metadata
from postmill.encode.stage import encode_run
from postmill.shards.formats import embeddings, posts
from postmill.shards.run.folder import Run

# Monday 4 March 2019, 18:00 UTC
MONDAY_EVENING = 1_551_722_400


def features(record: dict[str, Any]) -> dict[str, float]:
    row = metadata.record_features(posts.records_table([record]))[0]
    return dict(zip(metadata.features(), row.tolist(), strict=True))


def test_values(make_record: Callable[..., dict[str, Any]]) -> None:
    record = make_record(
        "k",
        caption="Sun & 🍞 with @ann.lee and (@bob_2) mail a@b.c\n#bread #été",
        hashtags=["bread", "été"],
        tagged_users=["ann.lee", "bob_2", "c"],
        images=["1.jpg", "2.jpg"],
        missing_images=["3.jpg"],
        taken_at=MONDAY_EVENING,
        is_verified=True,
        followers=999,
        category="pet",
    )
    values = features(record)
    assert values["caption_characters"] == len(record["caption"])
    assert values["caption_words"] == len(record["caption"].split())
    assert (values["hashtags"], values["mentions"], values["tagged_users"], values["images"]) == (2, 2, 3, 3)
    assert (values["width"], values["height"], values["aspect_ratio"]) == (1080, 1350, pytest.approx(0.8))
    assert (values["is_verified"], values["is_private"], values["is_video"], values["is_sponsored"]) == (1, 0, 0, 0)
    assert values["log_followers"] == pytest.approx(math.log(1000))
    assert (values["hour_sin"], values["hour_cos"]) == (pytest.approx(-1), pytest.approx(0, abs=1e-6))
    assert (values["weekday_sin"], values["weekday_cos"]) == (0, 1)
    assert [name for name in metadata.features() if name.startswith("category_") and values[name]] == ["category_pet"]
    assert not any(value for name, value in values.items() if name.endswith("_missing"))


def test_nulls_are_zero_with_a_flag(make_record: Callable[..., dict[str, Any]]) -> None:
    names = "caption width height aspect_ratio is_video is_verified is_private followers followees influencer_posts"
    unknown = dict.fromkeys([*names.split(), "taken_at", "category"])
    values = features(make_record("k", hashtags=[], tagged_users=[], **unknown))
    ones = {name for name, value in values.items() if value}
    flags = {name for name in metadata.features() if name.endswith("_missing")}
    assert ones == flags | {"category_unknown"}
    assert all(value in (0, 1) for value in values.values())
    for caption in (" \n", "\u2800", "\u200b\ufffd"):
        assert features(make_record("k", caption=caption))["caption_missing"] == 1
    assert features(make_record("k", category="fashion 0.5"))["category_unknown"] == 1


def test_hostile_numbers_stay_finite(make_record: Callable[..., dict[str, Any]]) -> None:
    extreme = dict(taken_at=-(2**63), followers=2**63 - 1, followees=-5, width=-(2**31), aspect_ratio=math.inf)
    values = features(make_record("k", **extreme))
    assert all(math.isfinite(value) for value in values.values())
    assert values["log_followees"] == 0
    assert abs(values["hour_sin"] ** 2 + values["hour_cos"] ** 2 - 1) < 1e-5


@pytest.mark.parametrize(
    "change",
    [
        {"likes": 10**6},
        {"likes": None},
        {"comment_count": 10**6},
        {"comments": "so many words @x #y"},
        {"comments": None},
        {"comments_read": 24},
    ],
)
def test_nothing_that_comes_after_publication_changes_a_feature(
    change: dict[str, Any], make_record: Callable[..., dict[str, Any]]
) -> None:
    assert features(make_record("k", **change)) == features(make_record("k"))


def test_every_other_field_that_is_read_changes_one(make_record: Callable[..., dict[str, Any]]) -> None:
    changed = dict(caption="x", hashtags=[], tagged_users=["a"], width=1, height=1, aspect_ratio=1.0, is_video=True)
    changed |= dict(is_verified=True, is_private=True, is_sponsored=True, images=["a"], missing_images=["b"])
    changed |= dict(taken_at=5, followers=5, followees=5, influencer_posts=5, category="other")
    assert {"key", *changed} == set(metadata.RECORD_COLUMNS)
    base = features(make_record("k"))
    for name, value in changed.items():
        assert features(make_record("k", **{name: value})) != base, name


def test_stage(make_posts: Callable[..., Run]) -> None:
    run = make_posts(followers=[10, None, 30])
    (summary,) = encode_run(run, encoders=["metadata"]).encoders  # paper's models: it has none, so needs no network
    assert encode_run(run, encoders=["metadata"], models="light").encoders[0].skipped == 1  # and is the same in both
    shard = embeddings.read(run, summary.encoder, 0)
    assert shard.vectors is not None and shard.vectors.dtype == np.float32
    assert shard.present.all()
    assert summary.encoder.features == metadata.features()
    assert shard.vectors[:, metadata.features().index("account_missing")].tolist() == [0, 1, 0]
