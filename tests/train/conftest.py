"""Runs with planted truth: posts and embedding shards made of random numbers, no pictures and no encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmill.shards.formats import embeddings, faults, plan, posts
from postmill.shards.formats.encoders import Encoder, encoders_of, pin_encoder
from postmill.shards.formats.reasons import Reason
from postmill.shards.formats.units import shard_name
from postmill.shards.run import publish
from postmill.shards.run.folder import Run
from postmill.shards.runtime.progress import Silent
from tests.runs import new_run, plan_counts, plant_secret, shard_counts

TEXT_WIDTH, IMAGE_WIDTH = 24, 16


@dataclass(frozen=True)
class Planted:
    """What bears on the target: weights of the account's own level and of one direction of each modality."""

    accounts: int = 40
    posts: int = 600
    shards: int = 2
    account: float = 0.0
    text: float = 0.0
    image: float = 0.0
    metadata: float = 0.0
    sentiment: float = 0.0
    comments: float = 0.0  # how much the comments' text knows of the target
    noise: float = 0.3
    seed: int = 0
    no_text: float = 0.0
    no_image: float = 0.0
    lost: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    extra_metadata: tuple[str, ...] = ()
    invented: bool = False


def encoder(name: str, width: int, **fields: Any) -> Encoder:
    base: dict[str, Any] = dict(
        encoder=name,
        models="light",
        model=f"tiny-{name}",
        revision="1",
        weights_sha256="",
        precision="float32",
        dimensions=width,
        dtype="float16",
        scalars=(),
        features=(),
        available_before_publication=True,
        stand_in_for=f"all-{name}",
        preprocessing={},
    )
    return Encoder(**{**base, **fields})


@pytest.fixture(scope="session")
def make_encoder() -> Callable[..., Encoder]:
    return encoder


def write_posts(
    folder: Path, records: Sequence[dict[str, Any]], shards: int, lost: int = 0, *, invented: bool = False
) -> Run:
    """A run folder with finished post shards that hold records alone, and with the secret that all such have."""
    run = new_run(folder, invented=invented)
    plant_secret(folder)
    pieces = np.array_split(np.arange(len(records)), shards)
    with publish.unit(run.plan, plan.NAME, run.fingerprint) as unit:
        missing = [faults.Fault(Reason.METADATA_MISSING, post_lost=True, post_id=f"lost{n}") for n in range(lost)]
        unit.table(faults.FILE, faults.table(missing))
        plan_counts(shards=shards, mapped_posts=len(records) + lost).put(unit)
    for number, piece in enumerate(pieces):
        name = shard_name(number)
        with publish.unit(run.posts, name, run.fingerprint) as unit:
            unit.table(f"{name}.parquet", posts.records_table([records[n] for n in piece]))
            shard_counts(len(piece)).put(unit)
    return run


def write_embeddings(
    run: Run, made: Encoder, vectors: Any, present: Any, scalars: dict[str, Any] | None = None
) -> None:
    """The embedding shards of one encoder for all posts of the run, in order."""
    pin_encoder(run, made)
    start = 0
    for shard in range(plan.counts(run).shards):
        keys = posts.read_records(run, shard, ["key"])["key"].to_pylist()
        rows = slice(start, start + len(keys))
        embeddings.write(
            run,
            made,
            shard,
            keys,
            [None if is_present else "absent" for is_present in present[rows]],
            None if vectors is None else vectors[rows],
            {name: values[rows] for name, values in (scalars or {}).items()},
        )
        start += len(keys)


def record(key: str, **fields: Any) -> dict[str, Any]:
    """A record in which what training and the report read has a value; ``fields`` replaces some."""
    base: dict[str, Any] = dict.fromkeys(posts.SCHEMA.names)
    base.update(key=key, post_id=key, post_hash="0" * 64, category="food", taken_at=1_550_000_000, comment_count=3)
    base.update(comments="looks great\nrecipe please", comments_read=2, hashtags=[], tagged_users=["some.user"])
    base.update(is_sponsored=False, missing_images=[])
    return {**base, **fields}


@pytest.fixture
def planted_run(tmp_path: Path) -> Callable[..., Run]:
    """Write a run of ``Planted`` truth with embeddings of every encoder."""
    return lambda name="run", **fields: plant_run(tmp_path / name, Planted(**fields))


@pytest.fixture(scope="session")
def plant_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """As ``planted_run``, for runs that several tests only read."""
    return lambda **fields: plant_run(tmp_path_factory.mktemp("planted") / "run", Planted(**fields))


