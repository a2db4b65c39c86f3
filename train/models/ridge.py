"""Ridge regression in closed form, fitted to predict groups (accounts) that it has not seen.

Posts of one account share what its account brings, whatever is in them. Taken as independent, forty posts of an
account would vote forty times for its level. So each group has a random intercept, as in a linear mixed model: with
``r`` the variance of intercepts over that of posts, generalised least squares subtracts from each sum of products the
share ``n r / (1 + n r)`` of what the group's mean explains (Laird and Ware, 1982). Penalty and ``r`` are chosen by
folds of whole groups inside the training part; ``r = 0`` is ordinary ridge.

By hand, because neither scikit-learn's RidgeCV nor statsmodels' MixedLM has penalty and intercepts at once, chosen by
groups and in one pass over the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from postmill.train.data import splits
from postmill.train.data.arrays import Floats, Ids, Rows
from postmill.train.data.modality import Modality

PENALTIES = np.logspace(-4, 3, 15)
"""Candidate penalties, in units of the number of training posts (columns are standardised)."""

VARIANCE_RATIOS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Candidates for the variance of intercepts over that of posts."""

PENALTY_FOLDS = 5
LIMIT = 8.0
"""Standardised numbers are clipped here, so that one odd post cannot rule the fit or be predicted out of all bounds."""

MIN_GROUP_SIZE = 2.0
"""With fewer posts a group on average, intercepts and posts cannot be told apart, and there are no intercepts."""

_CHUNK = 8_192


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge: ``standardised target = intercept + standardised columns @ coefficients``.

    Attributes:
        mean, std: Shape (C,), by which the columns are standardised: the D of each modality, and its presence.
        coefficients: Shape (C,).
        intercept: In standard deviations of the target.
        penalty: The one chosen.
        variance_ratio: Variance of intercepts over that of posts, chosen.
        validation_loss: Mean squared error of standardised targets over the folds, for what was chosen.
    """

    mean: Floats
    std: Floats
    coefficients: Floats
    intercept: float
    penalty: float
    variance_ratio: float
    validation_loss: float

    def weights(self) -> dict[str, Floats]:
        """Return what is needed to predict again, by name."""
        return {
            "mean": self.mean,
            "deviation": self.std,
            "coefficients": self.coefficients,
            "intercept": np.array([self.intercept]),
        }


def restored(weights: Mapping[str, Floats]) -> Ridge:
    """Return the ridge that :meth:`Ridge.weights` wrote down, good for prediction."""
    mean, std, coefficients = (weights[name] for name in ("mean", "deviation", "coefficients"))
    return Ridge(mean, std, coefficients, float(weights["intercept"][0]), math.nan, math.nan, math.nan)


def has_intercepts(groups: Ids) -> bool:
    """Say whether groups have enough posts for intercepts."""
    return len(groups) >= MIN_GROUP_SIZE * len(np.unique(groups))


def solve(modalities: Sequence[Modality], rows: Rows, target: Floats, groups: Ids, seed: int) -> Ridge:
    """Fit ridge on modalities side by side.

    Called within :func:`.determinism.deterministic` it gives the same bits every time.

    The sums it needs are gathered in one pass over the rows, a chunk at a time: memory grows with D² and with D times
    the number of groups, not with the number of posts.

    Args:
        modalities: What it is shown: their components, and whether each is present.
        rows: Shape (N,), the training posts' rows in the modalities.
        target: Shape (N,), standardised.
        groups: Shape (N,), ids of what must not be divided between folds.
        seed: Of the folds.
    """
    mean, std = (np.concatenate(part) for part in zip(*(moments(m, rows) for m in modalities), strict=True))
    sums = _summed(modalities, rows, target, groups, seed, mean, std)
    trials = []
    for ratio in VARIANCE_RATIOS if has_intercepts(groups) else (0.0,):
        losses = _losses(sums.products, sums.explained(ratio))
        trials += [(loss, ratio, number) for number, loss in enumerate(losses)]
    loss, ratio, chosen = min(trials)
    whitened = (sums.products - sums.explained(ratio)).sum(dim=0)
    solution = next(s for n, s in enumerate(_solutions(whitened, len(rows))) if n == chosen).numpy()
    penalty = float(PENALTIES[chosen])
    return Ridge(mean, std, solution[:-1], float(solution[-1]), penalty, ratio, loss / len(rows))


def predict(ridge: Ridge, modalities: Sequence[Modality], rows: Rows) -> Floats:
    """Return the standardised predictions for ``rows``, shape (N,), of groups not seen before."""
    predicted = np.empty(len(rows))
    widths = [modality.width for modality in modalities]
    for chunk, columns in _chunks(modalities, rows):
        standardised = torch.from_numpy(_standardise(columns, ridge.mean, ridge.std, widths))
        predicted[chunk] = (standardised @ torch.from_numpy(ridge.coefficients)).numpy() + ridge.intercept
    return predicted


def moments(modality: Modality, rows: Rows) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each column over the posts that have the modality, of presence over all."""
    total, squares, seen = np.zeros(modality.width + 1), np.zeros(modality.width + 1), 0
    for _, columns in _chunks([modality], rows):
        shown = columns[columns[:, -1] > 0]
        total += shown.sum(axis=0)
        squares += (shown**2).sum(axis=0)
        seen += len(shown)
    mean = total / max(seen, 1)
    variance = squares / max(seen, 1) - mean**2
    share = seen / len(rows)
    mean[-1], variance[-1] = share, share * (1 - share)
    constant = variance <= 1e-10 * np.maximum(1.0, mean**2)
    return mean, np.where(constant, 1.0, np.sqrt(np.where(constant, 1.0, variance)))


