"""Every number that is printed is the one that is stated: all of them differ here, and each cell is looked at."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from postmill.train.evaluation import card, metrics, results, table
from postmill.train.evaluation.gains import Gain
from postmill.train.evaluation.intervals import Interval
from postmill.train.evaluation.results import ModelResult
from postmill.train.evaluation.schema import ModelMetrics
from postmill.train.evaluation.schema_splits import (
    Calibration,
    Coverage,
    CoverageRow,
    FirstPost,
    MissingModality,
    PooledCounts,
    SliceErrors,
    SplitResult,
)
from postmill.train.report import section_certainty, section_gains, section_quality
from postmill.train.report.html import Table
from postmill.train.report.terminal import results_tables
from tests.runs import new_run
from tests.train.evaluation.stated import METRICS, SETTINGS, SPLIT

TABULATED = ("mse", "mae", "r2", "spearman", "within_account")
NUMBERS = count(1)


def fresh() -> float:
    """A number from 0 to 10 that no other is, not even after two digits."""
    return next(NUMBERS) * 0.0131 % 10


def stated() -> SplitResult:
    by_metric = {name: fresh() for name in metrics.METRICS}
    return replace(
        SPLIT,
        pooled=by_metric,
        interval={name: Interval(fresh(), fresh()) for name in TABULATED},
        notes={},
        shuffled={name: fresh() for name in metrics.METRICS},
        counts=PooledCounts(next(NUMBERS) * 7 + 1000, next(NUMBERS) + 500),
        mean={name: fresh() for name in metrics.METRICS},
        std={name: fresh() for name in metrics.METRICS},
        first_post=FirstPost(
            {name: fresh() for name in metrics.METRICS},
            {name: Interval(fresh(), fresh()) for name in TABULATED},
            {},
            Coverage(0.9, fresh() / 10, Interval(fresh(), fresh()), fresh()),
        ),
        coverage={
            "earlier_posts": (CoverageRow("0", 60, 59, 0.7061, Interval(0.61, 0.79)), CoverageRow("too small", 61)),
            "followers": (CoverageRow("1 million and more", 250, 30, 0.9182),),
        },
        calibration=Calibration(fresh(), fresh(), (), Coverage(0.9, 0.876, Interval(0.81, 0.93), fresh())),
        slices={"category": (SliceErrors("food", 707, 77, fresh(), {k: fresh() for k in TABULATED[:4]}),)},
        missing=(
            MissingModality("image", 0.25, {name: fresh() for name in ("mse", "r2", "spearman", "within_account")}),
        ),
    )


def model(name: str) -> ModelResult:
    settings = replace(SETTINGS, model=name, splits=("influencer", "random"))
    splits = {"influencer": stated(), "random": stated()}
    return ModelResult(name, replace(METRICS, settings=settings, splits=splits))


MODELS = [model("history"), model("fusion")]
STEP = ("fusion", "history-fusion")
GAINS = [
    Gain(*STEP, "influencer", "r2", fresh(), fresh(), Interval(fresh(), fresh()), 0.001, True, ""),
    Gain(*STEP, "random", "spearman", fresh(), None, Interval(fresh(), fresh()), 0.3, False, ""),
    Gain(
        "fusion", "history-fusion", "random", "within_account", fresh(), fresh(), None, None, None, "too few accounts"
    ),
]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def told(split: SplitResult, name: str) -> str:
    low, high = split.interval[name]  # type: ignore[misc]
    control = f" / {split.shuffled[name]:.3f}" if name == "within_account" else ""  # type: ignore[index]
    return f"{split.pooled[name]:.3f} [{low:.3f}, {high:.3f}]{control}"


def as_first(split: SplitResult, name: str) -> str:
    assert split.first_post is not None
    low, high = split.first_post.interval[name]  # type: ignore[misc]
    return f"{split.first_post.pooled[name]:.3f} [{low:.3f}, {high:.3f}]"


def test_results_md() -> None:
    lines = table.markdown(MODELS, GAINS).splitlines()
    start = lines.index("|---|---|---|")
    headlines = [of.splits["influencer"] for of in MODELS]
    assert [cells(line) for line in lines[start + 1 : start + 3]] == [
        [of.name, told(split, "r2"), as_first(split, "r2")] for of, split in zip(MODELS, headlines, strict=True)
    ]
    assert "for that, followers is the baseline" in " ".join(lines).lower()
    start = lines.index("|---|---|---|---|")
    rows = [cells(line) for line in lines[start + 1 : start + 1 + 2 * len(TABULATED)]]
    for number, (of, name) in enumerate((of, name) for of in MODELS for name in TABULATED):
        expected = [told(of.splits[split], name) for split in ("influencer", "random")]
        assert rows[number][1:] == [metrics.METRICS[name].heading, *expected]
    assert [row[0] for row in rows if row[0]] == ["history", "fusion"]
    gains = [cells(line) for line in lines if line.startswith("| fusion | history-fusion |")]
    for row, gain in zip(gains, GAINS, strict=True):
        bounds = f"{gain.interval.low:.3f} to {gain.interval.high:.3f}" if gain.interval else "too few accounts"
        shuffled = "-" if gain.shuffled is None else f"{gain.shuffled:+.3f}"
        holds = {True: "yes", False: "no", None: "-"}[gain.holds]
        heading = metrics.METRICS[gain.metric].heading
        assert row[2:] == [gain.split, heading, f"{gain.difference:+.3f}", bounds, shuffled, holds]


def test_the_card(tmp_path: Path) -> None:
    run = new_run(tmp_path / "run")
    of = MODELS[1]
    lines = card.card(run, "fusion", of.metrics).splitlines()
    for split in ("influencer", "random"):
        (line,) = [line for line in lines if line.startswith(f"| {split} |")]
        reached = of.splits[split]
        counts = [f"{reached.counts.test_posts:,}", f"{reached.counts.test_accounts:,}"]
        assert cells(line) == [split, *counts, *(told(reached, name) for name in TABULATED)]
        assert f"in the split {split} they hold 87.6%." in "\n".join(lines)
        (line,) = [line for line in lines if line.startswith(f"| {split}, as first posts |")]
        assert cells(line)[1:] == [as_first(reached, name) for name in TABULATED]
        assert reached.first_post is not None and reached.first_post.coverage is not None
        assert f"- As first posts: {reached.first_post.coverage.share:.1%} of the same posts" in "\n".join(lines)
    assert "- By earlier posts: 0: 70.6% [0.610, 0.790] of 60 posts of 59 accounts." in lines
    assert "- By followers: 1 million and more: 91.8% of 250 posts of 30 accounts." in lines
    few = replace(of.splits["influencer"], interval={}, notes=dict.fromkeys(("r2", "mse"), "too few accounts"))
    bare: ModelMetrics = replace(of.metrics, splits={"influencer": few})
    assert "No interval in the split influencer for R², MSE: too few accounts." in card.card(run, "fusion", bare)


def of_page(shown: Table) -> list[dict[str, str]]:
    """The rows by heading, as they can be downloaded."""
    return list(csv.DictReader(io.StringIO(shown.csv)))


def spanned(interval: Interval | None, digits: int = 2) -> str:
    assert interval is not None
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


@pytest.mark.parametrize("split", ["influencer", "random"])
def test_the_tables_of_results_on_the_page(split: str) -> None:
    rows = [row for of in ("influencer", "random") for row in results.rows_of(MODELS, of)]
    shown = next(table for table in section_quality.tables(rows, MODELS) if table.name == f"split-{split}")
    for row, of in zip(of_page(shown), MODELS, strict=True):
        reached = of.splits[split]
        assert f"{reached.counts.test_posts:,} test posts" in shown.caption or of is not MODELS[0]
        expected = {"Model": of.name}
        for name in TABULATED:
            metric = metrics.METRICS[name]
            expected[metric.short] = f"{reached.pooled[name]:.{metric.digits}f}"
            if not metric.lower_is_better:
                expected[f"{metric.short}, 95 % interval"] = spanned(reached.interval[name])
        shuffled = reached.shuffled["within_account"]  # type: ignore[index]
        expected["Within account, 95 % interval"] += f", shuffled {shuffled:.2f}"
        assert reached.first_post is not None
        expected["R² as a first post"] = f"{reached.first_post.pooled['r2']:.2f}"
        expected["R² as a first post, 95 % interval"] = spanned(reached.first_post.interval["r2"])
        expected["R² by division"] = f"{reached.mean['r2']:.2f}"
        expected["R² by division, ± standard deviation"] = f"± {reached.std['r2']:.2f}"
        assert row == expected


def test_the_tables_of_steps_on_the_page() -> None:
    gains, missing = map(of_page, section_gains.tables(GAINS, MODELS))
    calibration, coverage, category = map(of_page, section_certainty.tables(MODELS))
    for row, gain in zip(gains, GAINS, strict=True):
        assert row == {
            "Step": "fusion over history-fusion",
            "Split": gain.split,
            "Metric": metrics.METRICS[gain.metric].heading,
            "Gain": f"{gain.difference:.3f}",
            "Gain, 95 % interval": spanned(gain.interval, 3) if gain.interval else "too few accounts",
            "Shuffled": "–" if gain.shuffled is None else f"{gain.shuffled:.3f}",  # noqa: RUF001
            "Holds": {True: "yes", False: "no", None: "–"}[gain.holds],  # noqa: RUF001
        }
    reached = MODELS[1].splits
    for row, split in zip(calibration, ("influencer", "random"), strict=True):
        line = reached[split].calibration
        assert line.coverage is not None
        assert row == {
            **{"Split": split, "Slope": f"{line.slope:.2f}", "Intercept": f"{line.intercept:.2f}"},
            **{"In the interval": "87.6%", "In the interval, 95 % interval": "0.81 to 0.93"},
            "Mean width": f"{line.coverage.width:.2f}",
        }
    first = reached["influencer"].first_post
    assert first is not None and first.coverage is not None
    counts = reached["influencer"].counts
    assert [list(row.values()) for row in coverage] == [
        [
            *("all, each as a first post", str(counts.test_posts), str(counts.test_accounts)),
            *(f"{first.coverage.share:.1%}", spanned(first.coverage.interval)),
        ],
        ["earlier posts of the account: 0", "60", "59", "70.6%", "0.61 to 0.79"],
        ["earlier posts of the account: too small", "61", *"––", ""],  # noqa: RUF001
        ["followers: 1 million and more", "250", "30", "91.8%", "–"],  # noqa: RUF001
    ]
    (curve,) = reached["influencer"].missing or ()
    kinds = {
        metrics.METRICS[name].short: f"{value:.{metrics.METRICS[name].digits}f}"
        for name, value in curve.metrics.items()
    }
    assert missing == [{"Taken away": "image, 25% of posts", **kinds}]
    (of_slice,) = (reached["influencer"].slices or {})["category"]
    kinds = {
        metrics.METRICS[name].short: f"{value:.{metrics.METRICS[name].digits}f}"
        for name, value in of_slice.metrics.items()
    }
    assert category == [{"Category": "food", "Posts": "707", "Accounts": "77", "Bias": f"{of_slice.bias:.3f}", **kinds}]


def test_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "read_results", lambda run: MODELS)
    shown = []
    for printed in results_tables(new_run(tmp_path / "run")):
        out = StringIO()
        Console(file=out, width=80).print(printed)
        assert max(map(len, out.getvalue().splitlines())) <= 80
        shown.append(" ".join(out.getvalue().replace("│", " ").split()))
    headline, splits, others = shown
    for of in MODELS:
        r2 = [of.splits[split].pooled["r2"] for split in ("influencer", "random")]
        ends = [spanned(of.splits[split].interval["r2"]) for split in ("influencer", "random")]
        assert f"{of.name} {r2[0]:.3f} {r2[1]:.3f} {ends[0]} {ends[1]}" in splits
        one = of.splits["influencer"]
        assert one.first_post is not None
        first = f"{one.first_post.pooled['r2']:.3f} {spanned(one.first_post.interval['r2'])}"
        assert f"{of.name} {r2[0]:.3f} {ends[0]} {first}" in headline and "compare with followers" in headline
        values = [f"{one.pooled[name]:.3f}" for name in ("mse", "mae")]
        values += [f"{one.pooled[name]:.3f} {spanned(one.interval[name])}" for name in ("spearman", "within_account")]
        assert f"{of.name} {' '.join(values)} shuffled {one.shuffled['within_account']:.3f}" in others  # type: ignore[index]
