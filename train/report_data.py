"""The report's section on the data: what is there, what was lost, how the target is spread."""

from __future__ import annotations

import math

from shards import faults
from train import page, plots
from train.describe import DataSummary
from train.page import Cell, Column

MANY_CATEGORIES = 15


def section(data: DataSummary) -> str:
    """Return the section, with counts alone: no account, caption or user is named."""
    return page.section(
        "data", "Data", _identity(data), _target(data), _accounts(data), _categories(data), _lacks(data), _faults(data)
    )


def _identity(data: DataSummary) -> str:
    lost = sum(data.lost.values())
    if data.mapped is None:
        return page.paragraph(f"{data.posts:,} posts in shards; {lost:,} lost.")
    verdict = {
        True: "It adds up: no post was dropped in silence.",
        False: "It does not add up.",
        None: "It can only add up when all post shards are done.",
    }[data.adds_up]
    return page.paragraph(f"{data.mapped:,} posts mapped = {data.posts:,} in shards + {lost:,} lost. {verdict}")


def _target(data: DataSummary) -> str:
    if not data.counts:
        return page.paragraph("No post has a target.")
    low, high = data.edges[0], data.edges[-1]
    label = f"Histogram of the target of {sum(data.counts):,} posts, from {low:.1f} to {high:.1f}"
    examples = " and ".join(f"{at:g} is {math.expm1(at):,.0f}" for at in (math.ceil(low), math.floor(high)))
    caption = f"How the target is spread over posts. In likes and comments, {examples}."
    return page.figure(plots.histogram(data.edges, data.counts, label), caption, "chart")


def _accounts(data: DataSummary) -> str:
    least, lower, middle, upper, most = data.account_posts
    return page.paragraph(
        f"Posts of an account: from {least:,} to {most:,}; half of the accounts have {lower:,} to {upper:,}, the median"
        f" is {middle:,}. Accounts are not named on this page."
    )


def _categories(data: DataSummary) -> str:
    shown = list(data.categories.items())
    rows: list[list[Cell]] = [[name, n, accounts] for name, (n, accounts) in shown[:MANY_CATEGORIES]]
    rest = [counts for _, counts in shown[MANY_CATEGORIES:]]
    if rest:
        rows.append([f"{len(rest):,} others", sum(n for n, _ in rest), sum(accounts for _, accounts in rest)])
    columns = [Column("Category", False), Column("Posts"), Column("Accounts")]
    return page.table("Categories of accounts.", columns, rows)


def _lacks(data: DataSummary) -> str:
    rows: list[list[Cell]] = [
        ["pictures that the mapping lists and could not be had", data.missing_images],
        ["posts without any picture", data.without_image],
        ["posts without a caption", data.without_caption],
    ]
    rows += [[f"posts without a target: {_words(reason)}", n] for reason, n in data.left_out.items()]
    return page.table("What posts lack.", [Column("What", False), Column("Count")], rows)


def _faults(data: DataSummary) -> str:
    if not data.faults:
        return page.paragraph("Nothing was wrong with the input.")
    rows: list[list[Cell]] = [
        [_words(reason), n, data.lost.get(reason, 0), faults.meaning(reason)] for reason, n in data.faults.items()
    ]
    columns = [Column("Fault", False), Column("Count"), Column("Posts lost"), Column("Meaning", False)]
    return page.table("What was wrong with the input.", columns, rows)


def _words(reason: str) -> str:
    return reason.replace("_", " ")
