"""Test posts drawn at random."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from postmill.train.evaluation.measures import Predicted


def judged(
    true: object,
    predicted: object,
    accounts: object = None,
    seeds: object = 0,
    training_mean: object = None,
    shuffled: object = None,
    **columns: object,
) -> Predicted:
    n = len(np.atleast_1d(np.asarray(true)))
    return Predicted(
        np.asarray(true, dtype=float),
        np.asarray(predicted, dtype=float),
        np.asarray(np.arange(n) if accounts is None else accounts, dtype=np.uint64),
        np.broadcast_to(np.asarray(seeds, dtype=np.int64), n),
        None if training_mean is None else np.broadcast_to(np.asarray(training_mean, dtype=float), n),
        None if shuffled is None else np.asarray(shuffled, dtype=float),
        **{name: None if column is None else np.asarray(column) for name, column in columns.items()},
    )


def random_posts(seed: int, posts: int = 200, accounts: int = 25, seeds: int = 3) -> Predicted:
    """Posts with levels of accounts, predictions that know a part of them, and equal values on both sides.

    The training means of the seeds lie far apart, and predictions follow them.
    """
    random = np.random.default_rng(seed)
    account = np.concatenate([np.arange(accounts), random.integers(accounts, size=posts - accounts)])
    level = random.normal(scale=1.5, size=accounts)[account]
    content = random.normal(size=posts)
    true = (5 + level + content + random.normal(scale=0.7, size=posts)).round(1)
    predicted = (4.5 + 0.5 * level + 0.8 * content + random.normal(scale=0.4, size=posts)).round(1)
    seed = random.integers(seeds, size=posts)
    mean = np.round(5 + seed * 0.75, 2)
    shuffled = predicted + mean - 5 + random.normal(scale=0.8, size=posts).round(1)
    first = predicted + mean - 5 + random.normal(scale=0.6, size=posts).round(1)
    return judged(true, predicted + mean - 5, account * 7 + 3, seed, mean, shuffled, first=first)


def clustered(seed: int, accounts: int = 60, posts_each: int = 10) -> Predicted:
    """Errors that posts of one account share: R² is 1 - (0.5 + 0.1) / (1 + 0.5 + 0.1) = 0.625 in truth."""
    random = np.random.default_rng(seed)
    account = np.repeat(np.arange(accounts), posts_each)
    known = random.normal(size=accounts)[account]
    shared = random.normal(scale=np.sqrt(0.5), size=accounts)[account]
    return judged(known + shared + random.normal(scale=np.sqrt(0.1), size=len(account)), known, account)


def without(part: Predicted, accounts: Collection[int]) -> Predicted:
    """The posts of all other accounts."""
    return part.of(
        np.array([row for row, account in enumerate(part.accounts.tolist()) if account not in accounts], int)
    )
