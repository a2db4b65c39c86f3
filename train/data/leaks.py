"""Guards against features that know the answer: what exists only after publication, and what betrays the target."""

from __future__ import annotations

import re

import numpy as np
from scipy import stats

from postmill.shards.formats.encoders import Encoder
from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Floats, Matrix

MAX_CORRELATION = 0.98
"""A feature whose absolute rank correlation with the target is above this is taken for the target in disguise."""

MIN_SAMPLE = 30
"""Among fewer posts one of a thousand components has such a correlation by chance."""

SAMPLE = 5_000
_PART_OF_TARGET = frozenset({"like", "likes", "comment", "comments", "engagement"})


def check_availability(encoder: Encoder, *, after_publication_allowed: bool) -> None:
    """Refuse an encoder whose inputs, or one of whose named components, exist only after publication.

    Raises:
        UsageError: It may not be used, with the name of what offends.
    """
    if after_publication_allowed:
        return
    if not encoder.available_before_publication:
        raise UsageError(
            f"the encoder {encoder.encoder} uses what exists only after a post is published",
            place=encoder.folder,
            hint="ask for it by name with --features paper, and read its numbers as an upper bound",
        )
    for feature in encoder.features:
        if _PART_OF_TARGET & set(re.split(r"[^a-z]+", feature.lower())):
            raise UsageError(
                f"the feature {feature!r} of the encoder {encoder.encoder} is part of the target",
                place=encoder.folder,
                hint="take it out of the encoder and encode again",
            )


def check_correlations(name: str, columns: tuple[str, ...], values: Matrix, target: Floats) -> None:
    """Refuse a modality of which one component has the same order as the target.

    A component that is constant has no order.

    Args:
        name: Name of the modality.
        columns: Name of each component, or empty.
        values: Shape (N, D), a sample of :data:`SAMPLE` rows is enough.
        target: Shape (N,).

    Raises:
        UsageError: The rank correlation of a component is above :data:`MAX_CORRELATION`.
    """
    if len(target) < MIN_SAMPLE:
        return
    if np.ptp(target) == 0:
        return
    for number in np.flatnonzero(np.ptp(values, axis=0)):
        correlation = float(stats.spearmanr(values[:, number], target).statistic)
        if abs(correlation) > MAX_CORRELATION:
            component = columns[number] if columns else f"component {number}"
            raise UsageError(
                f"the feature {component!r} of {name} has rank correlation {correlation:.3f} with the target: it is the"
                " target in disguise",
                place=name,
                hint="find out what it was computed from, take it out, and encode again",
            )
