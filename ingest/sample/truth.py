"""The truth of sample data: what makes a post's engagement, in known shares, and what is wrong with it.

``y = log1p(likes + comments) = intercept + account + text + image + slopes + time + noise``. The account's effect is a
slope on log followers, the account's own level, and how that drifts; slopes are by how much more or less a mood is
worth to the account than to all; time is the hour and the season. Nothing else in a post bears on ``y``. The tone of
the comments follows ``y`` itself, a leak, since comments are written after publication; and the mood of the post.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from postmill.ingest.sample import moods
from postmill.ingest.sample.accounts import Accounts, draw_accounts
from postmill.ingest.sample.captions import MOODS
from postmill.ingest.sample.effect import Effect
from postmill.ingest.sample.effects import INTERCEPT, SHARES, TOPIC_WORTH, Content, draw_effects, scaled
from postmill.ingest.sample.faults import FAULTS, choose_faults
from postmill.ingest.sample.posts import Ints, draw_campaigns, draw_groups, draw_images, draw_times
from postmill.shards.runtime.errors import UsageError

TRUTH_VERSION = 3
LEAK_NOISE = 0.35  # standard deviations of y
EMPTY_CAPTIONS = 0.04
SECOND_LANGUAGE = 0.08
EDITS = ("reencoded", "cropped")  # what is done to the picture of a near-duplicate

TRUTH = pa.schema(
    [
        ("influencer", pa.string()),
        ("post_id", pa.string()),
        ("category", pa.string()),
        ("followers", pa.int64()),
        ("taken_at", pa.int64()),
        ("group", pa.int64()),
        ("near_duplicate", pa.string()),
        ("campaign", pa.int64()),
        ("source", pa.int64()),
        ("account_effect", pa.float64()),
        ("follower_effect", pa.float64()),
        ("drift_effect", pa.float64()),
        ("text_effect", pa.float64()),
        ("image_effect", pa.float64()),
        ("slopes_effect", pa.float64()),
        ("time_effect", pa.float64()),
        ("mood_effect", pa.float64()),
        ("noise", pa.float64()),
        ("leak", pa.float64()),
        ("tone", pa.float64()),
        ("tone_mood_effect", pa.float64()),
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


def make_truth(posts: int, influencers: int, seed: int, effect: Effect = Effect.PLANTED) -> pa.Table:
    """Return the truth of a sample without writing it: one row for each post, columns of :data:`TRUTH`.

    ``group`` is the row number of a near-duplicate's original, of the post itself where it is none; ``campaign`` that
    of the first post of a campaign, null where it is of none; ``source`` that of the post whose picture and words it
    has. ``noise`` is what is left of ``y`` when the other effects are taken from it, so the effects add up exactly;
    ``follower_effect`` and ``drift_effect`` are parts of ``account_effect``; ``mood_effect`` is what ``text_effect``
    and ``slopes_effect`` have of the mood alone, 0 of the middle mood. ``tone`` is what the comments are drawn around,
    where 0 is the first of the tones and may be passed, and ``tone_mood_effect`` what of it the mood makes beside the
    leak. ``likes`` and ``comments`` are the true ones, also where the ``.info`` hides or lacks them.

    Raises:
        UsageError: The numbers do not make a dataset.
    """
    return draw_truth(posts, influencers, seed, effect).table


def draw_truth(posts: int, influencers: int, seed: int, effect: Effect = Effect.PLANTED) -> Truth:
    """Return the truth with its accounts and coefficients; see :func:`make_truth`."""
    _check_numbers(posts, influencers, seed)
    rng = np.random.default_rng(seed)
    accounts = draw_accounts(rng, posts, influencers)
    owner = np.repeat(np.arange(len(accounts.names)), accounts.posts)
    post_ids, taken_at = draw_times(rng, accounts.posts, owner)
    group = draw_groups(rng, owner)
    copied = group != np.arange(posts)
    category = np.array(accounts.categories, dtype=object)[owner]
    campaign = draw_campaigns(rng, owner, group, category)
    source = np.where(campaign >= 0, campaign, group)

    content = _draw_content(rng, source, taken_at, effect)
    drawn = draw_effects(rng, accounts, owner, group, taken_at, content, effect)
    effects = drawn.parts
    total = np.rint(np.expm1(np.maximum(INTERCEPT + sum(effects.values()), 0.0)))
    y = np.log1p(total)
    rate = np.clip(rng.lognormal(np.log(0.025), 0.5, posts), 0.0, 0.3)
    comments = np.rint(total * rate).astype(np.int64)
    account_effect = effects["followers"] + effects["own_level"] + effects["drift"]
    others = effects["text"] + effects["image"] + effects["slopes"] + effects["time"]
    frame, image_count, images = draw_images(rng, post_ids, source)
    edits = np.array(EDITS)[rng.integers(0, len(EDITS), posts)]
    busy = copied | (campaign >= 0) | np.isin(np.arange(posts), group[copied])
    faults = choose_faults(rng, owner, busy=busy)
    leak = scaled(y, 1.0) + LEAK_NOISE * rng.normal(0.0, 1.0, posts)
    tone, tone_of_mood = moods.draw_tones(leak, content.worth, effect)
    coefficients = {**drawn.coefficients, "leak_noise_sd": LEAK_NOISE, **moods.coefficients(effect)}
    columns = {
        "influencer": np.array(accounts.names, dtype=object)[owner],
        "post_id": post_ids.astype(str),
        "category": category,
        "followers": accounts.followers[owner],
        "taken_at": taken_at,
        "group": group,
        "near_duplicate": pa.array(edits, mask=~copied),
        "campaign": pa.array(campaign, mask=campaign < 0),
        "source": source,
        "account_effect": account_effect,
        "follower_effect": effects["followers"],
        "drift_effect": effects["drift"],
        "text_effect": effects["text"],
        "image_effect": effects["image"],
        "slopes_effect": effects["slopes"],
        "time_effect": effects["time"],
        "mood_effect": drawn.mood,
        "noise": y - INTERCEPT - account_effect - others,
        "leak": leak,
        "tone": tone,
        "tone_mood_effect": tone_of_mood,
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


def _draw_content(rng: np.random.Generator, source: Ints, taken_at: Ints, effect: Effect) -> Content:
    posts = len(source)
    return Content(
        mood=moods.draw_moods(rng, taken_at, effect)[source],
        topic=rng.integers(0, len(TOPIC_WORTH), posts)[source],
        empty=(rng.random(posts) < EMPTY_CAPTIONS)[source],
        spanish=(rng.random(posts) < SECOND_LANGUAGE)[source],
        quality=rng.normal(0.0, 1.0, posts)[source],
    )


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
    parts = {name: values[f"{name}_effect"] for name in SHARES if name != "noise"} | {"noise": values["noise"]}
    shares = {name: float(effect.var()) / variance for name, effect in parts.items()}
    shares["covariance"] = 1.0 - sum(shares.values())
    return {
        "variance": variance,
        "shares": shares,
        "follower_share": float(values["follower_effect"].var()) / variance,
        "drift_share": float(values["drift_effect"].var()) / variance,
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
