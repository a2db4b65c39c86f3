"""The networks: the paper's two-layer MLP on one modality, and fusion of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from train.ridge import LIMIT

Batch = Mapping[str, tuple[Tensor, Tensor]]
"""By modality: vectors, shape (B, D), and presence, boolean, shape (B,)."""


@dataclass(frozen=True)
class Spec:
    """What a network is told of one modality before training.

    Attributes:
        name: The modality.
        width: Components of its vectors, D.
        is_embedding: Whether they are coordinates (normalised post by post) or numbers with a meaning each.
        mean: Shape (D,), of the training part; zeros where the vectors are taken as they are.
        deviation: Shape (D,), of the training part; ones where the vectors are taken as they are.
    """

    name: str
    width: int
    is_embedding: bool
    mean: Tensor
    deviation: Tensor


class Standardise(nn.Module):
    """Vectors in standard deviations of the training part, clipped so that one odd post cannot rule a batch."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.register_buffer("mean", spec.mean)
        self.register_buffer("deviation", spec.deviation)

    def forward(self, vectors: Tensor) -> Tensor:
        """Shape (B, D) to (B, D)."""
        scaled: Tensor = (vectors - self.mean) / self.deviation
        return scaled.clamp(-LIMIT, LIMIT)


class TwoLayer(nn.Module):
    """The paper's baseline: one hidden layer on one modality, and a learned vector where the modality is absent."""

    def __init__(self, spec: Spec, hidden: int, dropout: float) -> None:
        super().__init__()
        self.modality = spec.name
        self.standardise = Standardise(spec)
        self.absent = nn.Parameter(torch.zeros(spec.width))
        self.hidden = nn.Linear(spec.width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the standardised target, shape (B,)."""
        vectors, present = batch[self.modality]
        shown = torch.where(present[:, None], self.standardise(vectors), self.absent)
        predicted: Tensor = self.head(self.dropout(torch.relu(self.hidden(shown)))).squeeze(1)
        return predicted


class Tower(nn.Module):
    """One modality to a token: standardise, LayerNorm for embeddings, project; a learned token where it is absent."""

    def __init__(self, spec: Spec, width: int, modality_dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(spec)
        self.norm = nn.LayerNorm(spec.width) if spec.is_embedding else nn.Identity()
        self.project = nn.Linear(spec.width, width)
        self.absent = nn.Parameter(torch.zeros(width))
        self.modality_dropout = modality_dropout

    def forward(self, vectors: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return the token, shape (B, width), and which posts show the modality, shape (B,)."""
        if self.training and self.modality_dropout:
            present = present & (torch.rand(len(present), device=present.device) >= self.modality_dropout)
        token = self.project(self.norm(self.standardise(vectors)))
        return torch.where(present[:, None], token, self.absent), present


class Fusion(nn.Module):
    """Tokens of all modalities and their presence, concatenated, through an MLP, plus a linear path.

    The linear path lets numbers with a straight effect (log followers) pass without the MLP having to learn it.
    """

    def __init__(
        self, specs: tuple[Spec, ...], width: int, hidden: int, dropout: float, modality_dropout: float
    ) -> None:
        super().__init__()
        self.towers = nn.ModuleDict({spec.name: Tower(spec, width, modality_dropout) for spec in specs})
        size = len(specs) * (width + 1)
        self.mlp = nn.Sequential(
            nn.GELU(), nn.Dropout(dropout), nn.Linear(size, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.head = nn.Linear(hidden, 1)
        self.linear = nn.Linear(size, 1, bias=False)

    def forward(self, batch: Batch) -> Tensor:
        """Return the standardised target, shape (B,)."""
        parts = []
        for name, tower in self.towers.items():
            token, present = tower(*batch[name])
            parts += [token, present[:, None].to(token.dtype)]
        tokens = torch.cat(parts, dim=1)
        predicted: Tensor = (self.head(self.mlp(tokens)) + self.linear(tokens)).squeeze(1)
        return predicted


def start_at_zero(network: TwoLayer | Fusion) -> None:
    """Zero the last layers: the untrained network changes nothing, and early stopping can keep it so."""
    with torch.no_grad():
        nn.init.zeros_(network.head.weight)
        nn.init.zeros_(network.head.bias)
        if isinstance(network, Fusion):
            nn.init.zeros_(network.linear.weight)
