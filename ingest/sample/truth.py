"""The truth of sample data: what makes a post's engagement, in known shares, and what is wrong with it.

``y = log1p(likes + comments) = intercept + account + text + image + noise``, where the account effect is a slope
on log followers plus the account's own level. The tone of the comments follows ``y`` itself: a leak, since comments
are written after publication. Nothing else in a post bears on ``y``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from postmill.ingest.sample.accounts import Accounts, draw_accounts
from postmill.ingest.sample.captions import MOODS
from postmill.ingest.sample.faults import FAULTS, choose_faults
from postmill.ingest.sample.posts import Ints, draw_groups, draw_images, draw_times
from postmill.shards.runtime.errors import UsageError

Floats = NDArray[np.float64]

TRUTH_VERSION = 1
INTERCEPT = 7.3  # about 1,500 likes
VARIANCE = 1.44  # of y as planned
SHARES = {"account": 0.70, "text": 0.06, "image": 0.06, "noise": 0.18}
FOLLOWER_SHARE = 0.35  # within the account's; the rest is the account's own level
MOOD_WORTH = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])
MOOD_ODDS = np.array([0.12, 0.2, 0.28, 0.24, 0.16])
TOPIC_WORTH = np.array([-0.6, -0.2, 0.2, 0.6])
LEAK_NOISE = 0.35  # standard deviations of y
EMPTY_CAPTIONS = 0.04
SECOND_LANGUAGE = 0.08
EDITS = ("reencoded", "cropped")  # what is done to the picture of a near-duplicate
SHARED_NOISE = 0.8  # correlation of the noise of a near-duplicate with that of its original

TRUTH = pa.schema(
    [
        ("influencer", pa.string()),
        ("post_id", pa.string()),
        ("category", pa.string()),
        ("followers", pa.int64()),
        ("taken_at", pa.int64()),
        ("group", pa.int64()),
        ("near_duplicate", pa.string()),
        ("account_effect", pa.float64()),
        ("follower_effect", pa.float64()),
        ("text_effect", pa.float64()),
        ("image_effect", pa.float64()),
        ("noise", pa.float64()),
        ("leak", pa.float64()),
        ("y", pa.float64()),
        ("likes", pa.int64()),
        ("comments", pa.int64()),
        ("image_quality", pa.float64()),
        ("mood", pa.string()),
        ("topic", pa.int64()),
        ("language", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("image_count", pa.int64()),
        ("images", pa.list_(pa.string())),
        ("fault", pa.string()),
    ]
)


@dataclass(frozen=True)
class Truth:
    """The accounts, the table of :data:`TRUTH` (one row a post, by name and id), and the coefficients behind it."""

    accounts: Accounts
    table: pa.Table
    coefficients: dict[str, Any]


def make_truth(posts: int, influencers: int, seed: int) -> pa.Table:
    """Return the truth of a sample without writing it: one row for each post, columns of :data:`TRUTH`.

    ``group`` is the row number of a near-duplicate's original, of the post itself where it is none; ``noise``
    is what is left of ``y`` when the other effects are taken from it, so the effects add up exactly. ``likes`` and
    ``comments`` are the true ones, also where the ``.info`` hides or lacks them.

    Raises:
        UsageError: The numbers do not make a dataset.
    """
    return draw_truth(posts, influencers, seed).table


def draw_truth(posts: int, influencers: int, seed: int) -> Truth:
    """Return the truth with its accounts and coefficients; see :func:`make_truth`."""
    _check_numbers(posts, influencers, seed)
    rng = np.random.default_rng(seed)
    accounts = draw_accounts(rng, posts, influencers)
    owner = np.repeat(np.arange(len(accounts.names)), accounts.posts)
    post_ids, taken_at = draw_times(rng, accounts.posts, owner)
    group = draw_groups(rng, owner)
    copied = group != np.arange(posts)

    content = _draw_content(rng, group)
    effects, coefficients = _draw_effects(rng, accounts, owner, group, content)
    total = np.rint(np.expm1(np.maximum(INTERCEPT + sum(effects.values()), 0.0)))
    y = np.log1p(total)
    rate = np.clip(rng.lognormal(np.log(0.025), 0.5, posts), 0.0, 0.3)
    comments = np.rint(total * rate).astype(np.int64)
    account_effect = effects["followers"] + effects["own_level"]
    frame, image_count, images = draw_images(rng, post_ids, group)
    edits = np.array(EDITS)[rng.integers(0, len(EDITS), posts)]
    faults = choose_faults(rng, owner, busy=copied | np.isin(np.arange(posts), group[copied]))
    columns = {
        "influencer": np.array(accounts.names, dtype=object)[owner],
        "post_id": post_ids.astype(str),
        "category": np.array(accounts.categories, dtype=object)[owner],
        "followers": accounts.followers[owner],
        "taken_at": taken_at,
        "group": group,
        "near_duplicate": pa.array(edits, mask=~copied),
        "account_effect": account_effect,
        "follower_effect": effects["followers"],
        "text_effect": effects["text"],
        "image_effect": effects["image"],
        "noise": y - INTERCEPT - account_effect - effects["text"] - effects["image"],
        "leak": _scaled(y, 1.0) + LEAK_NOISE * rng.normal(0.0, 1.0, posts),
        "y": y,
        "likes": total.astype(np.int64) - comments,
        "comments": comments,
        "image_quality": content.quality,
        "mood": pa.array(np.array(MOODS)[content.mood], mask=content.empty),
        "topic": content.topic,
        "language": np.where(content.spanish, "es", "en"),
        "width": frame[:, 0],
        "height": frame[:, 1],
        "image_count": image_count,
        "images": images,
        "fault": pa.array(np.array(FAULTS)[np.maximum(faults, 0)], mask=faults < 0),
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()}).cast(TRUTH)
    return Truth(accounts, table, coefficients)


@dataclass(frozen=True)
class _Content:
    """What each post shows and says; a near-duplicate the same as its original."""

    mood: Ints
    topic: Ints
    empty: NDArray[np.bool_]
    spanish: NDArray[np.bool_]
    quality: Floats


def _draw_content(rng: np.random.Generator, group: Ints) -> _Content:
    posts = len(group)
    return _Content(
        mood=rng.choice(len(MOODS), posts, p=MOOD_ODDS)[group],
        topic=rng.integers(0, len(TOPIC_WORTH), posts)[group],
        empty=(rng.random(posts) < EMPTY_CAPTIONS)[group],
        spanish=(rng.random(posts) < SECOND_LANGUAGE)[group],
        quality=rng.normal(0.0, 1.0, posts)[group],
    )


def _draw_effects(
    rng: np.random.Generator, accounts: Accounts, owner: Ints, group: Ints, content: _Content
) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Return the parts of ``y`` for each post, each of exactly its planned variance, and the coefficients."""
    posts = len(owner)
    reach = np.log(accounts.followers.astype(np.float64))[owner]
    level = _without(rng.normal(0.0, 1.0, len(accounts.names))[owner], reach)
    text = np.where(content.empty, 0.0, MOOD_WORTH[content.mood] + TOPIC_WORTH[content.topic])
    drawn = rng.normal(0.0, 1.0, posts)
    shared = SHARED_NOISE * drawn[group] + math.sqrt(1 - SHARED_NOISE**2) * drawn
    noise = np.where(group == np.arange(posts), drawn, shared)
    effects = {
        "followers": _scaled(reach, FOLLOWER_SHARE * VARIANCE),
        "own_level": _scaled(level, (SHARES["account"] - FOLLOWER_SHARE) * VARIANCE),
        "text": _scaled(text, SHARES["text"] * VARIANCE),
        "image": _scaled(content.quality, SHARES["image"] * VARIANCE),
        "noise": _scaled(noise, SHARES["noise"] * VARIANCE),
    }
    coefficients = {
        "intercept": INTERCEPT,
        "follower_slope": _slope(effects["followers"], reach),
        "own_level_sd": float(effects["own_level"].std()),
        "text_slope": _slope(effects["text"], text),
        "mood_worth": dict(zip(MOODS, MOOD_WORTH.tolist(), strict=True)),
        "topic_worth": TOPIC_WORTH.tolist(),
        "image_slope": _slope(effects["image"], content.quality),
        "noise_sd": float(effects["noise"].std()),
        "leak_noise_sd": LEAK_NOISE,
    }
    return effects, coefficients


