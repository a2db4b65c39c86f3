"""Random intercepts of groups beside a network, so that it need not learn which group a post is of."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from postmill.train.data.arrays import Rows


class Intercepts(nn.Module):
    """A level for each group, with the penalty that a random effect has.

    A level's prior is one term beside its group's n posts; each post of a batch carries its n-th part.

    Args:
        groups: Shape (N,), number of each training post's group.
        variance_ratio: Variance of levels over that of posts.
    """

    code: Tensor
    share: Tensor

    def __init__(self, groups: Rows, variance_ratio: float) -> None:
        super().__init__()
        _, code, size = np.unique(groups, return_inverse=True, return_counts=True)
        self.values = nn.Parameter(torch.zeros(len(size)))
        self.register_buffer("code", torch.from_numpy(code))
        self.register_buffer("share", torch.from_numpy((1 / (variance_ratio * size[code])).astype(np.float32)))

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the level of each post of a batch, shape (B,), and the batch's penalty; (B,) positions among N."""
        level = self.values[self.code[positions]]
        return level, (level**2 * self.share[positions]).mean()
