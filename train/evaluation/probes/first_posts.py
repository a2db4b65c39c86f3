"""Every test post as if it were its account's first: what a model says when nothing is known of the account's past.

A model that is shown an account's earlier posts is asked once more without them. What it reaches then is what may be
expected of a new account, which has none; the model ``followers``, which knows no past, is the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from postmill.train.data import history
from postmill.train.data.arrays import Rows
from postmill.train.data.dataset import Dataset
from postmill.train.data.modality import Modality, masked
from postmill.train.models.problem import Scores
from postmill.train.options import ModalityName

BASELINE = "followers"
"""The model that first posts are compared with."""

NOT_KNOWN = -1
"""In place of a number of earlier posts, of a post without a time."""


def scores(
    score: Callable[[Mapping[str, Modality]], Scores], modalities: Mapping[str, Modality], complete: Scores
) -> Scores:
    """Return what a model says of M test posts whose history is taken away.

    Args:
        score: From what is shown to what the model says of them.
        modalities: What the model is shown otherwise.
        complete: What it says then.
    """
    past = modalities.get(ModalityName.HISTORY)
    if past is None:
        return complete
    return score({**modalities, ModalityName.HISTORY: masked(past, np.zeros(len(past.present), dtype=bool))})


def earlier_posts(data: Dataset) -> Rows:
    """Return how many earlier posts are known of the account of each of N posts, shape (N,), :data:`NOT_KNOWN` of some.

    They are those that its history is made from: none where no earlier one has a target.
    """
    known = np.expm1(data.history[data.rows, history.COLUMNS.index("past_posts")].astype(np.float64))
    return np.where(np.isnan(data.taken_at), NOT_KNOWN, np.rint(known)).astype(np.int64)
