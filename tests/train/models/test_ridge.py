"""Ridge against scikit-learn and against least squares done by hand; intercepts where accounts mislead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from postmill.shards.formats.encoders import Encoder
from postmill.train.data.modality import Block, Modality
from postmill.train.models import ridge

N, D = 400, 6


@pytest.fixture
def as_modality(make_encoder: Callable[..., Encoder]) -> Callable[..., Modality]:
    def make(values: np.ndarray, present: np.ndarray | None = None) -> Modality:
        n, d = values.shape
        shown = np.ones(n, dtype=bool) if present is None else present
        columns = tuple(f"c{k}" for k in range(d))
        return Modality(
            "metadata",
            make_encoder("metadata", d),
            columns,
            d,
            (Block(values.astype(np.float32)),),
            np.array([0, n]),
            shown,
            True,
        )

    return make


def plant(accounts: int, level: float, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Columns (0 has slope 1, 1 is noise by account), standardised target, accounts, the target's deviation."""
    random = np.random.default_rng(seed)
    account = random.integers(accounts, size=N)
    x = random.normal(size=(N, D)).astype(np.float32)
    x[:, 1] = random.normal(size=accounts)[account]
    y = x[:, 0] + level * random.normal(size=accounts)[account] + noise * random.normal(size=N)
    return x, (y - y.mean()) / y.std(), account.astype(np.uint64), float(y.std())


def test_it_is_scikit_learns_where_groups_are_single_posts(as_modality: Callable[..., Modality]) -> None:
    x, y, *_ = plant(50, 0.0, 1.0, 0)
    modality, rows = as_modality(x), np.arange(N)
    fitted = ridge.solve([modality], rows, y, np.arange(N, dtype=np.uint64), 0)
    standardised = (x - x.mean(axis=0)) / x.std(axis=0)
    reference = Reference(alpha=fitted.penalty * N).fit(standardised.astype(float), y)
    assert fitted.variance_ratio == 0
    np.testing.assert_allclose(fitted.coefficients[:D], reference.coef_, atol=1e-5)
    np.testing.assert_allclose(ridge.predict(fitted, [modality], rows), reference.predict(standardised), atol=1e-5)


def test_intercepts_are_generalised_least_squares(as_modality: Callable[..., Modality]) -> None:
    """Against the textbook: whiten with the inverse of the covariance that one ratio implies, then least squares."""
    x, y, account, _ = plant(25, 2.0, 0.5, 1)
    fitted = ridge.solve([as_modality(x)], np.arange(N), y, account, 0)
    assert fitted.variance_ratio > 0
    same = account[:, None] == account[None, :]
    precision = np.linalg.inv(np.eye(N) + fitted.variance_ratio * same)
    columns = np.column_stack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones(N)]).astype(float)
    penalty = fitted.penalty * N * np.diag([1.0] * D + [0.0])
    solution = np.linalg.solve(columns.T @ precision @ columns + penalty, columns.T @ precision @ y)
    np.testing.assert_allclose([*fitted.coefficients[:D], fitted.intercept], solution, atol=1e-5)


def test_intercepts_find_the_slope_that_accounts_hide(as_modality: Callable[..., Modality]) -> None:
    errors = []
    for seed in range(6):
        x, y, account, scale = plant(25, 2.0, 0.3, seed)
        ours = ridge.solve([as_modality(x)], np.arange(N), y, account, 0).coefficients * scale
        plain = ridge.solve([as_modality(x)], np.arange(N), y, np.arange(N, dtype=np.uint64), 0).coefficients * scale
        errors.append([abs(ours[0] - 1), abs(plain[0] - 1)])
        assert abs(ours[1]) < abs(plain[1])
    mean_ours, mean_plain = np.mean(errors, axis=0)
    assert mean_ours < 0.75 * mean_plain


def test_noise_gets_the_mean(as_modality: Callable[..., Modality]) -> None:
    random = np.random.default_rng(3)
    modality = as_modality(random.normal(size=(N, D)))
    fitted = ridge.solve([modality], np.arange(N), random.normal(size=N), np.arange(N, dtype=np.uint64) // 10, 0)
    assert np.abs(fitted.coefficients).max() < 0.1


def test_an_absent_post_is_predicted_by_its_absence(as_modality: Callable[..., Modality]) -> None:
    random = np.random.default_rng(4)
    present = random.random(N) < 0.6
    x = np.where(present[:, None], random.normal(50, 1, size=(N, D)), 0)
    y = np.where(present, x[:, 0] - 50, 5.0)
    modality = as_modality(x, present)
    fitted = ridge.solve([modality], np.arange(N), (y - y.mean()) / y.std(), np.arange(N, dtype=np.uint64), 0)
    predicted = ridge.predict(fitted, [modality], np.arange(N)) * y.std() + y.mean()
    assert np.abs(predicted - y).max() < 0.05


def test_one_group_and_a_constant_column_are_no_trouble(as_modality: Callable[..., Modality]) -> None:
    x = np.full((20, D), 7.0)
    fitted = ridge.solve([as_modality(x)], np.arange(20), np.linspace(-1, 1, 20), np.zeros(20, dtype=np.uint64), 0)
    assert fitted.coefficients.tolist() == [0.0] * (D + 1)
    assert np.isfinite(fitted.validation_loss)


def test_an_outlier_is_clipped(as_modality: Callable[..., Modality]) -> None:
    x, y, *_ = plant(50, 0.0, 0.1, 5)
    fitted = ridge.solve([as_modality(x)], np.arange(N), y, np.arange(N, dtype=np.uint64), 0)
    wild = as_modality(np.full((1, D), 1e9))
    assert abs(ridge.predict(fitted, [wild], np.array([0]))[0]) < D * ridge.LIMIT
