"""A dataset and a cluster for more than one test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests import datasets
from tests.datasets import KnownDataset
from tests.integration.slurm import DAEMONS, Cluster, running_cluster


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> KnownDataset:
    """A hundred invented posts, their pictures of the original size, on archives split every MiB."""
    return datasets.build(tmp_path_factory.mktemp("built") / "data")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A running cluster of two nodes with one core each."""
    absent = [name for name in DAEMONS if shutil.which(name) is None]
    if os.geteuid() != 0 or absent:
        pytest.skip(f"needs root, and slurm-wlm and munge of Debian (absent: {', '.join(absent) or 'none'})")
    with running_cluster() as running:
        yield running