def plant_run(folder: Path, truth: Planted) -> Run:
    """Draw posts of ``truth`` and write their shards and the embeddings of every encoder."""
    random = np.random.default_rng(truth.seed)
    n = truth.posts
    account = random.integers(truth.accounts, size=n) if truth.accounts < n else np.arange(n)
    text = random.normal(size=(n, TEXT_WIDTH)).astype(np.float32)
    image = random.normal(size=(n, IMAGE_WIDTH)).astype(np.float32)
    metadata = random.normal(size=(n, 4)).astype(np.float32)
    score = random.uniform(0.5, 1, size=n)
    positive = random.random(n) < 0.5
    # Content also tells the account apart, as real captions and pictures do.
    level = random.normal(size=truth.accounts)
    style = random.normal(size=(truth.accounts, TEXT_WIDTH)).astype(np.float32)
    text += 2 * style[account] if truth.account else 0
    y = (
        6
        + truth.account * level[account]
        + truth.text * text[:, 0]
        + truth.image * image[:, 0]
        + truth.metadata * metadata[:, 0]
        + truth.sentiment * np.where(positive, score, -score)
        + truth.noise * random.normal(size=n)
    )
    likes = np.maximum(0, np.round(np.expm1(y) - 3)).astype(int)
    records = [
        record(
            **{
                "key": f"p{row:06d}",
                "influencer": f"account{account[row]:04d}",
                "owner_id": str(1000 + account[row]),
                "caption": f"a caption of post {row}",
                "likes": int(likes[row]),
                "taken_at": 1_500_000_000 + 3_600 * row,
                "comment_count": 3,
                "images": [f"{row}.jpg"],
                **{key: value(row) if callable(value) else value for key, value in truth.record.items()},
            },
        )
        for row in range(n)
    ]
    run = write_posts(folder, records, truth.shards, truth.lost, invented=truth.invented)
    has_text, has_image = random.random(n) >= truth.no_text, random.random(n) >= truth.no_image
    everyone = np.ones(n, dtype=bool)
    write_embeddings(run, encoder("text", TEXT_WIDTH), text, has_text)
    write_embeddings(run, encoder("image", IMAGE_WIDTH), image, has_image)
    with_comments = text.copy()
    with_comments[:, 1] = truth.comments * (y - y.mean()) + (1 - truth.comments) * text[:, 1]
    write_embeddings(
        run,
        encoder("text-with-comments", TEXT_WIDTH, available_before_publication=False),
        with_comments,
        everyone,
    )
    names = ("log_followers", "width", "category_food", "caption_length", *truth.extra_metadata)
    columns = np.column_stack([metadata, *(np.log1p(likes) for _ in truth.extra_metadata)])
    write_embeddings(
        run,
        encoder("metadata", len(names), models="paper", features=names, dtype="float32", stand_in_for=""),
        columns,
        everyone,
    )
    labels = np.where(positive, "POSITIVE", "NEGATIVE").tolist()
    write_embeddings(
        run,
        encoder(
            "sentiment",
            0,
            available_before_publication=False,
            scalars=("caption_label", "caption_score", "comments_label", "comments_score"),
        ),
        None,
        everyone,
        {
            "caption_label": labels,
            "caption_score": score.tolist(),
            "comments_label": labels,
            "comments_score": score.tolist(),
        },
    )
    return run


@pytest.fixture
def another_text() -> Callable[[Run], None]:
    """Add embeddings of a second text model to a run."""

    def add(run: Run) -> None:
        posts_of = sum(posts.read_records(run, n, ["key"]).num_rows for n in range(2))
        made = encoder("text", TEXT_WIDTH, model="big-text", models="paper")
        write_embeddings(run, made, np.ones((posts_of, TEXT_WIDTH)), np.ones(posts_of, dtype=bool))

    return add


@pytest.fixture
def rewrite_keys() -> Callable[[Run], None]:
    """Replace the text embeddings of shard 0 by those of posts with other keys."""

    def rewrite(run: Run) -> None:
        made = next(e for e in encoders_of(run) if e.encoder == "text")
        keys = [f"other{key}" for key in posts.read_records(run, 0, ["key"])["key"].to_pylist()]
        embeddings.write(run, made, 0, keys, [None] * len(keys), np.ones((len(keys), TEXT_WIDTH)), {})

    return rewrite


@pytest.fixture
def reencode() -> Callable[[Run], None]:
    """Encode the text of shard 0 again, with other numbers."""

    def rewrite(run: Run) -> None:
        made = next(e for e in encoders_of(run) if e.encoder == "text")
        shard = embeddings.read(run, made, 0)
        keys = shard.keys.to_pylist()
        embeddings.write(run, made, 0, keys, [None] * len(keys), np.asarray(shard.vectors) + 1, {})

    return rewrite


class Notes(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def notes() -> Notes:
    return Notes()
