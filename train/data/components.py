"""Principal components of embeddings, and the table of numbers that trees are shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from postmill.train.data.arrays import Arrays, Matrix, Rows
from postmill.train.data.modality import Modality

COMPONENTS = 32
"""Principal components of each embedding."""

CHUNK = 8_192
"""Rows that are read at a time."""

_SAMPLE = 50_000  # posts that principal components are computed from


def fitted(modalities: Mapping[str, Modality], rows: Rows) -> dict[str, Matrix]:
    """Return the components of the embeddings among ``modalities``, by the names of weights."""
    weights: dict[str, Matrix] = {}
    for modality in modalities.values():
        if modality.is_embedding:
            mean, axes = principal_components(modality, rows)
            weights |= {f"{modality.name}.mean": mean, f"{modality.name}.axes": axes}
    return weights


def widths(weights: Arrays, modalities: Mapping[str, Modality]) -> dict[str, int]:
    """Return how many columns of :func:`table` each modality has, in their order."""
    return {
        name: weights[f"{name}.axes"].shape[1] if modality.is_embedding else modality.width
        for name, modality in modalities.items()
    }


def table(weights: Arrays, modalities: Mapping[str, Modality], rows: Rows) -> Matrix:
    """Return what the trees see of ``rows``: shape (M, columns), NaN where a post lacks the modality."""
    parts = []
    for name, width in widths(weights, modalities).items():
        modality = modalities[name]
        part = np.empty((len(rows), width), dtype=np.float32)
        for start in range(0, len(rows), CHUNK):
            chunk = slice(start, start + CHUNK)
            values = modality.take(rows[chunk])
            if modality.is_embedding:
                values = (values - weights[f"{name}.mean"]) @ weights[f"{name}.axes"]
            part[chunk] = values
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
    for start in range(0, len(sample), CHUNK):
        values = modality.take(sample[start : start + CHUNK]).astype(np.float64)
        total += values.sum(axis=0)
        products += values.T @ values
    mean = total / len(sample)
    _, vectors = np.linalg.eigh(products / len(sample) - np.outer(mean, mean))
    axes = vectors[:, ::-1][:, :COMPONENTS]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return mean.astype(np.float32), axes.astype(np.float32)
