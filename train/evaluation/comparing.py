"""Two models on the same test posts: what one gains over the other, with a paired interval.

R² and Spearman's correlation of one model are taken less those of the other. The order *within* accounts cannot be
judged so. An account's past mean is that of its other posts, so it stands against the next one by arithmetic: history
alone scores below 0 there, and anything that is noisier than history would seem to gain. So models that are shown the
past are ordered by what they predict beyond it, and from what that scores is taken what the same model scores when the
content of the posts is shuffled within accounts (:mod:`.probes.control`). With content that says nothing the two are
exchangeable, and the gain is 0 whatever the model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from postmill.train.data.arrays import Rows
from postmill.train.evaluation import intervals, metrics
from postmill.train.evaluation.intervals import Inference
from postmill.train.evaluation.measures import Measure, Predicted

_NOT_SHUFFLED = "the negative control is missing"


def infer(ours: Predicted, theirs: Predicted, past: Predicted | None, metric: str) -> tuple[Inference, float | None]:
    """Return what ``ours`` gains over ``theirs``, and what the same step shows when content is shuffled.

    Args:
        ours, theirs: What two models predict of the same posts in the same order.
        past: What the model of the account's past predicts of them; None for models that are not shown the past.
        metric: One of :data:`.metrics.METRICS`.

    Raises:
        ValueError: They are not about the same posts in the same order.
    """
    intervals.check_paired(ours, theirs)
    if metric == metrics.WITHIN:
        return _infer_order(ours, theirs, past)
    shuffled = [metrics.shuffled(part) for part in (ours, theirs)]
    values = [None if part is None else metrics.value(part, metric) for part in shuffled]
    control = None if values[0] is None or values[1] is None else values[0] - values[1]
    return intervals.of_difference(ours, theirs, metric), control


def _infer_order(ours: Predicted, theirs: Predicted, past: Predicted | None) -> tuple[Inference, float | None]:
    # Beyond itself the past predicts nothing, and is not to be judged.
    sides = [s for s in (ours, theirs) if past is None or not np.array_equal(s.predicted, past.predicted)]
    beyond = [(_beyond(side, past), _beyond(metrics.shuffled(side), past)) for side in sides]
    pairs = [(shown, control) for shown, control in beyond if shown is not None and control is not None]
    if not pairs or len(pairs) < len(sides):
        return Inference(None, note=_NOT_SHUFFLED), None

    def prepare(group: Rows) -> Measure:
        within = metrics.METRICS[metrics.WITHIN].measure
        added = [intervals.less(within(shown, group), within(control, group)) for shown, control in pairs]
        return added[0] if len(added) == 1 else intervals.less(*added)

    controls = [metrics.value(control, metrics.WITHIN) for _, control in pairs]
    known = [control for control in controls if control is not None]
    control = None if not known or len(known) < len(controls) else known[0] - sum(known[1:])
    return intervals.infer(ours.accounts, prepare, shared=intervals.shared_noise(ours, theirs)), control


def _beyond(part: Predicted | None, past: Predicted | None) -> Predicted | None:
    """Return the part as it is ordered by what is predicted beyond the past."""
    if part is None or past is None:
        return part
    intervals.check_paired(part, past)
    return replace(part, predicted=part.predicted - past.predicted, training_mean=None)