@dataclass(frozen=True)
class _Sums:
    """What all candidates are solved from: of (standardised columns, 1, target), C + 2 numbers a post.

    Attributes:
        products: Shape (folds, C + 2, C + 2), second moments.
        by_fold: For each fold, shape (groups, C + 2), the sums of its groups; without rows where there are no
            intercepts.
    """

    products: Tensor
    by_fold: list[Tensor]

    def explained(self, variance_ratio: float) -> Tensor:
        """Return what the intercepts of groups take out of the second moments, shape (folds, C + 2, C + 2)."""
        return torch.stack([_explained(sums, variance_ratio) for sums in self.by_fold])


def _summed(
    modalities: Sequence[Modality], rows: Rows, target: Floats, groups: Ids, seed: int, mean: Floats, std: Floats
) -> _Sums:
    distinct, group = np.unique(groups, return_inverse=True)
    count = min(PENALTY_FOLDS, len(distinct))
    fold = splits.folds(groups, seed, "penalty", count)
    grouped = has_intercepts(groups)
    width = len(mean) + 2
    products = torch.zeros((count, width, width), dtype=torch.float64)
    sums = np.zeros((len(distinct) if grouped else 0, width))
    widths = [modality.width for modality in modalities]
    for chunk, columns in _chunks(modalities, rows):
        standardised = _standardise(columns, mean, std, widths)
        joined = np.column_stack([standardised, np.ones(len(columns)), target[chunk]])
        for number in range(count):
            part = torch.from_numpy(joined[fold[chunk] == number])
            products[number] += part.T @ part
        if grouped:
            np.add.at(sums, group[chunk], joined)
    group_fold = np.zeros(len(distinct), dtype=np.int64)
    group_fold[group] = fold
    by_fold = [torch.from_numpy(sums[group_fold[: len(sums)] == number]) for number in range(count)]
    return _Sums(products, by_fold)


def _chunks(modalities: Sequence[Modality], rows: Rows) -> Iterator[tuple[slice, Floats]]:
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        columns = [part for m in modalities for part in (m.take(rows[chunk]), m.present[rows[chunk]])]
        yield chunk, np.column_stack(columns).astype(np.float64)


def _standardise(columns: Floats, mean: Floats, std: Floats, widths: Sequence[int]) -> Floats:
    """Return columns in standard deviations, clipped; those of a modality that a post lacks are 0, the mean."""
    standardised = np.clip((columns - mean) / std, -LIMIT, LIMIT)
    start = 0
    for width in widths:
        standardised[:, start : start + width] *= columns[:, start + width : start + width + 1]
        start += width + 1
    return standardised


def _explained(sums: Tensor, variance_ratio: float) -> Tensor:
    """Return what the intercepts of groups take out of the second moments; ``sums`` has a row for each group."""
    size = sums[:, -2:-1]
    return (sums * (variance_ratio / (1 + size * variance_ratio))).T @ sums


def _losses(products: Tensor, explained: Tensor) -> list[float]:
    """Return, for each penalty, the sum of squared errors of predicting each fold from the others.

    A single fold has no others: then only the strongest penalty, which predicts the mean, is taken.
    """
    if len(products) == 1:
        return [math.inf] * (len(PENALTIES) - 1) + [float(products[0, -1, -1])]
    losses = [0.0] * len(PENALTIES)
    whitened = (products - explained).sum(dim=0)
    posts = float(products[:, -2, -2].sum())
    for fold, by_groups in zip(products, explained, strict=True):
        others = _solutions(whitened - (fold - by_groups), posts - float(fold[-2, -2]))
        for number, solution in enumerate(others):
            signed = torch.cat([solution, torch.tensor([-1.0], dtype=torch.float64)])
            losses[number] += float(signed @ fold @ signed)
    return losses


def _solutions(second_moments: Tensor, posts: float) -> Iterator[Tensor]:
    """Yield, for each penalty, the coefficients and the intercept, which is not penalised."""
    weight = second_moments[-2, -2]
    mean_x, mean_y = second_moments[-2, :-2] / weight, second_moments[-2, -1] / weight
    values, vectors = torch.linalg.eigh(second_moments[:-2, :-2] - weight * torch.outer(mean_x, mean_x))
    projected = vectors.T @ (second_moments[:-2, -1] - weight * mean_x * mean_y)
    for penalty in PENALTIES * posts:
        coefficients = vectors @ (projected / (values.clamp(min=0.0) + penalty))
        yield torch.cat([coefficients, (mean_y - mean_x @ coefficients)[None]])
