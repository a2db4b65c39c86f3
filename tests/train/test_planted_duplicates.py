"""What `postmill sample` plants as near-duplicates is found through the real light encoders, and little else."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from postmill.shards.run.folder import open_run
from postmill.train.data import dataset, inputs
from postmill.train.data.dataset import Dataset
from postmill.train.data.target import Definition
from tests.commands import postmill
from tests.train.conftest import Notes

POSTS, ACCOUNTS, SEED = 600, 15, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    postmill("sample", folder / "data", "--posts", POSTS, "--influencers", ACCOUNTS, "--seed", SEED)
    postmill("plan", folder / "data", folder / "run")
    postmill("ingest", folder / "run")
    postmill("encode", folder / "run", "--encoder", "image", "--encoder", "text", "--models", "light")
    return folder


@pytest.fixture(scope="module")
def found(data: Path) -> Dataset:
    run = open_run(data / "run")
    of, notes = dataset.finished(run), Notes()
    seen = inputs.seen(run, of, None, notes)
    assert seen.keys() == {"image", "text"} and notes.lines == []
    return dataset.load(run, Definition(), seen, of)


def planted(data: Path, found: Dataset, column: str) -> npt.NDArray[np.int64]:
    truth = pq.read_table(data / "data/truth.parquet")
    rows = {post: number for number, post in enumerate(truth["post_id"].to_pylist())}
    values = truth[column].fill_null(-1).to_numpy()[[rows[key] for key in found.keys.to_pylist()]]
    alone = -1 - np.arange(len(values))
    return np.where(values < 0, alone, values)


def pairs(groups: npt.NDArray[np.int64 | np.uint64]) -> set[tuple[int, int]]:
    return {(a, b) for a, b in combinations(range(len(groups)), 2) if groups[a] == groups[b]}


def test_near_duplicates_of_an_account_are_found(data: Path, found: Dataset) -> None:
    truth, told = pairs(planted(data, found, "group")), pairs(found.near_duplicates)
    assert len(truth) >= 10
    assert len(truth & told) >= 0.9 * len(truth) and len(truth & told) >= 0.9 * len(told)


def test_campaigns_of_several_accounts_are_found(data: Path, found: Dataset) -> None:
    def across(of: set[tuple[int, int]]) -> set[tuple[int, int]]:
        return {(a, b) for a, b in of if found.accounts[a] != found.accounts[b]}

    truth, told = across(pairs(planted(data, found, "campaign"))), across(pairs(found.reposts))
    assert len(truth) >= 5
    assert len(truth & told) >= 0.9 * len(truth) and len(truth & told) >= 0.7 * len(told)
    assert 1 < found.cross_account_groups <= len(told)
