"""What the models of a call are shown: modalities opened once for all of them, named where they are stand-ins, and
refused where they betray the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.shards.runtime.progress import Progress
from postmill.train.data import features, history, leaks, near_duplicates
from postmill.train.data.dataset import Dataset, Finished
from postmill.train.data.modality import Modality, in_memory
from postmill.train.options import FeatureSet, ModalityName


def seen(run: Run, of: Finished, encoder_models: str | None, progress: Progress) -> dict[str, Modality]:
    """Return the embeddings by which near-duplicates are found, ``image`` and ``text``, or say which are not there.

    Raises:
        PostmillError: They are there, and damaged: to go on without them would give other splits and other numbers.
    """
    found: dict[str, Modality] = {}
    for name, without in (
        (ModalityName.IMAGE, "by names and captions alone, not by pictures"),
        (ModalityName.TEXT, "by pictures alone where captions are not the same"),
    ):
        opened = _if_encoded(run, of, name, FeatureSet.DEFAULT, encoder_models)
        if not isinstance(opened, Modality):
            progress.note(f"near-duplicates are found {without}: {opened}")
            break
        found[name.value] = opened
        if opened.encoder.model not in near_duplicates.MEASURED:
            progress.note(
                f"near-duplicates: how alike they are to {opened.encoder.model} was not measured; it is told by how "
                "alike posts of different accounts are"
            )
    return found


def _if_encoded(run: Run, of: Finished, name: str, feature_set: FeatureSet, models: str | None) -> Modality | str:
    """Return the modality ``name``, or say why there is none of it that is of use."""
    try:
        lacking = features.missing_shard(run, of.shards, name, feature_set, models)
        return lacking or features.open_modalities(run, of.shards, [name], feature_set, models, of.records)[name]
    except UsageError as error:
        return error.cause


def shown_in(run: Run, modalities: Sequence[ModalityName]) -> tuple[ModalityName, ...]:
    """Return those of a model's modalities that ``run`` has: no pictures where none were asked for."""
    return tuple(name for name in modalities if not (run.locations.text_only and name is ModalityName.IMAGE))


class Inputs:
    """The modalities of a dataset, each opened when the first model asks for it.

    Args:
        run: The run.
        data: Its posts.
        feature_set: Whether they may hold what exists only after publication.
        encoder_models: ``light`` or ``paper``, where the run has embeddings of both.
        progress: Told of stand-ins and of what is left out.
    """

    def __init__(
        self, run: Run, data: Dataset, feature_set: FeatureSet, encoder_models: str | None, progress: Progress
    ) -> None:
        self._run, self._data, self._progress = run, data, progress
        self._feature_set, self._encoder_models = feature_set, encoder_models
        self._opened: dict[str, Modality] = {}

    def of(self, names: Sequence[ModalityName]) -> dict[str, Modality]:
        """Return the modalities ``names``, in that order.

        Raises:
            UsageError: An encoder's embeddings are missing or ambiguous, or a feature betrays the target.
            PostmillError: An embedding shard is missing or damaged.
        """
        missing = [name for name in names if name not in self._opened]
        encoded = [name for name in missing if name in features.ENCODED]
        self._opened |= self._open_encoded(encoded)
        if ModalityName.HISTORY in missing:
            self._opened[ModalityName.HISTORY] = self._history()
        if ModalityName.AFTERWARDS in missing:
            self._opened[ModalityName.AFTERWARDS] = self._afterwards()
        return {str(name): self._opened[name] for name in names}

    def _open_encoded(self, names: Sequence[ModalityName]) -> dict[str, Modality]:
        data = self._data
        opened = features.open_modalities(
            self._run, data.shards, names, self._feature_set, self._encoder_models, data.records
        )
        sample = np.linspace(0, len(data.rows) - 1, min(leaks.SAMPLE, len(data.rows))).astype(np.int64)
        for name, modality in opened.items():
            if modality.encoder.stand_in_for:
                self._progress.note(f"{name}: {modality.encoder.model} stands in for {modality.encoder.stand_in_for}")
            shown = sample[modality.present[data.rows[sample]]]
            if modality.before_publication:  # else it leaks by design, and the report says so
                leaks.check_correlations(name, modality.columns, modality.take(data.rows[shown]), data.target[shown])
        return opened

    def _history(self) -> Modality:
        data = self._data
        return in_memory(
            ModalityName.HISTORY.value, history.COLUMNS, data.history, data.has_history, before_publication=True
        )

    def _afterwards(self) -> Modality:
        """Return what exists only after publication: the number of comments and, where encoded, their sentiment."""
        data, sentiment = self._data, ModalityName.SENTIMENT
        known = ~np.isnan(data.comments)
        columns: tuple[str, ...] = ("log_comments",)
        values = np.where(known, data.comments, 0.0)[:, None].astype(np.float32)
        name = ModalityName.AFTERWARDS.value
        opened = _if_encoded(self._run, data.finished, sentiment, FeatureSet.PAPER, self._encoder_models)
        if not isinstance(opened, Modality):
            self._progress.note(f"leak: shown without the sentiment of comments: {opened}")
            return in_memory(name, columns, values, known, before_publication=False)
        columns += opened.columns
        values = np.column_stack([values, opened.take(np.arange(data.posts))])
        shown = in_memory(name, columns, values, known, before_publication=False)
        return replace(shown, encoder=opened.encoder, contents=opened.contents)