def realised(table: pa.Table) -> dict[str, Any]:
    """Return what the draws came to: variance of ``y``, each effect's share of it, and how much the leak tells.

    The shares and ``covariance`` (twice the sum of all covariances between effects) add up to one.
    """
    values = {
        name: table.column(name).to_numpy() for name in TRUTH.names if pa.types.is_floating(TRUTH.field(name).type)
    }
    variance = float(values["y"].var())
    if variance == 0:
        return {"variance": 0.0, "shares": {}, "leak_correlation": None}
    parts = {name: values[f"{name}_effect"] for name in ("account", "text", "image")} | {"noise": values["noise"]}
    shares = {name: float(effect.var()) / variance for name, effect in parts.items()}
    shares["covariance"] = 1.0 - sum(shares.values())
    return {
        "variance": variance,
        "shares": shares,
        "follower_share": float(values["follower_effect"].var()) / variance,
        "leak_correlation": float(np.corrcoef(values["leak"], values["y"])[0, 1]),
    }


def _check_numbers(posts: int, influencers: int, seed: int) -> None:
    if posts < 1:
        raise UsageError(f"{posts} posts make no dataset", place="--posts", hint="give 1 or more")
    if influencers < 1:
        raise UsageError(f"{influencers} influencers make no dataset", place="--influencers", hint="give 1 or more")
    if influencers > posts:
        raise UsageError(
            f"{influencers} influencers cannot share {posts} posts",
            place="--influencers",
            hint=f"every influencer has a post at least: give {posts} influencers or fewer, or more posts",
        )
    if seed < 0:
        raise UsageError(f"{seed} is no seed", place="--seed", hint="give 0 or more")


def _scaled(values: Floats, variance: float) -> Floats:
    """Return ``values`` shifted to mean 0 and scaled to ``variance``; zeros where they do not vary."""
    std = float(values.std())
    factor = math.sqrt(variance) / std if std > 1e-9 else 0.0
    return (values - float(values.mean())) * factor


def _without(values: Floats, other: Floats) -> Floats:
    """Return ``values`` less what ``other`` explains of them linearly, so that their variances add."""
    return values - float(values.mean()) - _slope(values, other) * (other - float(other.mean()))


def _slope(values: Floats, other: Floats) -> float:
    variance = float(other.var())
    return float(((values - values.mean()) * (other - other.mean())).mean()) / variance if variance > 1e-12 else 0.0
