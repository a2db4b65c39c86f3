"""Trees grown by LightGBM beside random intercepts of groups.

Each round, the level of every training group is what a linear mixed model would give it, and trees are fitted to what
is left (Sigrist, Gaussian process boosting, 2022, for levels of one variance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from postmill.shards.runtime.errors import UsageError
from postmill.train.data.arrays import Floats, Matrix, Rows

ROUNDS, PATIENCE = 2_000, 30
PARAMETERS: Mapping[str, Any] = {
    "learning_rate": 0.06,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "feature_pre_filter": False,
    "metric": "l2",
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
TRIALS: tuple[Mapping[str, Any], ...] = (
    {"num_leaves": 15, "min_data_in_leaf": 20, "feature_fraction": 0.5, "lambda_l2": 5.0},
    {"num_leaves": 4, "min_data_in_leaf": 20, "feature_fraction": 0.3, "lambda_l2": 20.0},
    {"num_leaves": 31, "min_data_in_leaf": 50, "feature_fraction": 0.3, "lambda_l2": 1.0},
)
"""Ways to grow trees, of which each training takes the one that does best on groups of its own training part."""


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


@dataclass(frozen=True)
class Grown:
    """Trees as LightGBM writes them, how many, and their mean squared error on what was set aside, if anything was."""

    text: str
    trees: int
    loss: float


@dataclass(frozen=True)
class Examples:
    """What trees learn from, and what they are judged on.

    Attributes:
        columns: Shape (N, C).
        residual: Shape (N,), what is left of the target.
        groups: Shape (N,), number of each post's group for its intercept; None for no intercepts.
        judged: Columns and residual of the posts set aside; None where there are none.
    """

    columns: Matrix
    residual: Floats
    groups: Rows | None
    judged: tuple[Matrix, Floats] | None


def grow(examples: Examples, parameters: Mapping[str, Any], variance_ratio: float | None) -> Grown:
    """Grow trees until they are no better on what is judged; none where they are worse than nothing.

    Args:
        examples: What they learn from.
        parameters: Of LightGBM.
        variance_ratio: Variance of levels over that of posts; None for no levels.
    """
    without = 0.0 if examples.judged is None else float(np.mean(examples.judged[1] ** 2))
    if not _can_split(examples.columns, parameters["min_data_in_leaf"]):
        return Grown("", 0, without)
    lightgbm = library()
    slope = objective(examples.residual, examples.groups, variance_ratio)
    asked = {**parameters, "objective": slope}
    data = lightgbm.Dataset(examples.columns, examples.residual, params=parameters, free_raw_data=False)
    if examples.judged is None:
        trees = lightgbm.train(asked, data, num_boost_round=PATIENCE)
        return Grown(trees.model_to_string(), PATIENCE, 0.0)
    columns, residual = examples.judged
    judge = lightgbm.Dataset(columns, residual, reference=data, params=parameters)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    trees = lightgbm.train(asked, data, num_boost_round=ROUNDS, valid_sets=[judge], callbacks=[stop])
    loss = float(trees.best_score["valid_0"]["l2"])
    if loss >= without:
        return Grown("", 0, without)
    return Grown(trees.model_to_string(num_iteration=trees.best_iteration), trees.best_iteration, loss)


def _can_split(columns: Matrix, leaf: int) -> bool:
    """Say whether posts can be told apart into two leaves of so many; where they cannot, LightGBM fails."""
    lowest, highest = (np.where(np.isnan(columns), end, columns) for end in (np.inf, -np.inf))
    return len(columns) >= 2 * leaf and bool((lowest.min(axis=0) < highest.max(axis=0)).any())


def objective(
    residual: Floats, groups: Rows | None, variance_ratio: float | None
) -> Callable[[Floats, Any], tuple[Floats, Floats]]:
    """Return gradient and curvature of the squared error beside the best level of each group."""
    curvature = np.ones(len(residual))
    if groups is None or variance_ratio is None:
        return lambda predicted, data: (predicted - residual, curvature)
    shrink = variance_ratio / (1 + variance_ratio * np.bincount(groups))

    def slope(predicted: Floats, data: Any) -> tuple[Floats, Floats]:
        left = residual - predicted
        level = np.bincount(groups, left) * shrink
        return level[groups] - left, curvature

    return slope


def predict(trees: bytes, columns: Matrix) -> Floats:
    """Return what trees, as LightGBM writes them, say of M rows, shape (M,)."""
    predicted: Floats = np.asarray(_loaded(trees).predict(columns, num_threads=1), dtype=np.float64)
    return predicted


def contributions(trees: bytes, columns: Matrix) -> Floats:
    """Return what each column adds to what trees say of M rows, shape (M, C): TreeSHAP (Lundberg et al., 2020).

    What the rows' columns add is a difference from what the trees say on average of the rows that they learnt from.
    """
    added: Floats = np.asarray(_loaded(trees).predict(columns, num_threads=1, pred_contrib=True), dtype=np.float64)
    return added[:, :-1]


def _loaded(trees: bytes) -> Any:
    return library().Booster(model_str=trees.decode())
