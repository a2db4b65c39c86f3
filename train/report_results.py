"""The report's tables and figures of what the models reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from shards.run import Run
from train import page, plots, results
from train.findings import number, span
from train.intervals import Interval
from train.page import Cell, Column, Markup
from train.plots import Mark
from train.results import ModelResult, ResultRow

TITLES = {
    "influencer": "New accounts: none of the test posts' accounts was trained on",
    "random": "Random split: optimistic",
    "time": "Later posts: all that was trained on was published before",
    "time-influencer": "Later posts of new accounts: the hardest",
}
_TIMES = (
    " The cut lies after four fifths of the posts in time; both splits by time test on the posts after it, so their"
    " rows can be compared post by post."
)
_NOTES = {
    "influencer": "The headline. Accounts are kept apart, so a model must do without having met the author.",
    "random": "The paper's split. The author of almost every test post is in the training part too, so a model can"
    " recognise accounts and repeat what they usually get: read it as an upper bound.",
    "time": "How a model does that was trained once and then used: the world and the accounts move on." + _TIMES,
    "time-influencer": "Neither the account nor the time was trained on." + _TIMES,
}
_CSS = {"influencer": "disjoint", "random": "mixed"}
_COLUMNS = (
    Column("Model", numeric=False),
    Column("MSE"),
    Column("MAE"),
    Column("R²"),
    Column("95 % interval", soft=True),
    Column("Spearman"),
    Column("95 % interval", soft=True),
    Column("Within account"),
    Column("95 % interval", soft=True),
    Column("R² by split, mean ± sd"),
)


def section(rows: Sequence[ResultRow], found: Sequence[ModelResult]) -> str:
    """Return the chart of both splits and a table of each, or why there is none."""
    parts = [_chart(rows)]
    for split, title in TITLES.items():
        own = [row for row in rows if row.split == split]
        if own:
            parts.append(_table(title, _NOTES[split], own))
        else:
            reasons = sorted(
                {result.metrics["settings"]["splits_left_out"].get(split, "not asked for") for result in found}
            )
            parts.append(page.paragraph(f"{title}: not evaluated ({'; '.join(reasons)}).", "soft"))
    return page.section("results", "Results", *parts)


def figures(run: Run, found: Sequence[ModelResult]) -> str:
    """Return predicted against true for every model but the mean; the random split is folded away."""
    parts = []
    for split in _CSS:
        title = TITLES[split]
        plots_of = list(_scatters(run, [r for r in found if split in r.splits and r.model != "mean"], split))
        if plots_of:
            grid = f'<div class="plots">{"".join(plots_of)}</div>'
            parts.append(grid if split == "influencer" else page.details(f"{title}: the same figures", grid))
    intro = page.paragraph(
        "Each test post, in log(1 + likes + comments). On the dashed line a prediction is right; a flat cloud is a"
        " model that has fallen back on the mean.",
        "soft",
    )
    return page.section("figures", "Predicted against true", intro, *parts) if parts else ""


def _table(title: str, note: str, rows: Sequence[ResultRow]) -> str:
    missing = "; ".join(sorted({row.note for row in rows if row.note}))
    seeds = max(row.seeds for row in rows)
    over = f"{seeds} splits" if seeds > 1 else "one split"
    tested = f"{rows[0].test_posts:,} test posts of {rows[0].test_accounts:,} accounts over {over}."
    tested += f" No interval: {missing}." if missing else ""
    caption = Markup(f"<b>{escape(title)}.</b> {escape(f'{note} {tested}')}")
    return page.table(caption, _COLUMNS, [_cells(row) for row in rows], "wide")


def _cells(row: ResultRow) -> list[Cell]:
    by_split = number(row.r2_mean) + (f" ± {number(row.r2_spread)}" if row.r2_spread is not None else "")
    return [
        row.model,
        number(row.mse, 3),
        number(row.mae, 3),
        number(row.r2),
        _interval(row.r2_interval),
        number(row.spearman),
        _interval(row.spearman_interval),
        number(row.within),
        _interval(row.within_interval),
        by_split,
    ]


def _interval(interval: Interval | None) -> str:
    return number(None) if interval is None else span(interval)


def _chart(rows: Sequence[ResultRow]) -> str:
    names = list(dict.fromkeys(row.model for row in rows))
    by_key = {(row.model, row.split): row for row in rows}
    marks = [[_mark(by_key.get((name, split)), css) for split, css in _CSS.items()] for name in names]
    shown = [value for own in marks for mark in own for value in (mark.value, mark.low) if value is not None]
    low = max(-1.0, min([-0.1, *shown]) - 0.03)
    caption = Markup(
        'R² of each model <span class="key"></span>on new accounts and <span class="key hollow"></span>on a random'
        " split, with 95 % intervals over accounts where there are enough of them. 0 is what the mean of the test posts"
        " would reach, 1 is perfect; an arrow head is a value off the scale."
    )
    return page.figure(plots.forest(names, marks, low, 1.0, "R² of each model on both splits"), caption, "chart")


def _mark(row: ResultRow | None, css: str) -> Mark:
    if row is None:
        return Mark(None, None, None, css)
    low, high = (None, None) if row.r2_interval is None else (row.r2_interval.low, row.r2_interval.high)
    return Mark(row.r2, low, high, css)


def _scatters(run: Run, found: Sequence[ModelResult], split: str) -> Iterator[str]:
    shown = [(result, results.predictions(run, result, split)) for result in found]
    if not shown:
        return
    low = float(np.floor(min(part.true.min() for _, part in shown)))
    high = float(np.ceil(max(part.true.max() for _, part in shown)))
    for result, part in shown:
        label = f"Predicted against true engagement, {result.name}, {split} split, {len(part.true):,} posts"
        svg = plots.scatter(part.true, part.predicted, low, high, label)
        r2 = number(result.splits[split]["pooled"]["r2"])
        yield page.figure(svg, Markup(f"<b>{escape(result.name)}</b> R² {r2}"))
