"""From predictions in log space back to likes and comments.

What is predicted of ``y = log(1 + engagement)`` is its mean, and the exponential of a mean of logarithms is no mean: it
lies about the median, and sums of it fall short of what comes. Duan's smearing factor, the mean of the exponentials of
the errors, makes it one without a guess of how they are spread (Duan, *Smearing estimate: a nonparametric
retransformation method*, Journal of the American Statistical Association 78, 1983).
"""

from __future__ import annotations

import numpy as np

from postmill.train.data.arrays import Floats
from postmill.train.data.target import Definition


def factor(true: Floats, predicted: Floats) -> float:
    """Return the smearing factor of a model: the mean of exp(true - predicted) over N posts it was not trained on.

    Args:
        true: Shape (N,), in log space.
        predicted: Shape (N,), likewise.

    Raises:
        ValueError: N is 0.
    """
    if not len(true):
        raise ValueError("no posts to tell the smearing factor from")
    return float(np.mean(np.exp(true - predicted)))


def expected(predicted: Floats, smearing: float, definition: Definition) -> Floats:
    """Return the engagement to be expected, which may be summed over posts, shape as ``predicted``; at least 0.

    Args:
        predicted: In log space.
        smearing: The model's :func:`factor`.
        definition: What is predicted.
    """
    return np.maximum(definition.counts(predicted + np.log(smearing)), 0.0)
