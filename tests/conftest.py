"""Fixtures that more than one test file needs."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from postmill.shards.formats import offsets, plan, posts
from postmill.shards.formats.tar import TarWriter
from postmill.shards.formats.units import shard_name
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.run.options import Options
from tests.machine.needs import pytest_runtest_call, pytest_runtest_setup, pytest_terminal_summary  # noqa: F401
from tests.runs import new_run, plan_counts, shard_counts

# A slow machine is no failure: tests never judge time.
settings.register_profile("postmill", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("postmill")

Post = tuple[dict[str, Any], Sequence[bytes]]


def record(key: str, **fields: Any) -> dict[str, Any]:
    """A record in which every field has a plausible value; ``fields`` replaces some."""
    base: dict[str, Any] = dict.fromkeys(posts.SCHEMA.names)
    base.update(
        key=key,
        post_id=key,
        post_hash="0" * 64,
        influencer="ann.lee",
        category="food",
        followers=10_000,
        followees=300,
        influencer_posts=120,
        post_type="GraphImage",
        taken_at=1_550_000_000,
        caption="fresh bread this morning #bread",
        comments="looks great\nrecipe please",
        comments_read=2,
        likes=100,
        comment_count=7,
        hashtags=["bread"],
        tagged_users=[],
        is_video=False,
        is_sponsored=False,
        is_verified=False,
        is_private=False,
        width=1080,
        height=1350,
        aspect_ratio=0.8,
        images=[],
        missing_images=[],
    )
    base.update(fields)
    return base


def jpeg(seed: int, size: tuple[int, int] = (256, 320)) -> bytes:
    """A small JPEG whose content depends on ``seed``."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=85)
    return out.getvalue()


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[Sequence[Sequence[Post]]], Run]:
    """Write a run folder with a plan manifest and one finished post shard for each list of posts."""

    def make(contents: Sequence[Sequence[Post]]) -> Run:
        run = new_run(tmp_path / "run", Options(raw=False))
        shards = [
            dict(shard=n, kind="window", window=n, posts=len(c), images=0, image_bytes=0, last_part=0)
            for n, c in enumerate(contents)
        ]
        with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
            unit.table("shards.parquet", plan.pa.Table.from_pylist(shards, schema=plan.SHARDS))
            plan_counts(shards=len(shards)).put(unit)
        for number, content in enumerate(contents):
            name = shard_name(number)
            with publish.unit(run.posts, name, run.fingerprint) as unit:
                tar = TarWriter(unit.file(f"{name}.tar"))
                for fields, pictures in content:
                    if pictures:
                        fields["images"] = [f"{fields['post_id']}-{n}.jpg" for n in range(len(pictures))]
                    names = [
                        f"{fields['key']}.{kind}" for kind in ("json", *(f"{n}.jpg" for n in range(len(pictures))))
                    ]
                    tar.add(names, [posts.record_json(fields), *pictures])
                tar.close()
                unit.file(f"{name}{offsets.SUFFIX}").write(offsets.index_bytes(tar.members))
                unit.table(f"{name}.parquet", posts.records_table([fields for fields, _ in content]))
                shard_counts(len(content)).put(unit)
        return run

    return make


@pytest.fixture
def make_record() -> Callable[..., dict[str, Any]]:
    return record


@pytest.fixture
def make_jpeg() -> Callable[..., bytes]:
    return jpeg
