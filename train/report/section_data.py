"""What came in: the sources, and what the posts are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from postmill.shards.indicators.languages import TOO_SHORT
from postmill.shards.run.folder import Run
from postmill.shards.run.sources import PinnedArchive, PinnedText
from postmill.train.evaluation import cells
from postmill.train.report.describe import DataSummary
from postmill.train.report.finding import NONE, WEAK, Finding
from postmill.train.report.formatting import size
from postmill.train.report.html import Cell, Table, number_columns, text_columns
from postmill.train.report.languages import Languages

MANY_CATEGORIES = 15
_RULE = (
    f"Those with fewer than {cells.MIN_ACCOUNTS} accounts or {cells.MIN_POSTS} posts stand together, with the next"
    " larger ones where one of them could else be told from the total."
)


def answer(run: Run, data: DataSummary) -> Finding:
    """Return what came in, in a sentence or two."""
    invented = "invented " if run.invented else ""
    pictures = "no pictures, for none were asked for" if data.text_only else f"{data.images:,} pictures"
    listed = "" if run.locations.mapping == "none" else f", of {data.mapped:,} that the mapping lists"
    text = f"{data.posts:,} {invented}posts{listed}, by {data.accounts:,} accounts, with {pictures}"
    if dates(data):
        text += f", published {dates(data)}"
    text += f". Read from {origin(run)}."
    told = [] if data.languages is None else [of for of in data.languages.shown if of.name != TOO_SHORT]
    if data.languages is not None and told:
        first = told[0]
        text += f" Of the captions looked at, {first.posts / data.languages.looked_at:.0%} are {first.words}."
    return Finding(WEAK if data.posts else NONE, text)


def dates(data: DataSummary) -> str:
    """Return the first and the last day of the posts; empty where no post has a time."""
    if data.first is None or data.last is None:
        return ""
    return f"{_day(data.first)} to {_day(data.last)}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def archive_bytes(run: Run) -> int:
    """Return the bytes of the parts of both archives, as far as they were there."""
    return sum(part_size or 0 for each in (run.sources.metadata, run.sources.images) for _, part_size in each.parts)


def origin(run: Run) -> str:
    """Return what the posts were read from: how many parts or files, and their bytes."""
    archives = [each for each in (run.sources.metadata, run.sources.images) if each.parts or each.files]
    known = [part_size for each in archives for _, part_size in each.parts]
    files = sum(each.files or 0 for each in archives)
    parts = f"{files:,} files" if files else f"{len(known):,} part{'' if len(known) == 1 else 's'} of split zips"
    missing = sum(each is None for each in known)
    lacking = f", {missing:,} of them not there" if missing else ""
    total = archive_bytes(run)
    return f"{parts}{lacking} ({size(total)})" if total else f"{parts}{lacking}"


def notes(data: DataSummary) -> Iterator[str]:
    """Yield what is told of the target and of posts per account."""
    if not data.histogram.counts:
        yield (
            "Too few posts or accounts have a target for its histogram."
            if data.with_target
            else "No post has a target."
        )
    else:
        yield f"In {data.definition.unit}, {_examples(data)}."
    of = data.account_posts
    if of.spread is not None and of.median is not None:
        low, lower, upper, high = of.spread
        yield (
            f"Posts of an account: half of the accounts have {lower:,} to {upper:,}, nine in ten {low:,} to {high:,},"
            f" and the median is {of.median:,}."
        )
    elif of.median is not None:
        yield f"Posts of an account: the median is {of.median:,}; with fewer than 100 accounts no more is told."
    else:
        yield "How many posts an account has is not told of so few accounts."
    yield "Accounts are not named on this page."


def _examples(data: DataSummary) -> str:
    edges, of = data.histogram.edges, data.definition
    ends = np.array([math.ceil(edges[0]), math.floor(edges[-1])], dtype=float)
    digits = ",.2g" if of.is_rate else ",.0f"
    return " and ".join(f"{end:g} is {count:{digits}}" for end, count in zip(ends, of.counts(ends), strict=True))


def tables(run: Run, data: DataSummary) -> Iterator[Table]:
    """Yield the tables, with counts alone: no account, caption or user is named."""
    yield _sources(run)
    yield _categories(data)
    if data.languages is not None:
        yield _languages(data.languages)


def _sources(run: Run) -> Table:
    of = run.sources
    rows: list[list[Cell]] = [
        _archive("metadata", of.metadata),
        _archive("pictures", of.images),
        _text("mapping", of.mapping, run.locations.mapping),
        _text("influencers", of.influencers, run.locations.influencers),
    ]
    columns = [*text_columns("Source", "What"), *number_columns("Parts", "Bytes")]
    caption = "What the run was planned from, as it was then. Where it lies is not told here."
    return Table("sources", "Sources, their parts and bytes", caption, columns, rows)


def _archive(name: str, archive: PinnedArchive) -> list[Cell]:
    names = [part for part, _ in archive.parts]
    if archive.files is not None:
        return [name, "a folder of files", archive.files, "\N{EN DASH}"]
    if not names:
        return [name, "not asked for", 0, 0]
    known = [part_size for _, part_size in archive.parts if part_size is not None]
    missing = len(names) - len(known)
    what = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return [name, f"{what}, {missing:,} not there" if missing else what, len(names), sum(known)]


def _text(name: str, text: PinnedText, location: str) -> list[Cell]:
    return [name, "not asked for" if location == "none" else "a text file", 0 if location == "none" else 1, text.bytes]


def _categories(data: DataSummary) -> Table:
    shown, others = data.categories[:MANY_CATEGORIES], data.categories[MANY_CATEGORIES:]
    rows: list[list[Cell]] = [[category.name, category.posts, category.accounts] for category in shown]
    number = len(others) + data.hidden_categories
    if number:
        together = [*others, data.hidden]
        posts, accounts = sum(other.posts for other in together), sum(other.accounts for other in together)
        rows.append([f"{number:,} others" if number > 1 else "another one", posts, accounts])
    columns = [*text_columns("Category"), *number_columns("Posts", "Accounts")]
    return Table("categories", "Categories of accounts", _RULE, columns, rows)


def _languages(languages: Languages) -> Table:
    rows: list[list[Cell]] = [[each.words, each.posts, each.accounts] for each in languages.shown]
    if languages.others:
        rows.append(["others", languages.others, languages.other_accounts])
    caption = (
        f"The likeliest language of {languages.looked_at:,} captions, evenly spread over the posts, without mentions,"
        f" tags and links. {_RULE}"
    )
    columns = [*text_columns("Language"), *number_columns("Posts", "Accounts")]
    return Table("languages", "Languages of the captions", caption, columns, rows)
