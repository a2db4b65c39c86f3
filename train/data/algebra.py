"""Products and factorisations of matrices whose last bits do not depend on the machine's number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def single_core() -> Iterator[None]:
    """Have NumPy and SciPy do their algebra in the block on one core; what they had before comes back afterwards.

    Their BLAS divides a product among the cores that the process may use, and where the cuts are shows in the last
    bits: on another node, or with OMP_NUM_THREADS set, the same posts would give other bytes. Each brings a library
    of its own, which is found if it has been loaded when the block begins. Torch has its own number of threads
    (:mod:`.models.determinism`), and so has LightGBM: what takes long is theirs.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
