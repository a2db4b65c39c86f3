"""The report's section on what a model's step above another is worth, and where and how far it may be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from train import metrics, page, results, splits
from train.findings import number, span
from train.intervals import Interval
from train.page import Cell, Column
from train.results import Gain, ModelResult

_METRICS = {"r2": "R²", "spearman": "Spearman", metrics.WITHIN: "Spearman within account"}


def section(gained: Sequence[Gain], found: Sequence[ModelResult]) -> str:
    """Return the paired gains, and of the highest model that has them: calibration, missing parts, kinds of posts."""
    parts = [_gains(gained)] if gained else []
    best = max(
        (result for result in found if "missing" in result.splits.get(splits.INFLUENCER, {}) and not _leaks(result)),
        key=lambda result: (result.model == results.FUSION, result.splits[splits.INFLUENCER]["pooled"]["r2"] or -1e9),
        default=None,
    )
    if best is not None:
        parts += [_calibration(best), _missing(best), *_kinds(best)]
    return page.section("steps", "What each step is worth", *parts) if parts else ""


def _leaks(result: ModelResult) -> bool:
    return bool(result.metrics["leak"])


def _gains(gained: Sequence[Gain]) -> str:
    rows: list[list[Cell]] = [
        [
            f"{gain.model} over {gain.base}",
            gain.split,
            _METRICS[gain.statistic],
            number(gain.difference, 3),
            span(gain.interval, 3) if isinstance(gain.interval, Interval) else gain.interval,
        ]
        for gain in gained
    ]
    columns = [Column("Step", False), Column("Split", False), Column("Metric", False), Column("Gain")]
    caption = (
        "Gains on the same test posts, with paired 95 % intervals over accounts. The step of leak over metadata is no"
        " skill: it is what comments, which come after publication, would seem to add."
    )
    return page.table(caption, [*columns, Column("95 % interval", soft=True)], rows)


def _calibration(result: ModelResult) -> str:
    rows: list[list[Cell]] = []
    for split, held in result.splits.items():
        found: Mapping[str, Any] = held["calibration"]
        cover = found["coverage"]
        rows.append(
            [
                split,
                number(found["slope"]),
                number(found["intercept"]),
                "–" if cover is None else f"{cover['found']:.1%}",  # noqa: RUF001
                "–" if cover is None or cover["interval"] is None else span(Interval(*cover["interval"])),  # noqa: RUF001
                "–" if cover is None else number(cover["width"]),  # noqa: RUF001
            ]
        )
    caption = (
        f"Calibration of {result.name}: the straight line from predicted to true (slope 1 and intercept 0 are right),"
        " and how many test posts lie in the 90 % interval that was calibrated on accounts or groups set aside."
    )
    headings = ("Slope", "Intercept", "In the interval", "95 %", "Mean width")
    return page.table(caption, [Column("Split", False), *map(Column, headings)], rows)


def _missing(result: ModelResult) -> str:
    rows: list[list[Cell]] = [
        [
            f"{at['modality']}, {at['missing']:.0%} of posts" if at["missing"] else "nothing taken away",
            number(at["mse"], 3),
            number(at["r2"]),
            number(at["spearman"]),
            number(at[metrics.WITHIN]),
        ]
        for at in result.splits[splits.INFLUENCER]["missing"]
    ]
    caption = (
        f"What {result.name} loses on new accounts when test posts are not shown a part. Without history it is a"
        " forecast for an account's first post."
    )
    headings = ("MSE", "R²", "Spearman", "Within account")
    return page.table(caption, [Column("Taken away", False), *map(Column, headings)], rows)


def _kinds(result: ModelResult) -> list[str]:
    shown = []
    for division, cells in result.splits[splits.INFLUENCER]["errors_by_kind"].items():
        rows: list[list[Cell]] = [
            [
                cell["name"],
                cell["posts"],
                cell.get("accounts", "–"),  # noqa: RUF001
                number(cell.get("mse"), 3),
                number(cell.get("mae"), 3),
                number(cell.get("bias"), 3),
                number(cell.get("r2")),
            ]
            for cell in cells
        ]
        caption = f"Errors of {result.name} on new accounts by {division}. Bias is predicted less true."
        headings = ("Posts", "Accounts", "MSE", "MAE", "Bias", "R²")
        if rows:
            shown.append(page.table(caption, [Column(division.capitalize(), False), *map(Column, headings)], rows))
    return shown
