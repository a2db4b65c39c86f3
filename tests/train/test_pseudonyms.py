"""What stands for accounts and posts in the predictions: no name, another with each secret, one for all models."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq

from postmill.shards.formats import models
from postmill.shards.run import secret
from postmill.shards.run.folder import Run
from postmill.train.evaluation import gains, results
from postmill.train.report.page import write_report
from postmill.train.stage import train_run
from tests.runs import plant_secret

MakeRun = Callable[..., Run]
QUICK: dict[str, Any] = dict(seeds=1, split_names=("influencer",))


def test_predictions_name_no_account(planted_run: MakeRun) -> None:
    run = planted_run(posts=120, accounts=30)
    train_run(run, names=["mean"], **QUICK)
    table = pq.read_table(run.models / "mean" / models.PREDICTIONS_FILE)
    assert table.schema.names == models.PREDICTIONS.names
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in table["account"].to_pylist())
    for path in (run.models / "mean").iterdir():
        assert b"account0" not in path.read_bytes()


def test_runs_of_two_secrets_differ_in_names_alone(planted_run: MakeRun) -> None:
    runs = [planted_run(name, posts=120, accounts=30, text=0.5) for name in ("one", "two")]
    plant_secret(runs[1].folder, b"x" * 32)
    for run in runs:
        train_run(run, names=["history", "metadata"], **QUICK)
    for model in ("history", "metadata"):
        tables = [pq.read_table(run.models / model / models.PREDICTIONS_FILE) for run in runs]
        for name in ("key", "account"):
            assert not set(tables[0][name].to_pylist()) & set(tables[1][name].to_pylist())
        rows = [sorted(table.drop_columns(["key", "account"]).to_pylist(), key=str) for table in tables]
        assert rows[0] == rows[1]


def test_models_of_one_secret_pair_and_of_another_are_trained_anew(planted_run: MakeRun) -> None:
    run = planted_run(posts=150, accounts=40, text=0.5)
    shutil.rmtree(run.secret)
    assert not secret.path_of(run).exists()
    for name in ("metadata", "history", "leak"):
        train_run(run, names=[name], **QUICK)
    key = secret.path_of(run).read_bytes()
    assert len(gains.gains(run, results.read_results(run))) == len(gains.measured())  # leak over metadata
    shutil.rmtree(run.secret)
    assert train_run(run, names=["metadata", "history"], **QUICK).trained == ("history", "metadata")
    assert secret.path_of(run).read_bytes() != key
    # The one that is left has names of the first secret: it is paired with none.
    assert gains.gains(run, results.read_results(run)) == []
    write_report(run)
    assert "name accounts and posts by another secret" in (run.report / "index.html").read_text()
    assert train_run(run, names=["leak"], **QUICK).trained == ("leak",)
    assert len(gains.gains(run, results.read_results(run))) == len(gains.measured())
    write_report(run)
    assert "by another secret" not in (run.report / "index.html").read_text()
