"""Post shards with numbers that ingest takes from nobody, as other programs or older releases may have written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from postmill.shards.formats import bounds
from postmill.shards.run.folder import Run
from postmill.train import predict
from postmill.train.data import target
from postmill.train.report.page import write_report
from postmill.train.stage import train_run

MakeRun = Callable[..., Run]
SECONDS = 1_500_000_000
HUGE = 2**63 - 1


def at_row(row: int, value: int, otherwise: Callable[[int], int]) -> Callable[[int], int]:
    return lambda n: value if n == row else otherwise(n)


EXTREMES: dict[str, dict[str, Any]] = {
    "likes": {"likes": at_row(7, HUGE, lambda n: 10 + n)},
    "comment_count": {"comment_count": at_row(7, HUGE, lambda n: n)},
    "followers": {"followers": at_row(7, HUGE, lambda n: 1000 * n)},
    "milliseconds": {"taken_at": at_row(7, SECONDS * 1000, lambda n: SECONDS + n)},
    "far future": {"taken_at": at_row(7, HUGE, lambda n: SECONDS + n)},
    "far past": {"taken_at": at_row(7, -(2**63), lambda n: SECONDS + n)},
}


@pytest.mark.parametrize("fields", EXTREMES.values(), ids=EXTREMES.keys())
def test_training_report_and_prediction_come_to_their_ends(planted_run: MakeRun, fields: dict[str, Any]) -> None:
    run = planted_run(posts=60, accounts=12, account=0.5, record=fields)
    train_run(run, names=["history"], seeds=1)
    write_report(run)
    table = predict.predict(run, "history", run.folder)
    assert np.isfinite(table["predicted"].to_numpy()).all()


def test_a_post_with_a_count_out_of_range_has_no_target(planted_run: MakeRun) -> None:
    run = planted_run(posts=60, accounts=12, record=EXTREMES["likes"])
    summary = train_run(run, names=["mean"], seeds=1, split_names=("influencer",))
    assert (summary.targets, summary.left_out) == (59, {"count_out_of_range": 1})


def test_a_time_out_of_range_counts_as_not_known_and_is_told(planted_run: MakeRun, notes: Any) -> None:
    run = planted_run(posts=60, accounts=12, record=EXTREMES["milliseconds"])
    train_run(run, names=["mean"], seeds=1, split_names=("time",), progress=notes)
    assert [note for note in notes.lines if "out of range" in note] == [
        "1 posts have a time of publication out of range, which counts as not known: "
        "the post shards were made before such times were faults"
    ]
    assert "out of range, taken as not known" in write_report(run).path.read_text()


def test_the_range_of_times_holds_its_ends() -> None:
    column = pa.chunked_array(
        [[bounds.FIRST_TIME - 1, bounds.FIRST_TIME, None, bounds.LAST_TIME, bounds.LAST_TIME + 1]]
    )
    assert np.isnan(target.times(column)).tolist() == [True, False, True, False, True]
    assert target.times_out_of_range(column) == 2
