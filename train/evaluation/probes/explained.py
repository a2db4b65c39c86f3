"""What each modality adds to a model's predictions, for models whose parts add up.

How far a modality moves a prediction away from what is predicted on average is its contribution to it; the mean of the
distances says how much the model relies on it. It says nothing of what a change of it would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from postmill.train.data.arrays import Arrays, Floats, Ids, Rows
from postmill.train.data.modality import Modality
from postmill.train.evaluation import intervals
from postmill.train.evaluation.schema_splits import Contribution
from postmill.train.models import ladder

SAMPLE = 20_000
"""At most so many test posts of a seed are explained, evenly spread: a post takes thousands of times as long as a
prediction."""


@dataclass(frozen=True)
class Explained:
    """Of M test posts: their accounts, shape (M,), and what each part adds to their predictions, shape (M,) each."""

    accounts: Ids
    parts: Mapping[str, Floats]


def explain(name: str, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, accounts: Ids) -> Explained:
    """Explain what the model ``name`` says of M test posts, at ``rows`` and of ``accounts``, shape (M,) both."""
    evenly = np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(np.int64)
    return Explained(accounts[evenly], ladder.contributions(name, weights, modalities, rows[evenly]))


def contributions(seeds: Sequence[Explained]) -> tuple[Contribution, ...] | None:
    """Return how much the predictions of all seeds rest on each part, the most first; None where no part is told."""
    rows = tuple(sorted(_rows(seeds), key=lambda row: (-row.mean, row.name)))
    return rows or None


def _rows(seeds: Sequence[Explained]) -> Iterator[Contribution]:
    everywhere = reduce(lambda one, other: one & other, (set(seed.parts) for seed in seeds))
    accounts = np.concatenate([seed.accounts for seed in seeds])
    for name in sorted(everywhere):
        distance = np.abs(np.concatenate([seed.parts[name] for seed in seeds]))
        inferred = intervals.of_mean(distance, accounts)
        yield Contribution(name, len(distance), float(distance.mean()), inferred.interval)
