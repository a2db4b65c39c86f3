"""The report's section on the data: what is there, what was lost, how the target is spread."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from postmill.shards.formats import faults
from postmill.train.evaluation import cells
from postmill.train.report import plots
from postmill.train.report.describe import DataSummary
from postmill.train.report.html import Cell, Table, number_columns, text_columns

MANY_CATEGORIES = 15
_NOT_SEEN = "not looked at"
_RULE = (
    f"Those with fewer than {cells.MIN_ACCOUNTS} accounts or {cells.MIN_POSTS} posts stand together, with the next"
    " larger ones where one of them could else be told from the total."
)


@dataclass(frozen=True)
class TargetFigure:
    """The histogram of the target, and what its ends are in its unit, such as likes and comments."""

    svg: str
    unit: str
    examples: str


def target_figure(data: DataSummary) -> TargetFigure | None:
    """Return the histogram of the target; None where too few posts or accounts have one."""
    shown = data.histogram
    if not shown.counts:
        return None
    low, high = shown.edges[0], shown.edges[-1]
    label = f"Histogram of the target of {sum(shown.counts):,} posts, from {low:g} to {high:g}"
    of = data.definition
    ends = np.array([math.ceil(low), math.floor(high)], dtype=float)
    digits = ",.2g" if of.is_rate else ",.0f"
    examples = " and ".join(f"{end:g} is {count:{digits}}" for end, count in zip(ends, of.counts(ends), strict=True))
    return TargetFigure(plots.histogram(shown.edges, shown.counts, of.formula, label), of.unit, examples)


def tables(data: DataSummary) -> Iterator[Table]:
    """Yield the tables, with counts alone: no account, caption or user is named."""
    yield _categories(data)
    yield _lacks(data)
    if data.faults:
        yield _faults(data)


def _categories(data: DataSummary) -> Table:
    shown, others = data.categories[:MANY_CATEGORIES], data.categories[MANY_CATEGORIES:]
    rows: list[list[Cell]] = [[category.name, category.posts, category.accounts] for category in shown]
    number = len(others) + data.hidden_categories
    if number:
        together = [*others, data.hidden]
        posts, accounts = sum(other.posts for other in together), sum(other.accounts for other in together)
        rows.append([f"{number:,} others" if number > 1 else "another one", posts, accounts])
    columns = [*text_columns("Category"), *number_columns("Posts", "Accounts")]
    return Table(f"Categories of accounts. {_RULE}", columns, rows)


def _lacks(data: DataSummary) -> Table:
    asked_for = "were not asked for" if data.text_only else "could not be had"
    rows: list[list[Cell]] = [[f"pictures that the mapping lists and that {asked_for}", data.missing_images]]
    if not data.text_only:
        unusable = _NOT_SEEN if data.unusable_images is None else data.unusable_images
        rows.append(["pictures that no encoder can use", unusable])
    rows.append(["posts without any picture", data.without_image])
    rows.append(["posts without a caption", data.without_caption])
    rows += [[f"posts without a target: {_words(reason)}", count] for reason, count in data.left_out.items()]
    if data.times_out_of_range:
        rows.append(["posts with a time of publication out of range, taken as not known", data.times_out_of_range])
    return Table("What posts lack.", [*text_columns("What"), *number_columns("Count")], rows)


def _faults(data: DataSummary) -> Table:
    rows: list[list[Cell]] = [
        [_words(reason), count, data.lost.get(reason, 0), faults.meaning(reason)]
        for reason, count in data.faults.items()
    ]
    columns = [*text_columns("Fault"), *number_columns("Count", "Posts lost"), *text_columns("Meaning")]
    return Table("What was wrong with the input.", columns, rows)


def _words(reason: str) -> str:
    return reason.replace("_", " ")
