"""A run's own negative control: what a model says of posts whose content is shuffled among those of their account.

Whatever a model still does right then, it has from the account and its past, and none of it from caption, picture or
any other number of the post itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from postmill.train.data.arrays import Floats, Ids, Rows
from postmill.train.data.modality import Block, Modality
from postmill.train.models.problem import Scores
from postmill.train.options import ModalityName


def partners(accounts: Ids, seed: int) -> Rows:
    """Return whose content each of M posts is given, shape (M,): a random permutation within each account."""
    home = np.argsort(accounts, kind="stable")
    drawn = np.lexsort((np.random.default_rng(seed).random(len(accounts)), accounts))
    partner = np.empty(len(accounts), dtype=np.int64)
    partner[home] = drawn
    return partner


def shuffled(
    score: Callable[[Mapping[str, Modality]], Scores],
    modalities: Mapping[str, Modality],
    rows: Rows,
    partner: Rows,
    complete: Scores,
) -> Floats:
    """Return what is predicted of M posts that keep their account and history and have all else of their partners.

    It is the history that is moved to the partners, and the predictions that are moved back: embeddings stay on disk.

    Args:
        score: From what is shown to what the model says of ``rows``.
        modalities: What the model is shown otherwise.
        rows: Shape (M,), the test posts in the modalities.
        partner: Shape (M,), of :func:`partners`.
        complete: What it says when nothing is shuffled.
    """
    history = modalities.get(ModalityName.HISTORY)
    if history is None:
        return complete.predicted[partner]
    values, present = history.take(np.arange(len(history.present))), history.present.copy()
    values[rows[partner]], present[rows[partner]] = history.take(rows), history.present[rows]
    lent = replace(history, blocks=(Block(values),), starts=np.array([0, len(values)]), present=present)
    return score({**modalities, ModalityName.HISTORY: lent}).predicted[partner]
