"""A dataset and a cluster for more than one test."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmill.ingest.sample.write import write_sample
from tests import datasets
from tests.commands import postmill
from tests.datasets import KnownDataset
from tests.integration.slurm import DAEMONS, Cluster, running_cluster
from tests.machine.needs import leave_out_without


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> KnownDataset:
    """A hundred invented posts, their pictures of the original size, on archives split every MiB."""
    return datasets.build(tmp_path_factory.mktemp("built") / "data")


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the 2,000 posts of `postmill sample`, `data`, and what an undisturbed run makes of them, `run`.

    One worker makes it for all.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "sampled"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            write_sample(folder / "data", part_size=4 << 20)
            assert postmill("plan", folder / "data", folder / "run", "--shard-size", "2") == 0
            assert postmill("ingest", folder / "run") == 0
            (folder / "whole").touch()
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A running cluster of two nodes with one core each."""
    if os.geteuid() != 0:
        pytest.skip("starting a Slurm needs root")
    for name in DAEMONS:
        leave_out_without(name)
    with running_cluster() as running:
        yield running
