"""What a split that lets a model meet the accounts makes it seem to be worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from postmill.shards.run.folder import Run
from postmill.train.evaluation import intervals, metrics
from postmill.train.evaluation.intervals import Inference
from postmill.train.evaluation.results import ModelResult, predictions
from postmill.train.options import Split


@dataclass(frozen=True)
class Optimism:
    """What a model seems to gain where it has met the accounts: ``split`` against the headline split.

    Attributes:
        model, split: Which model, and the split that flatters.
        flattered, value: The headline metric on both splits, over the accounts that both test.
        inference: Of their difference, over these accounts.
    """

    model: str
    split: str
    flattered: float
    value: float
    inference: Inference


def measured(run: Run, result: ModelResult) -> Optimism | None:
    """Return how much better ``result`` looks on the random split than on the headline split, if it is known.

    Raises:
        PostmillError: A table of predictions cannot be read.
    """
    if not {Split.RANDOM, Split.INFLUENCER} <= set(result.splits):
        return None
    parts = [predictions(run, result, split) for split in (Split.RANDOM, Split.INFLUENCER)]
    common = np.intersect1d(parts[0].accounts, parts[1].accounts)
    random, disjoint = (part.of(np.flatnonzero(np.isin(part.accounts, common))) for part in parts)
    values = [metrics.value(part, metrics.HEADLINE) for part in (random, disjoint)]
    if values[0] is None or values[1] is None:
        return None
    measure, posts = metrics.METRICS[metrics.HEADLINE].measure, len(random.true)
    inference = intervals.infer(
        np.concatenate([random.accounts, disjoint.accounts]),
        lambda group: intervals.less(measure(random, group[:posts]), measure(disjoint, group[posts:])),
    )
    return Optimism(result.name, Split.RANDOM, values[0], values[1], inference)
