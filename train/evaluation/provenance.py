"""What a model depends on and was made from, for ``metrics.json``: encoders, hashes of contents, counts of the data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from postmill.shards.formats import custody
from postmill.shards.run.sealed import canonical_hash
from postmill.train.data import splits
from postmill.train.data.dataset import Dataset
from postmill.train.data.modality import Modality
from postmill.train.evaluation.schema import R2_DEFINITION, DataCounts, EncoderUse, ModelMetrics, ModelSettings
from postmill.train.evaluation.schema_splits import SplitResult
from postmill.train.options import ModalityName, TargetName

LEAK = (
    "uses comments, which exist only after a post is published and grow with its engagement: whatever it reaches is no"
    " forecast"
)


LEAK_WHOLE = (
    "is shown the number of comments, which is what is predicted: the leak is total, and whatever it reaches is no"
    " forecast"
)
"""Of the model that is shown what comes after publication, where comments are the target."""


def encoder_use(modality: Modality) -> EncoderUse:
    """Return what a modality came from, with a hash over the bytes that were read of it."""
    encoder = modality.encoder
    return EncoderUse(
        encoder=encoder.encoder,
        models=encoder.models,
        model=encoder.model,
        revision=encoder.revision,
        folder=encoder.folder,
        stand_in_for=encoder.stand_in_for,
        before_publication=modality.before_publication,
        fingerprint=encoder.fingerprint,
        # Of what was computed from the records it is empty: that depends on nothing but them, whose hash stands beside.
        contents=modality.contents,
    )


def posts_hash(data: Dataset) -> str:
    """Return a hash over the records of the posts, those that were read."""
    return canonical_hash([[records] for records in data.records])


def model_metrics(settings: ModelSettings, data: Dataset, results: Mapping[str, SplitResult]) -> ModelMetrics:
    """Return all of ``metrics.json`` of a model that was trained with ``settings`` on ``data``."""
    return ModelMetrics(
        settings=settings,
        settings_fingerprint=settings.fingerprint,
        leak=_leak(settings),
        counts=DataCounts(
            posts=data.posts,
            with_target=len(data.rows),
            left_out=dict(data.left_out),
            accounts=data.account_count,
            near_duplicate_groups=len(np.unique(data.near_duplicates)),
            cross_account_groups=data.cross_account_groups,
            shards=len(data.shards),
            planned_shards=data.planned_shards,
        ),
        splits=results,
        headline=splits.HEADLINE_SPLIT.value,
        r2=R2_DEFINITION,
    )


def _leak(settings: ModelSettings) -> str | None:
    if not settings.leaking:
        return None
    is_shown_target = ModalityName.AFTERWARDS in settings.encoders and settings.target == TargetName.COMMENTS
    return LEAK_WHOLE if is_shown_target else LEAK


def inputs(metrics: ModelMetrics) -> dict[str, str]:
    """Return what a model's manifest states that it was made from: hashes of the records and of embeddings."""
    used = [*metrics.settings.encoders.values(), *metrics.settings.near_duplicates.values()]
    embedded = {custody.embeddings_input(use.folder): use.contents for use in used if use.contents}
    return {custody.RECORDS_INPUT: metrics.settings.posts, **embedded}
