"""The networks: the paper's two-layer MLP on one modality, and fusion of several in four ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from postmill.train.models.ridge import LIMIT
from postmill.train.options import ModalityName

Batch = Mapping[str, tuple[Tensor, Tensor]]
"""By modality: vectors, shape (B, D), and presence, boolean, shape (B,)."""


@dataclass(frozen=True)
class Spec:
    """What a network knows of one modality before training.

    Attributes:
        name: The modality.
        width: Components of its vectors, D.
        is_embedding: Whether they are coordinates (normalised post by post) or numbers with a meaning each.
        mean: Shape (D,), of the training part; zeros where the vectors are taken as they are.
        std: Shape (D,), of the training part; ones where the vectors are taken as they are.
    """

    name: str
    width: int
    is_embedding: bool
    mean: Tensor
    std: Tensor


class Standardise(nn.Module):
    """Vectors in standard deviations of the training part, clipped so that one odd post cannot rule a batch."""

    mean: Tensor
    deviation: Tensor  # so it is called in files of weights

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.register_buffer("mean", spec.mean)
        self.register_buffer("deviation", spec.std)

    def forward(self, vectors: Tensor) -> Tensor:
        """Shape (B, D) to (B, D)."""
        scaled: Tensor = (vectors.float() - self.mean) / self.deviation
        return scaled.clamp(-LIMIT, LIMIT)


class TwoLayer(nn.Module):
    """The paper's baseline: one hidden layer on one modality, and a learnt vector where the modality is absent."""

    def __init__(self, spec: Spec, hidden: int, dropout: float) -> None:
        super().__init__()
        self.modality = spec.name
        self.standardise = Standardise(spec)
        self.absent = nn.Parameter(torch.zeros(spec.width))
        self.hidden = nn.Linear(spec.width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, 1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the standardised target, shape (B, 1)."""
        vectors, present = batch[self.modality]
        shown = torch.where(present[:, None], self.standardise(vectors), self.absent)
        predicted: Tensor = self.head(self.dropout(torch.relu(self.hidden(shown))))
        return predicted


class Tower(nn.Module):
    """One modality to a token: standardise, LayerNorm for embeddings, project; a learnt token where it is absent."""

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


ACCOUNT = (ModalityName.METADATA, ModalityName.HISTORY)
"""The modalities that FiLM takes for the account; the others are content."""

LAYERS, HEADS = 2, 4


class Gates(nn.Module):
    """One weight a modality for each post, which add up to one, and the tokens so weighted."""

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:
        super().__init__()
        self.score = nn.Linear(len(modalities) * (width + 1), len(modalities))

    def weights(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Return the weights, shape (B, M), of tokens of shape (B, M, width) and presence, shape (B, M)."""
        return torch.softmax(self.score(torch.cat([tokens.flatten(1), present], dim=1)), dim=1)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Return the weighted sum of the tokens, shape (B, width)."""
        weighted: Tensor = (self.weights(tokens, present)[:, :, None] * tokens).sum(dim=1)
        return weighted


class Attention(nn.Module):
    """A small transformer over the modalities' tokens; what a token of its own has gathered at the end."""

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:
        super().__init__()
        self.place = nn.Parameter(0.02 * torch.randn(len(modalities), width))  # so it is called in files of weights
        self.summary = nn.Parameter(0.02 * torch.randn(width))
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 2 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Return shape (B, width); an absent modality takes part with its learnt token."""
        first = self.summary.expand(len(tokens), 1, -1)
        gathered: Tensor = self.encoder(torch.cat([first, tokens + self.place], dim=1))[:, 0]
        return gathered


class Modulation(nn.Module):
    """FiLM (Perez et al., 2018): the account's tokens scale and shift what the content's tokens say."""

    def __init__(self, modalities: Sequence[str], width: int, dropout: float) -> None:
        super().__init__()
        everything = tuple(range(len(modalities)))
        self.account = tuple(n for n in everything if modalities[n] in ACCOUNT) or everything
        self.content = tuple(n for n in everything if n not in self.account) or self.account
        self.features = nn.Linear(len(self.content) * (width + 1), width)
        self.film = nn.Linear(len(self.account) * (width + 1), 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """Return shape (B, width)."""
        both = torch.cat([tokens, present[:, :, None]], dim=2)
        features = torch.nn.functional.gelu(self.features(both[:, self.content].flatten(1)))
        scale, shift = self.film(both[:, self.account].flatten(1)).chunk(2, dim=1)
        modulated: Tensor = (1 + scale) * features + shift
        return modulated


Join = Callable[[Sequence[str], int, float], nn.Module]
"""From the names of M modalities, the width of a token and dropout to what makes of tokens, shape (B, M, width), and
presence as numbers, shape (B, M), one vector, shape (B, width)."""

FUSIONS: Mapping[str, Join | None] = {
    "concatenation": None,
    "gates": Gates,
    "transformer": Attention,
    "film": Modulation,
}
"""The ways to join modalities; None sets tokens and presence side by side."""


class Fusion(nn.Module):
    """Tokens of all modalities joined in one of :data:`FUSIONS`, through an MLP, plus a linear path, to three numbers.

    The linear path lets numbers with a straight effect (log followers) pass without the MLP having to learn it. The
    distances of the interval's ends are read off the MLP's features without bending these to their own purpose.
    """

    def __init__(
        self,
        specs: tuple[Spec, ...],
        fusion: str,
        width: int,
        hidden: int,
        dropout: float,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        self.towers = nn.ModuleDict({spec.name: Tower(spec, width, modality_dropout) for spec in specs})
        flat = len(specs) * (width + 1)
        join = FUSIONS[fusion]
        self.join = None if join is None else join([spec.name for spec in specs], width, dropout)
        size = flat if self.join is None else width
        self.mlp = nn.Sequential(
            nn.GELU(), nn.Dropout(dropout), nn.Linear(size, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.head = nn.Linear(hidden, 1)
        self.linear = nn.Linear(flat, 1, bias=False)
        self.spread = nn.Linear(hidden, 2)  # distances of the ends; so it is called in files of weights

    def tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the tokens, shape (B, M, width), and presence as numbers, shape (B, M)."""
        shown = [tower(*batch[name]) for name, tower in self.towers.items()]
        tokens = torch.stack([token for token, _ in shown], dim=1)
        return tokens, torch.stack([present for _, present in shown], dim=1).to(tokens.dtype)

    def forward(self, batch: Batch) -> Tensor:
        """Return the standardised target and the ends of its interval, shape (B, 3)."""
        tokens, present = self.tokens(batch)
        flat = torch.cat([tokens, present[:, :, None]], dim=2).flatten(1)
        features = self.mlp(flat if self.join is None else self.join(tokens, present))
        middle = self.head(features) + self.linear(flat)
        below, above = nn.functional.softplus(self.spread(features.detach())).chunk(2, dim=1)
        fixed = middle.detach()
        return torch.cat([middle, fixed - below, fixed + above], dim=1)


def start_at_zero(network: TwoLayer | Fusion) -> None:
    """Zero the last layers: the untrained network changes nothing, and early stopping can keep it so."""
    with torch.no_grad():
        nn.init.zeros_(network.head.weight)
        nn.init.zeros_(network.head.bias)
        if isinstance(network, Fusion):
            nn.init.zeros_(network.linear.weight)
            nn.init.zeros_(network.spread.weight)
            nn.init.zeros_(network.spread.bias)
