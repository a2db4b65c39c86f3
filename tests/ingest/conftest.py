"""A small dataset in the real layout, made by the real zip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests import datasets
from tests.datasets import Rows
from tests.ingest.chosen import Known, build


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset: `infos` and `pictures` by file name, `rows` of the mapping, and options for zip."""

    def make(
        infos: Mapping[str, bytes],
        pictures: Mapping[str, bytes],
        rows: Rows,
        influencers: Sequence[str] = ("ann\tfood\t1000\t10\t5",),
        options: Sequence[str] = (),
    ) -> Path:
        datasets.write_dataset(tmp_path / "data", infos, pictures, rows, influencers, options)
        return tmp_path / "data"

    return make


@pytest.fixture
def make_info() -> Callable[..., bytes]:
    return datasets.info


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """A dataset to choose of, and the run of everything, which tests leave as they are."""
    return build(tmp_path_factory.mktemp("chosen"))
