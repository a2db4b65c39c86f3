"""Ridge regression in closed form, its penalty chosen by folds of whole units inside the training part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train import splits
from train.features import Modality, Rows
from train.splits import Units

Floats = npt.NDArray[np.float64]

PENALTIES = np.logspace(-4, 3, 15)
"""Candidate penalties, in units of the number of training posts (columns are standardised)."""

FOLDS = 5
LIMIT = 8.0
"""Standardised numbers are clipped here, so that one odd post cannot rule the fit or be predicted out of all bounds."""

_CHUNK = 8_192


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge: ``standardised target = intercept + standardised columns @ coefficients``.

    Attributes:
        mean, deviation: Shape (D + 1,), by which the columns are standardised; the last column is presence.
        coefficients: Shape (D + 1,).
        intercept: In standard deviations of the target.
        penalty: The one chosen.
        validation_loss: Mean squared error of standardised targets over the folds, for the chosen penalty.
    """

    mean: Floats
    deviation: Floats
    coefficients: Floats
    intercept: float
    penalty: float
    validation_loss: float


def fit(modality: Modality, rows: Rows, target: Floats, units: Units, seed: int) -> Ridge:
    """Fit ridge on one modality.

    The sums it needs are gathered in one pass over the rows, a chunk at a time, so memory grows with D², not N.

    Args:
        modality: What it is shown: its components, and whether it is present.
        rows: Shape (N,), the training posts' rows in the modality.
        target: Shape (N,), standardised.
        units: Shape (N,), ids of what must not be divided between folds.
        seed: Of the folds.
    """
    mean, deviation = moments(modality, rows)
    count = min(FOLDS, len(np.unique(units)))
    fold = splits.folds(units, seed, "penalty", count)
    width = len(mean) + 1
    # Per fold, the second moments of (standardised columns, 1, target): everything else follows from them.
    sums = np.zeros((count, width + 1, width + 1))
    for at, columns in _chunks(modality, rows):
        joined = np.column_stack([_standardise(columns, mean, deviation), np.ones(len(columns)), target[at]])
        for number in range(count):
            part = joined[fold[at] == number]
            sums[number] += part.T @ part
    total = sums.sum(axis=0)
    losses = np.zeros(len(PENALTIES))
    if count > 1:
        for held in sums:
            for at_penalty, solution in enumerate(_solutions(total - held)):
                losses[at_penalty] += _squared_error(held, solution)
    # Without folds (one unit) the strongest penalty is the safe choice.
    best = int(losses.argmin()) if count > 1 else len(PENALTIES) - 1
    *_, solution = (s for n, s in enumerate(_solutions(total)) if n == best)
    return Ridge(
        mean, deviation, solution[:-1], float(solution[-1]), float(PENALTIES[best]), float(losses[best] / len(rows))
    )


def predict(ridge: Ridge, modality: Modality, rows: Rows) -> Floats:
    """Return the standardised predictions for ``rows``, shape (N,)."""
    predicted = np.empty(len(rows))
    for at, columns in _chunks(modality, rows):
        predicted[at] = _standardise(columns, ridge.mean, ridge.deviation) @ ridge.coefficients + ridge.intercept
    return predicted


def _chunks(modality: Modality, rows: Rows) -> Iterator[tuple[slice, Floats]]:
    for start in range(0, len(rows), _CHUNK):
        at = slice(start, start + _CHUNK)
        yield at, np.column_stack([modality.take(rows[at]), modality.present[rows[at]]]).astype(np.float64)


def moments(modality: Modality, rows: Rows) -> tuple[Floats, Floats]:
    """Return mean and deviation of each column over the posts that have the modality, and of presence over all."""
    total, squares, seen = np.zeros(modality.width + 1), np.zeros(modality.width + 1), 0
    for _, columns in _chunks(modality, rows):
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


def _standardise(columns: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Return columns in standard deviations, clipped; those of an absent post are 0, the mean."""
    standardised = np.clip((columns - mean) / deviation, -LIMIT, LIMIT)
    standardised[:, :-1] *= columns[:, -1:]
    return standardised


def _solutions(moments: Floats) -> Iterator[Floats]:
    """Yield, for each penalty, the coefficients and the intercept, which is not penalised."""
    count = moments[-2, -2]
    mean_x, mean_y = moments[-2, :-2] / count, moments[-2, -1] / count
    gram = moments[:-2, :-2] - count * np.outer(mean_x, mean_x)
    values, vectors = np.linalg.eigh(gram)
    projected = vectors.T @ (moments[:-2, -1] - count * mean_x * mean_y)
    for penalty in PENALTIES * count:
        coefficients = vectors @ (projected / (np.maximum(values, 0.0) + penalty))
        yield np.append(coefficients, mean_y - mean_x @ coefficients)


def _squared_error(moments: Floats, solution: Floats) -> float:
    """Return the sum of squared errors of ``solution`` over the posts that ``moments`` sums up."""
    signed = np.append(solution, -1.0)
    return float(signed @ moments @ signed)
