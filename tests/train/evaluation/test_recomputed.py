"""What is stated with its interval can be computed again from predictions.parquet, and gains from two of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from postmill.shards.run.folder import Run
from postmill.train.evaluation import comparing, coverage, gains, intervals, metrics, optimism, results
from postmill.train.evaluation.measures import Predicted
from postmill.train.stage import train_run
from tests.train.evaluation.drawn import without
from tests.train.evaluation.oracles import ORACLES

MODELS = ("followers", "history", "history-boosting", "metadata", "leak", "boosting")
SPLITS = ("influencer", "random")
GROUPS = 31  # fewer than accounts, so that who is left out with whom has to be told by what is published


@pytest.fixture(scope="module")
def run(plant_once: Callable[..., Run]) -> Run:
    pytest.importorskip("lightgbm")
    run = plant_once(posts=420, accounts=60, account=0.7, text=0.6, metadata=0.4, noise=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "MAX_GROUPS", GROUPS)
        train_run(run, names=list(MODELS), seeds=5, split_names=SPLITS)
    return run


@pytest.fixture(autouse=True)
def as_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MAX_GROUPS", GROUPS)


def published(run: Run, model: str, split: str) -> Predicted:
    return results.of_predictions(pq.read_table(run.models / model / "predictions.parquet"), split)


def close(value: float | None) -> object:
    return value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("model", MODELS)
def test_metrics_and_their_intervals(run: Run, model: str, split: str) -> None:
    stated = json.loads((run.models / model / "metrics.json").read_bytes())["splits"][split]
    part = published(run, model, split)
    for name in metrics.METRICS:
        inference = intervals.of_metric(part, name)
        assert stated["pooled"][name] == close(inference.value)
        if name in stated["interval"]:
            assert inference.interval is not None
            assert stated["interval"][name] == pytest.approx(list(inference.interval), rel=1e-9)
    first = metrics.as_first_posts(part)
    assert first is not None
    for name in metrics.METRICS:
        inference = intervals.of_metric(first, name)
        assert stated["first_post"]["pooled"][name] == close(inference.value)
        if name in stated["first_post"]["interval"]:
            assert inference.interval is not None
            assert stated["first_post"]["interval"][name] == pytest.approx(list(inference.interval), rel=1e-9)
    for judged, found in ((part, stated["calibration"]["coverage"]), (first, stated["first_post"]["coverage"])):
        again = coverage.of(judged)
        assert (again is None) == (found is None) == ("boosting" not in model)
        if again is not None:
            assert found == {
                **{"wanted": again.nominal, "found": close(again.share), "width": close(again.width)},
                "interval": pytest.approx(list(again.interval or ())),
            }
    summary = json.loads((run.report / "metrics.json").read_bytes())["models"][model][split]
    assert summary == {key: stated[key] for key in summary} and {"shuffled", "interval_note", "first_post"} <= set(
        summary
    )


def test_posts_of_two_models_pair_whatever_the_order_of_the_file(run: Run) -> None:
    table = pq.read_table(run.models / "history" / "predictions.parquet")
    mixed = table.take(np.random.default_rng(0).permutation(table.num_rows))
    again, part = results.of_predictions(mixed, "random"), results.of_predictions(table, "random")
    for field in fields(part):
        one, other = getattr(again, field.name), getattr(part, field.name)
        assert (one is None) == (other is None) and (one is None or one.tolist() == other.tolist())


def by_hand(ours: Predicted, theirs: Predicted, past: Predicted | None, name: str) -> tuple[float, float]:
    """A gain and its control, of the numbers of scikit-learn and scipy."""

    def value(part: Predicted, predicted: Any) -> float:
        number = ORACLES[name](replace(part, predicted=predicted))
        assert number is not None
        return number

    if name != metrics.WITHIN:
        shown, shuffled = (
            (value(ours, getattr(ours, k)), value(theirs, getattr(theirs, k))) for k in ("predicted", "shuffled")
        )
        return shown[0] - shown[1], shuffled[0] - shuffled[1]
    base = 0.0 if past is None else past.predicted
    sides = [part for part in (ours, theirs) if part is not past]
    bare = [replace(part, training_mean=None if past is not None else part.training_mean) for part in sides]
    shown = [value(part, part.predicted - base) for part in bare]
    shuffled = [value(part, part.shuffled - base) for part in bare]
    added = [a - b for a, b in zip(shown, shuffled, strict=True)]
    return added[0] - sum(added[1:]), shuffled[0] - sum(shuffled[1:])


def test_gains_their_controls_and_what_holds(run: Run) -> None:
    stated = json.loads((run.report / "metrics.json").read_bytes())["gains"]
    kinds = [(gain["model"], gain["base"], gain["split"], gain["statistic"]) for gain in stated]
    steps = (("boosting", "history-boosting"), ("leak", "metadata"))
    assert kinds == [(*step, split, name) for step in steps for split in SPLITS for name in gains.measured()]
    for gain in stated:
        ours, theirs = (published(run, gain[side], gain["split"]) for side in ("model", "base"))
        past = published(run, "history", gain["split"]) if gain["model"] == "boosting" else None
        inference, shuffled = comparing.infer(ours, theirs, past, gain["statistic"])
        difference, control = by_hand(ours, theirs, past, gain["statistic"])
        assert gain["difference"] == close(difference) == close(inference.value)
        assert gain["shuffled"] == close(control) == close(shuffled)
        assert inference.interval is not None and gain["p"] == close(inference.p)
        assert gain["interval"] == pytest.approx(list(inference.interval), rel=1e-9, abs=1e-9)
    ps = sorted((gain["p"], gain["holds"]) for gain in stated)
    first = next((n for n, (p, _) in enumerate(ps) if p > 0.05 / (len(ps) - n)), len(ps))
    assert [holds for _, holds in ps] == [True] * first + [False] * (len(ps) - first)
    assert 0 < first < len(ps)


def test_first_posts_over_the_baseline(run: Run) -> None:
    models = results.read_results(run)
    found = gains.first_posts_over_baseline(run, models, "boosting", "influencer")
    ours, theirs = (published(run, name, "influencer") for name in ("boosting", "followers"))
    first = [replace(part, predicted=part.first) for part in (ours, theirs)]
    values = [ORACLES["r2"](part) for part in first]
    assert found is not None and found.difference == close(values[0] - values[1])  # type: ignore[operator]
    assert found.interval == pytest.approx(intervals.of_difference(*first, "r2").interval)
    assert (theirs.first == theirs.predicted).all() and (ours.first != ours.predicted).any()
    assert gains.first_posts_over_baseline(run, models, "followers", "influencer") is None
    without = [result for result in models if result.name != "followers"]
    assert gains.first_posts_over_baseline(run, without, "boosting", "influencer") is None


def test_what_a_random_split_seems_to_add(run: Run) -> None:
    result = next(result for result in results.read_results(run) if result.name == "boosting")
    found = optimism.measured(run, result)
    random, disjoint = (published(run, "boosting", split) for split in ("random", "influencer"))
    assert found is not None and set(random.accounts.tolist()) == set(disjoint.accounts.tolist())
    assert (found.flattered, found.value) == (close(ORACLES["r2"](random)), close(ORACLES["r2"](disjoint)))
    accounts = np.unique(random.accounts).tolist()
    groups = [accounts[first::GROUPS] for first in range(GROUPS)]
    gap = found.flattered - found.value
    left = [ORACLES["r2"](without(random, g)) - ORACLES["r2"](without(disjoint, g)) for g in groups]  # type: ignore[operator]
    pseudo = GROUPS * gap - (GROUPS - 1) * np.array(left)
    assert found.inference.interval is not None
    middle = sum(found.inference.interval) / 2
    assert (found.inference.value, middle) == (close(gap), pytest.approx(pseudo.mean()))
