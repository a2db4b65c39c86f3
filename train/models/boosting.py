"""Gradient boosting on metadata, history, sentiment and the principal components of embeddings, by LightGBM.

Trees are judged on groups set aside, which decide how many there are; the same posts calibrate an interval of constant
width around the prediction. What the trees are shown is a table in memory: :data:`COMPONENTS` numbers of each
embedding, not the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.shards.runtime.errors import UsageError
from postmill.train.data import splits
from postmill.train.data.arrays import Arrays, Floats, Matrix, Rows
from postmill.train.data.modality import Modality
from postmill.train.models import conformal
from postmill.train.models.learners import TrainingContext
from postmill.train.models.problem import Fit, Problem, Scores, around, half_width, half_width_entry
from postmill.train.models.registry import Rung

COMPONENTS = 32
"""Principal components of each embedding."""

ROUNDS, PATIENCE = 2_000, 30
PARAMETERS: Mapping[str, Any] = {
    "objective": "regression",
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
_FOLDS = 5
_MANY = 20_000
_SAMPLE = 50_000  # posts that principal components are computed from
_CHUNK = 8_192


def library() -> Any:
    """Return the LightGBM module.

    Raises:
        UsageError: It is not installed, or the system lacks what it needs.
    """
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        raise UsageError(
            f"LightGBM cannot be loaded ({error})",
            place="--model boosting",
            hint="pip install 'postmill[boosting]'; if libgomp is missing, apt-get install libgomp1",
        ) from error
    return lightgbm


def check(rung: Rung) -> None:
    """Check that LightGBM can be loaded.

    Raises:
        UsageError: It cannot.
    """
    library()


def settings(rung: Rung, context: TrainingContext) -> dict[str, Any]:
    """Return how trees are grown, as JSON has it."""
    return {**PARAMETERS, "components": COMPONENTS, "rounds": ROUNDS, "patience": PATIENCE}


def fit(rung: Rung, problem: Problem, target: Floats, context: TrainingContext) -> Fit:
    """Grow trees for the standardised target, shape (N,)."""
    lightgbm = library()
    weights: dict[str, npt.NDArray[Any]] = {}
    for modality in problem.modalities.values():
        if modality.is_embedding:
            mean, axes = principal_components(modality, problem.train)
            weights |= {f"{modality.name}.mean": mean, f"{modality.name}.axes": axes}
    columns = table(weights, problem.modalities, problem.train)
    count = min(_FOLDS, len(np.unique(problem.groups)))
    fold = splits.folds(problem.groups, problem.seed, "boosting", count)
    validation = fold == 0 if count > 1 else np.zeros(len(target), dtype=bool)
    learn = ~validation
    # A fixed number: the order in which threads add up shows in the last bits. Few posts are faster on one.
    parameters = {**PARAMETERS, "seed": problem.seed, "num_threads": 2 if len(target) >= _MANY else 1}
    data = lightgbm.Dataset(columns[learn], target[learn], params=parameters, free_raw_data=False)
    if count > 1:
        judge = lightgbm.Dataset(columns[validation], target[validation], reference=data, params=parameters)
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        trees = lightgbm.train(parameters, data, num_boost_round=ROUNDS, valid_sets=[judge], callbacks=[stop])
        width = conformal.correction(np.abs(target[validation] - _raw(trees, columns[validation])))
    else:
        trees = lightgbm.train(parameters, data, num_boost_round=PATIENCE)
        width = None
    text = trees.model_to_string(num_iteration=trees.best_iteration)
    weights["trees"] = np.frombuffer(text.encode(), dtype=np.uint8)
    weights |= half_width_entry(width)
    return Fit(weights, {"trees": trees.best_iteration or PATIENCE, "interval_half_width": width})


def apply(
    rung: Rung, weights: Arrays, modalities: Mapping[str, Modality], rows: Rows, context: TrainingContext
) -> Scores:
    """Return what the trees say of ``rows``, standardised, and an interval where it was calibrated."""
    trees = library().Booster(model_str=weights["trees"].tobytes().decode())
    predicted = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        predicted[chunk] = _raw(trees, table(weights, modalities, rows[chunk]))
    return around(predicted, half_width(weights))


def table(weights: Arrays, modalities: Mapping[str, Modality], rows: Rows) -> Matrix:
    """Return what the trees see of ``rows``: shape (M, columns), NaN where a post lacks the modality."""
    parts = []
    for modality in modalities.values():
        axes = weights[f"{modality.name}.axes"] if modality.is_embedding else None
        part = np.empty((len(rows), modality.width if axes is None else axes.shape[1]), dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            values = modality.take(rows[chunk])
            part[chunk] = values if axes is None else (values - weights[f"{modality.name}.mean"]) @ axes
        part[~modality.present[rows]] = np.nan
        parts.append(part)
    return np.concatenate(parts, axis=1)


def principal_components(modality: Modality, rows: Rows) -> tuple[Matrix, Matrix]:
    """Return mean, shape (D,), and the first axes, shape (D, at most :data:`COMPONENTS`), of the posts that have it.

    From at most 50,000 of ``rows``, evenly spread. The sign of an axis is that of its largest coordinate. The axes of
    scikit-learn's IncrementalPCA, which reads in chunks too, depend on how the rows are cut into them.
    """
    with_modality = rows[modality.present[rows]]
    if not len(with_modality):
        return np.zeros(modality.width, dtype=np.float32), np.zeros((modality.width, 0), dtype=np.float32)
    evenly = np.linspace(0, len(with_modality) - 1, min(_SAMPLE, len(with_modality))).astype(np.int64)
    sample = with_modality[evenly]
    total, products = np.zeros(modality.width), np.zeros((modality.width, modality.width))
    for start in range(0, len(sample), _CHUNK):
        values = modality.take(sample[start : start + _CHUNK]).astype(np.float64)
        total += values.sum(axis=0)
        products += values.T @ values
    mean = total / len(sample)
    _, vectors = np.linalg.eigh(products / len(sample) - np.outer(mean, mean))
    axes = vectors[:, ::-1][:, :COMPONENTS]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return mean.astype(np.float32), axes.astype(np.float32)


def _raw(trees: Any, columns: Matrix) -> Floats:
    predicted: Floats = np.asarray(trees.predict(columns, num_threads=1), dtype=np.float64)
    return predicted
