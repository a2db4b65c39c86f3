"""Every number of a trained model's metrics.json, computed once more from its predictions alone."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from postmill.shards.formats import posts
from postmill.shards.run.folder import Run
from postmill.train.data import dataset
from postmill.train.evaluation import intervals
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.slices import TOO_SMALL
from postmill.train.stage import train_run
from tests.train.evaluation.drawn import judged
from tests.train.evaluation.oracles import ORACLES

CATEGORIES = ("food", "art", "travel")
INTERVALS = ("mse", "mae", "r2", "spearman", "within_account")
SPLITS = ("influencer", "random")
POSTS = 420


@dataclass(frozen=True)
class Trained:
    """What a model wrote, as it lies there."""

    metrics: dict[str, Any]
    predictions: pa.Table
    category: dict[str, str]
    accounts: dict[str, int]
    target: dict[str, float]

    def part(self, split: str, seed: int | None = None) -> tuple[Predicted, pa.Table]:
        """The predictions of a split, of all seeds or of one."""
        mask = np.array(self.predictions["split"].to_pylist()) == split
        if seed is not None:
            mask &= self.predictions["seed"].to_numpy() == seed
        table = self.predictions.filter(mask)
        ids = [self.accounts[key] for key in table["key"].to_pylist()]
        true, predicted, mean, shuffled = (
            table[name].to_numpy() for name in ("true", "predicted", "training_mean", "shuffled")
        )
        return judged(true, predicted, np.array(ids, np.uint64), table["seed"].to_numpy(), mean, shuffled), table


@pytest.fixture(scope="module", params=["boosting", "metadata"])
def trained(plant_once: Callable[..., Run], request: pytest.FixtureRequest) -> Trained:
    pytest.importorskip("lightgbm")
    run = plant_once(
        posts=POSTS,
        accounts=60,
        account=0.7,
        text=0.6,
        metadata=0.4,
        image=0.3,
        record={"category": lambda row: CATEGORIES[row % 7 // 3]},
    )
    train_run(run, names=[request.param], seeds=3, split_names=SPLITS)
    folder = run.models / request.param
    records = pa.concat_tables([posts.read_records(run, shard, ["key", "category"]) for shard in (0, 1)])
    data = dataset.load(run, 1.0)
    return Trained(
        json.loads((folder / "metrics.json").read_bytes()),
        pq.read_table(folder / "predictions.parquet"),
        dict(zip(records["key"].to_pylist(), records["category"].to_pylist(), strict=True)),
        dict(zip(data.keys.to_pylist(), data.accounts.tolist(), strict=True)),
        dict(zip(data.keys.to_pylist(), data.target.tolist(), strict=True)),
    )


def close(value: float | None) -> object:
    return value if value is None else pytest.approx(value, rel=1e-7, abs=1e-9)


def test_the_metrics_of_all_seeds_of_each_and_over_them(trained: Trained) -> None:
    assert list(trained.metrics["splits"]) == list(SPLITS)
    for split, result in trained.metrics["splits"].items():
        pooled, _ = trained.part(split)
        assert result["pooled"] == {name: close(oracle(pooled)) for name, oracle in ORACLES.items()}
        assert [seed["seed"] for seed in result["seeds"]] == [0, 1, 2]
        for seed in result["seeds"]:
            part, _ = trained.part(split, seed["seed"])
            assert seed["metrics"] == {name: close(oracle(part)) for name, oracle in ORACLES.items()}
        shuffled = replace(pooled, predicted=pooled.shuffled)
        assert result["shuffled"] == {name: close(oracle(shuffled)) for name, oracle in ORACLES.items()}
        for name in ORACLES:
            values = [seed["metrics"][name] for seed in result["seeds"]]
            assert result["mean"][name] == close(None if None in values else statistics.mean(values))
            assert result["spread"][name] == close(None if None in values else statistics.stdev(values))


def test_the_counts(trained: Trained) -> None:
    names = set(trained.accounts.values())
    counts = dict(trained.metrics["counts"])
    # Each post has a picture and a caption of its own; vectors so narrow may be alike by chance.
    assert POSTS - 2 <= counts.pop("near_duplicate_groups") <= POSTS
    assert counts == {
        **{"posts": POSTS, "with_target": POSTS, "left_out": {}, "accounts": len(names), "shards": 2},
        **{"planned_shards": 2, "cross_account_groups": 0},
    }
    assert trained.metrics["headline"] == "influencer" and trained.metrics["leak"] is None
    for split, result in trained.metrics["splits"].items():
        pooled, table = trained.part(split)
        assert result["counts"] == {"test_posts": len(pooled.true), "test_accounts": len(set(pooled.accounts.tolist()))}
        for seed in result["seeds"]:
            _, table = trained.part(split, seed["seed"])
            keys, counts = table["key"].to_pylist(), seed["counts"]
            assert counts["test_posts"] == len(keys)
            assert counts["test_accounts"] == len({trained.accounts[key] for key in keys})
            assert counts["train_posts"] + counts["test_posts"] + counts["neither"] == POSTS
            if split == "influencer":
                names = set(trained.accounts.values())
                assert counts["train_accounts"] == len(names) - counts["test_accounts"] and counts["neither"] == 0


def test_the_predictions_state_the_targets_and_the_mean_of_what_was_trained_on(trained: Trained) -> None:
    for split in SPLITS:
        for seed in range(3):
            part, table = trained.part(split, seed)
            tested = table["key"].to_pylist()
            assert part.true.tolist() == [trained.target[key] for key in tested]
            others = [value for key, value in trained.target.items() if key not in set(tested)]
            assert part.training_mean == pytest.approx(np.full(len(tested), statistics.mean(others)))


def test_the_intervals(trained: Trained) -> None:
    """Against the same jackknife; that it is right stands in test_intervals.py."""
    for split, result in trained.metrics["splits"].items():
        pooled, _ = trained.part(split)
        assert sorted(result["interval"]) == sorted(INTERVALS)
        for name in INTERVALS:
            expected = intervals.of_metric(pooled, name).interval
            assert expected is not None
            assert expected.low <= result["pooled"][name] <= expected.high
            assert result["interval"][name] == pytest.approx(list(expected), rel=1e-7, abs=1e-9)
        assert result["interval_note"] == {}


def test_calibration_and_coverage(trained: Trained) -> None:
    for split, result in trained.metrics["splits"].items():
        part, table = trained.part(split)
        stated = result["calibration"]
        line = stats.linregress(part.predicted, part.true)
        assert (stated["slope"], stated["intercept"]) == pytest.approx((line.slope, line.intercept), rel=1e-6)
        order = np.argsort(part.predicted, kind="stable")
        tenths = [order[n * len(order) // 10 : (n + 1) * len(order) // 10] for n in range(10)]
        if len(order) % 10 == 0:
            for one, rows in zip(stated["bins"], tenths, strict=True):
                assert one["posts"] == len(rows)
                assert one["predicted"] == pytest.approx(sum(part.predicted[rows]) / len(rows))
                assert one["true"] == pytest.approx(sum(part.true[rows]) / len(rows))
        assert sum(one["posts"] for one in stated["bins"]) == len(order) and len(stated["bins"]) == 10
        if trained.metrics["settings"]["model"] == "metadata":
            assert stated["coverage"] is None and table["low"].null_count == table.num_rows
            continue
        low, high = table["low"].to_numpy(), table["high"].to_numpy()
        coverage = stated["coverage"]
        inside = sum(a <= y <= b for a, y, b in zip(low, part.true, high, strict=True)) / len(low)
        assert (coverage["found"], coverage["wanted"]) == (pytest.approx(inside), 0.9)
        assert 0.75 < inside < 0.99 and coverage["width"] == pytest.approx(sum(high - low) / len(low))
        assert coverage["interval"][0] < inside < coverage["interval"][1]


def test_errors_by_category(trained: Trained) -> None:
    part, table = trained.part("influencer")
    category = np.array([trained.category[key] for key in table["key"].to_pylist()])
    rows = trained.metrics["splits"]["influencer"]["errors_by_kind"]["category"]
    assert [row["name"] for row in rows] == ["food", "art", TOO_SMALL]
    for row in rows[:-1]:
        alone = category == row["name"]
        of_category = part.of(np.flatnonzero(alone))
        expected = {name: close(ORACLES[name](of_category)) for name in ("mse", "mae", "r2", "spearman")}
        expected["bias"] = close(float(sum(of_category.predicted) - sum(of_category.true)) / row["posts"])
        counts = {"posts": int(alone.sum()), "accounts": len(set(of_category.accounts.tolist()))}
        assert row == {"name": row["name"], **counts, **expected}
    assert rows[-1] == {"name": TOO_SMALL, "posts": int((category == "travel").sum())}


def test_the_curve_starts_where_nothing_is_missing(trained: Trained) -> None:
    result = trained.metrics["splits"]["influencer"]
    curve = result["missing"]
    if trained.metrics["settings"]["model"] == "metadata":
        assert curve == []
        return
    complete = next(row for row in curve if row["missing"] == 0)
    assert complete == {
        **{name: close(result["pooled"][name]) for name in ("mse", "r2", "spearman", "within_account")},
        **{"modality": "image", "missing": 0.0},
    }
    lost = {row["modality"]: row["mse"] for row in curve if row["missing"] == 1}
    assert set(lost) == {"text", "image", "sentiment", "metadata", "history"}
    assert lost["text"] > complete["mse"] and lost["history"] > complete["mse"]
