"""The study's networks: a text, a picture, or all that it has of a post side by side, through two layers.

Of the sentiment they are shown what the study has: label and confidence, for caption and for comments; of the metadata
nine numbers. Embeddings are taken as they come, and so are numbers, unless the target is standardised: then they are,
too, for numbers of pixels beside coordinates below one drown all else. What a post lacks is a learnt vector, where the
study encodes a black picture. The training is :func:`.recipes.paper`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Arrays, Floats, Matrix, Rows
from postmill.train.data.modality import Block, Modality
from postmill.train.models import loop, ridge
from postmill.train.models.determinism import deterministic
from postmill.train.models.learners import TrainingContext
from postmill.train.models.loop import Examples
from postmill.train.models.networks import Batch
from postmill.train.models.problem import Fit, Problem, Scores
from postmill.train.models.registry import Rung
from postmill.train.options import ModalityName

NUMBERS = (
    *("caption_characters", "hashtags", "tagged_users", "width", "height", "aspect_ratio"),
    *("is_video", "is_verified", "is_private"),
)
"""The components of the metadata that the study has."""

_SENTIMENT = "_sentiment"  # with which the names of signed confidences end; beside each stands whether there is one


class Part(nn.Module):
    """What one modality shows: vectors as they come or standardised, and a learnt vector where a post lacks it."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.absent = nn.Parameter(torch.zeros(len(mean)))

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """Shape (B, D) to (B, D)."""
        return torch.where(present[:, None], (vectors.float() - self.mean) / self.deviation, self.absent)


class SideBySide(nn.Module):
    """Modalities side by side through one hidden layer: the study's baseline where there is but one."""

    def __init__(self, parts: Mapping[str, Part], hidden: int) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(dict(parts))
        self.hidden = nn.Linear(sum(len(part.mean) for part in parts.values()), hidden)
        self.head = nn.Linear(hidden, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the target, shape (B, 1)."""
        shown = torch.cat([part(*batch[name]) for name, part in self.parts.items()], dim=1)
        predicted: Tensor = self.head(torch.relu(self.hidden(shown)))
        return predicted


def check(rung: Rung) -> None:
    """Nothing is needed that training does not need anyway."""


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Return the recipe and the device, as JSON has them."""
    return {"device": context.device, "raw": rung.raw, **asdict(context.recipe)}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Train one network, on the target as it is given."""
    shown, recipe = studied(problem.modalities), context.recipe
    with deterministic(problem.seed, recipe.threads):
        network = SideBySide({name: _part(part, problem.train, rung) for name, part in shown.items()}, recipe.hidden)
        log = loop.train(network, Examples(shown, problem.train, target), context.part("network"), problem.seed)
    weights = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Fit(weights, {**asdict(log), "steps": recipe.steps(len(target)), "parameters": parameters})


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return what the network says of ``rows``, with no interval."""
    shown, recipe = studied(modalities), context.recipe
    with deterministic(0, recipe.threads):
        blank = {name: Part(torch.zeros(part.width), torch.ones(part.width)) for name, part in shown.items()}
        network = SideBySide(blank, recipe.hidden)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
        return Scores(loop.predict(network.to(context.device), shown, rows, context.device)[:, 0])


def studied(modalities: Mapping[str, Modality]) -> dict[str, Modality]:
    """Return of the modalities what the study has of them.

    Raises:
        UsageError: The metadata have none of its numbers.
    """
    changes = {ModalityName.SENTIMENT.value: _labels, ModalityName.METADATA.value: _numbers}
    return {name: changes[name](part) if name in changes else part for name, part in modalities.items()}


def _part(modality: Modality, train: Rows, rung: Rung) -> Part:
    mean, deviation = np.zeros(modality.width), np.ones(modality.width)
    if not (rung.raw or modality.is_embedding):
        mean, deviation = (numbers[: modality.width] for numbers in ridge.moments(modality, train))
    return Part(*(torch.from_numpy(numbers.astype(np.float32)) for numbers in (mean, deviation)))


def _labels(sentiment: Modality) -> Modality:
    """Return label (1, 0 or -1) and confidence of each text, both 0 where it is empty, for signed confidences.

    Of a model with other labels there is no sign, and the number of each label stays as it is.
    """
    signed = [number for number, name in enumerate(sentiment.columns) if f"has_{name}" in sentiment.columns]
    if not signed:
        return sentiment
    names = (sentiment.columns[number].removesuffix(_SENTIMENT) for number in signed)
    columns = tuple(name for text in names for name in (f"{text}_label", f"{text}_confidence"))

    def told(values: Matrix) -> Matrix:
        pairs = [column for number in signed for column in (np.sign(values[:, number]), np.abs(values[:, number]))]
        return np.column_stack(pairs).astype(np.float32)

    return _changed(sentiment, columns, [told(np.asarray(block.values)) for block in sentiment.blocks])


def _numbers(metadata: Modality) -> Modality:
    kept = [metadata.columns.index(name) for name in NUMBERS if name in metadata.columns]
    if not kept:
        raise UsageError(
            f"the encoder {metadata.encoder.encoder} has none of the study's numbers: {', '.join(NUMBERS)}",
            place=metadata.encoder.folder,
            hint="encode with the metadata encoder of this version, or name the models text-mlp and image-mlp",
        )
    columns = tuple(metadata.columns[number] for number in kept)
    return _changed(metadata, columns, [np.ascontiguousarray(block.values[:, kept]) for block in metadata.blocks])


def _changed(modality: Modality, columns: tuple[str, ...], values: Sequence[Matrix]) -> Modality:
    return replace(modality, columns=columns, width=len(columns), blocks=tuple(Block(part) for part in values))
