"""What is left of a model when posts are shown without one of its modalities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from postmill.train.data.arrays import Floats, Rows
from postmill.train.data.modality import Modality, masked
from postmill.train.evaluation import metrics
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.schema_splits import MissingModality
from postmill.train.models.problem import Scores
from postmill.train.options import ModalityName

IMAGE_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of test posts that are not shown their picture; the other modalities are taken away from all."""

LEAST_MODALITIES = 3
"""Models of fewer have nothing to make up for what is missing."""


@dataclass(frozen=True)
class Without:
    """The predictions of M test posts, shape (M,), when a share of them is shown without a modality."""

    modality: str
    share: float
    predicted: Floats


def without(
    score: Callable[[Mapping[str, Modality]], Scores], modalities: Mapping[str, Modality], rows: Rows, complete: Scores
) -> Iterator[Without]:
    """Yield the predictions of the posts at ``rows`` for each modality and share that is taken away.

    Which posts lose their picture is a matter of their position; what they lose at one share they lack at the next.

    Args:
        score: From what is shown to what the model says of ``rows``.
        modalities: What the model is shown otherwise.
        rows: Shape (M,), the test posts in the modalities.
        complete: What it says when nothing is missing.
    """
    for name, modality in modalities.items():
        for share in IMAGE_SHARES if name == ModalityName.IMAGE else (1.0,):
            if share == 0.0:
                yield Without(name, share, complete.predicted)
                continue
            present = np.ones(len(modality.present), dtype=bool)
            order = np.random.default_rng(0).permutation(len(rows))
            present[rows[order[: round(share * len(rows))]]] = False
            shown = {**modalities, name: masked(modality, present)}
            yield Without(name, share, score(shown).predicted)


def curve(pooled: Predicted, seeds: Sequence[Sequence[Without]]) -> tuple[MissingModality, ...]:
    """Return the metrics of predictions made without a modality, for each modality and share.

    Args:
        pooled: The test posts of all seeds.
        seeds: Each seed's predictions, of the same modalities and shares in the same order.
    """
    return tuple(
        MissingModality(parts[0].modality, parts[0].share, _metrics(pooled, [part.predicted for part in parts]))
        for parts in zip(*seeds, strict=True)
    )


def _metrics(pooled: Predicted, predicted: Sequence[Floats]) -> dict[str, float | None]:
    part = replace(pooled, predicted=np.concatenate(predicted))
    return {name: metrics.value(part, name) for name, metric in metrics.METRICS.items() if metric.in_missing}
