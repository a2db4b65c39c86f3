"""Test posts drawn at random, and what a resample of their accounts is, post by post."""

from __future__ import annotations

from typing import Any

import numpy as np

from postmill.train.evaluation.measures import Predicted


def judged(true: object, predicted: object, accounts: object = None, seeds: object = 0) -> Predicted:
    n = len(np.atleast_1d(np.asarray(true)))
    return Predicted(
        np.asarray(true, dtype=float),
        np.asarray(predicted, dtype=float),
        np.asarray(np.arange(n) if accounts is None else accounts, dtype=np.uint64),
        np.broadcast_to(np.asarray(seeds, dtype=np.int64), n),
    )


def random_posts(seed: int, posts: int = 200, accounts: int = 25, seeds: int = 3) -> Predicted:
    """Posts with levels of accounts, predictions that know a part of them, and equal values on both sides."""
    random = np.random.default_rng(seed)
    account = np.concatenate([np.arange(accounts), random.integers(accounts, size=posts - accounts)])
    level = random.normal(scale=1.5, size=accounts)[account]
    content = random.normal(size=posts)
    true = (5 + level + content + random.normal(scale=0.7, size=posts)).round(1)
    predicted = (4.5 + 0.5 * level + 0.8 * content + random.normal(scale=0.4, size=posts)).round(1)
    return judged(true, predicted, account * 7 + 3, random.integers(seeds, size=posts))


def clustered(seed: int, accounts: int = 60, posts_each: int = 10) -> Predicted:
    """Errors that posts of one account share: R² is 1 - (0.5 + 0.1) / (1 + 0.5 + 0.1) = 0.625 in truth."""
    random = np.random.default_rng(seed)
    account = np.repeat(np.arange(accounts), posts_each)
    known = random.normal(size=accounts)[account]
    shared = random.normal(scale=np.sqrt(0.5), size=accounts)[account]
    return judged(known + shared + random.normal(scale=np.sqrt(0.1), size=len(account)), known, account)


def resampled(part: Predicted, times: np.ndarray[Any, Any]) -> Predicted:
    """The posts of each distinct account as often as ``times`` says, each copy an account of its own."""
    rows, accounts = [], []
    for account, count in zip(np.unique(part.accounts), times.astype(int), strict=True):
        for _ in range(count):
            rows.append(np.flatnonzero(part.accounts == account))
            accounts.append(np.full(len(rows[-1]), len(accounts)))
    chosen = np.concatenate([np.empty(0, dtype=int), *rows])
    return judged(
        part.true[chosen], part.predicted[chosen], np.concatenate([np.empty(0), *accounts]), part.seeds[chosen]
    )
