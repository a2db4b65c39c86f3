"""The invented influencers of sample data: names, categories, reach, and how much each one posts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from postmill.ingest.source.influencers import CORRECTIONS

# How many accounts of each category the dataset has: the odds in a sample.
CATEGORY_ODDS: dict[str, int] = {
    "fashion": 11911,
    "other": 5720,
    "travel": 4210,
    "family": 4070,
    "food": 3565,
    "beauty": 1542,
    "interior": 1195,
    "fitness": 1133,
    "pet": 587,
}
MISTYPED = tuple(CORRECTIONS)  # fashion, as two rows of the dataset have it
MISTYPED_FROM = 4  # influencers at least, else the typos would be most of the file
MOST_FOLLOWERS = 96_000_000

_SYLLABLES = (
    "ba",
    "den",
    "fi",
    "jo",
    "ka",
    "lu",
    "mi",
    "na",
    "or",
    "pel",
    "qui",
    "ra",
    "so",
    "tam",
    "vel",
    "wen",
    "zo",
)
_WORDS = ("atelier", "daily", "diary", "eats", "home", "kitchen", "life", "moves", "notes", "style", "walks")
_PATTERNS = (
    "{a}{b}",
    "{a}.{w}",
    "{a}_{w}",
    "{a}{w}",
    "the.{a}.{w}",
    "{a}.{b}",
    "{a}_{b}_",
    "00_{a}",
    "{a}{n}",
    "_{a}.{w}",
)


LEAST_POSTS = 3  # of an account, where there are enough
_UNEVEN = 1.1  # standard deviation of the logarithm of how much an account posts
_MOST_SHARE = 0.085


@dataclass(frozen=True)
class Accounts:
    """Influencers in the order of their names; every array has one value for each.

    Attributes:
        names: ``[a-z0-9._]``, unique, about half with a dot.
        ids: The owner's number.
        categories: Keys of :data:`CATEGORY_ODDS`.
        labels: The category as ``influencers.txt`` writes it, typos included.
        followers: 1,000 to 96 million, log-normal.
        followees: As listed.
        listed_posts: All posts that the account is said to have.
        verified: Whether the account has the badge.
        posts: How many posts are in the sample; 0 for those that are listed only.
    """

    names: tuple[str, ...]
    ids: NDArray[np.int64]
    categories: tuple[str, ...]
    labels: tuple[str, ...]
    followers: NDArray[np.int64]
    followees: NDArray[np.int64]
    listed_posts: NDArray[np.int64]
    verified: NDArray[np.bool_]
    posts: NDArray[np.int64]


def draw_accounts(rng: np.random.Generator, posts: int, influencers: int) -> Accounts:
    """Draw ``influencers`` accounts that share ``posts`` posts very unevenly, and one in fifty more that has none."""
    total = influencers + max(1, influencers // 50)
    odds = np.array(list(CATEGORY_ODDS.values()), dtype=np.float64)
    drawn = rng.choice(len(CATEGORY_ODDS), total, p=odds / odds.sum())
    typos = rng.permutation(influencers)[: len(MISTYPED)] if influencers >= MISTYPED_FROM else np.empty(0, np.int64)
    drawn[typos] = 0
    categories = tuple(list(CATEGORY_ODDS)[i] for i in drawn)
    labels = list(categories)
    for account, typo in zip(typos, MISTYPED, strict=False):
        labels[account] = typo

    least = LEAST_POSTS if posts >= 2 * LEAST_POSTS * influencers else 1
    counts = least + rng.multinomial(posts - least * influencers, _shares(rng.lognormal(0.0, _UNEVEN, influencers)))
    counts = np.concatenate([counts, np.zeros(total - influencers, np.int64)])
    order = rng.permutation(total)
    followers = np.clip(np.exp(rng.normal(10.6, 1.3, total)), 1_000, MOST_FOLLOWERS).astype(np.int64)
    return Accounts(
        names=tuple(_draw_names(rng, total)),
        ids=np.sort(rng.choice(2_000_000_000, total, replace=False)) + 10_000_000,
        categories=tuple(categories[i] for i in order),
        labels=tuple(labels[i] for i in order),
        followers=followers,
        followees=rng.integers(40, 5_000, total),
        listed_posts=counts[order] + rng.integers(0, 3_000, total),
        verified=rng.random(total) < np.clip(followers / 2_000_000, 0.01, 0.9),
        posts=counts[order],
    )


def _shares(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each account in all posts: none has a tenth of them, where there are enough accounts."""
    most = max(_MOST_SHARE, 2 / len(weights))
    shares: NDArray[np.float64] = weights / weights.sum()
    while shares.max() > most * (1 + 1e-9):
        over = shares >= most
        shares = np.where(over, most, shares * (1 - most * over.sum()) / shares[~over].sum())
    return shares


def _draw_names(rng: np.random.Generator, count: int) -> list[str]:
    """Return ``count`` different names, sorted."""
    names: set[str] = set()
    while len(names) < count:
        syllables = rng.integers(0, len(_SYLLABLES), 5)
        first, second = ("".join(_SYLLABLES[i] for i in part) for part in (syllables[:3], syllables[3:]))
        number = int(rng.integers(1, 100))
        word = _WORDS[int(rng.integers(len(_WORDS)))]
        name = _PATTERNS[int(rng.integers(len(_PATTERNS)))].format(a=first, b=second, w=word, n=number)
        names.add(name if name not in names else f"{name}{number}")
    return sorted(names)
