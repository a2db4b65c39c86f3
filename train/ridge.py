"""Ridge regression in closed form, fitted to predict units (accounts) that it has not seen.

Posts of one account share what its account brings, whatever is in them. Taken as independent, forty posts of an
account would vote forty times for its level. So each unit has a random intercept, as in a linear mixed model: with
``r`` the variance of intercepts over that of posts, generalised least squares subtracts from each sum of products the
share ``n r / (1 + n r)`` of what the unit's mean explains (Laird and Ware, 1982). Penalty and ``r`` are chosen by
folds of whole units inside the training part; ``r = 0`` is ordinary ridge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from train import splits
from train.features import Modality, Rows
from train.splits import Units

Floats = npt.NDArray[np.float64]

PENALTIES = np.logspace(-4, 3, 15)
"""Candidate penalties, in units of the number of training posts (columns are standardised)."""

RATIOS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Candidates for the variance of intercepts over that of posts."""

FOLDS = 5
LIMIT = 8.0
"""Standardised numbers are clipped here, so that one odd post cannot rule the fit or be predicted out of all bounds."""

MIN_UNIT_SIZE = 2.0
"""With fewer posts a unit on average, intercepts and posts cannot be told apart, and there are no intercepts."""

_CHUNK = 8_192


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge: ``standardised target = intercept + standardised columns @ coefficients``.

    Attributes:
        mean, deviation: Shape (C,), by which the columns are standardised: the D of each modality, and its presence.
        coefficients: Shape (C,).
        intercept: In standard deviations of the target.
        penalty: The one chosen.
        ratio: Variance of intercepts over that of posts, chosen.
        validation_loss: Mean squared error of standardised targets over the folds, for what was chosen.
    """

    mean: Floats
    deviation: Floats
    coefficients: Floats
    intercept: float
    penalty: float
    ratio: float
    validation_loss: float

    def weights(self) -> dict[str, Floats]:
        """Return what is needed to predict again, by name."""
        return {
            "mean": self.mean,
            "deviation": self.deviation,
            "coefficients": self.coefficients,
            "intercept": np.array([self.intercept]),
        }


def several_a_unit(units: Units) -> bool:
    """Say whether units have enough posts for intercepts."""
    return len(units) >= MIN_UNIT_SIZE * len(np.unique(units))


def fit(modalities: Sequence[Modality], rows: Rows, target: Floats, units: Units, seed: int) -> Ridge:
    """Fit ridge on modalities side by side.

    Called within :func:`train.determinism.deterministic` it gives the same bits every time.

    The sums it needs are gathered in one pass over the rows, a chunk at a time: memory grows with D² and with D times
    the number of units, not with the number of posts.

    Args:
        modalities: What it is shown: their components, and whether each is present.
        rows: Shape (N,), the training posts' rows in the modalities.
        target: Shape (N,), standardised.
        units: Shape (N,), ids of what must not be divided between folds.
        seed: Of the folds.
    """
    widths = [modality.width for modality in modalities]
    mean, deviation = (np.concatenate(part) for part in zip(*(moments(m, rows) for m in modalities), strict=True))
    distinct, unit = np.unique(units, return_inverse=True)
    count = min(FOLDS, len(distinct))
    fold = splits.folds(units, seed, "penalty", count)
    grouped = several_a_unit(units)
    width = len(mean) + 2
    # Second moments of (standardised columns, 1, target), by fold, and sums of the same by unit: all else follows.
    products = torch.zeros((count, width, width), dtype=torch.float64)
    sums = np.zeros((len(distinct) if grouped else 0, width))
    for at, columns in _chunks(modalities, rows):
        joined = np.column_stack([_standardise(columns, mean, deviation, widths), np.ones(len(columns)), target[at]])
        for number in range(count):
            part = torch.from_numpy(joined[fold[at] == number])
            products[number] += part.T @ part
        if grouped:
            np.add.at(sums, unit[at], joined)
    unit_fold = np.zeros(len(distinct), dtype=np.int64)
    unit_fold[unit] = fold
    by_fold = [torch.from_numpy(sums[unit_fold[: len(sums)] == number]) for number in range(count)]
    tried = []
    for ratio in RATIOS if grouped else (0.0,):
        taken = torch.stack([_taken(own, ratio) for own in by_fold])
        tried += [(loss, ratio, number) for number, loss in enumerate(_losses(products, taken))]
    loss, ratio, chosen = min(tried)
    whitened = (products - torch.stack([_taken(own, ratio) for own in by_fold])).sum(dim=0)
    solution = next(s for n, s in enumerate(_solutions(whitened, len(rows))) if n == chosen).numpy()
    penalty = float(PENALTIES[chosen])
    return Ridge(mean, deviation, solution[:-1], float(solution[-1]), penalty, ratio, loss / len(rows))


def predict(ridge: Ridge, modalities: Sequence[Modality], rows: Rows) -> Floats:
    """Return the standardised predictions for ``rows``, shape (N,), of units not seen before."""
    predicted = np.empty(len(rows))
    widths = [modality.width for modality in modalities]
    for at, columns in _chunks(modalities, rows):
        standardised = torch.from_numpy(_standardise(columns, ridge.mean, ridge.deviation, widths))
        predicted[at] = (standardised @ torch.from_numpy(ridge.coefficients)).numpy() + ridge.intercept
    return predicted


def restored(weights: Mapping[str, Floats]) -> Ridge:
    """Return the ridge that :meth:`Ridge.weights` wrote down, good for prediction."""
    mean, deviation, coefficients = (weights[name] for name in ("mean", "deviation", "coefficients"))
    return Ridge(mean, deviation, coefficients, float(weights["intercept"][0]), math.nan, math.nan, math.nan)


def _chunks(modalities: Sequence[Modality], rows: Rows) -> Iterator[tuple[slice, Floats]]:
    for start in range(0, len(rows), _CHUNK):
        at = slice(start, start + _CHUNK)
        columns = [part for m in modalities for part in (m.take(rows[at]), m.present[rows[at]])]
        yield at, np.column_stack(columns).astype(np.float64)


def moments(modality: Modality, rows: Rows) -> tuple[Floats, Floats]:
    """Return mean and deviation of each column over the posts that have the modality, and of presence over all."""
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


def _standardise(columns: Floats, mean: Floats, deviation: Floats, widths: Sequence[int]) -> Floats:
    """Return columns in standard deviations, clipped; those of a modality that a post lacks are 0, the mean."""
    standardised = np.clip((columns - mean) / deviation, -LIMIT, LIMIT)
    start = 0
    for width in widths:
        standardised[:, start : start + width] *= columns[:, start + width : start + width + 1]
        start += width + 1
    return standardised


def _taken(sums: Tensor, ratio: float) -> Tensor:
    """Return what the intercepts of units take out of the second moments; ``sums`` has a row for each unit."""
    size = sums[:, -2:-1]
    return (sums * (ratio / (1 + size * ratio))).T @ sums


def _losses(products: Tensor, taken: Tensor) -> list[float]:
    """Return, for each penalty, the sum of squared errors of predicting each fold from the others.

    A single fold has no others: then only the strongest penalty, which predicts the mean, is taken.
    """
    if len(products) == 1:
        return [math.inf] * (len(PENALTIES) - 1) + [float(products[0, -1, -1])]
    losses = [0.0] * len(PENALTIES)
    whitened = (products - taken).sum(dim=0)
    posts = float(products[:, -2, -2].sum())
    for held, own in zip(products, taken, strict=True):
        for at, solution in enumerate(_solutions(whitened - (held - own), posts - float(held[-2, -2]))):
            signed = torch.cat([solution, torch.tensor([-1.0], dtype=torch.float64)])
            losses[at] += float(signed @ held @ signed)
    return losses


def _solutions(moments_of: Tensor, posts: float) -> Iterator[Tensor]:
    """Yield, for each penalty, the coefficients and the intercept, which is not penalised."""
    weight = moments_of[-2, -2]
    mean_x, mean_y = moments_of[-2, :-2] / weight, moments_of[-2, -1] / weight
    values, vectors = torch.linalg.eigh(moments_of[:-2, :-2] - weight * torch.outer(mean_x, mean_x))
    projected = vectors.T @ (moments_of[:-2, -1] - weight * mean_x * mean_y)
    for penalty in PENALTIES * posts:
        coefficients = vectors @ (projected / (values.clamp(min=0.0) + penalty))
        yield torch.cat([coefficients, (mean_y - mean_x @ coefficients)[None]])
