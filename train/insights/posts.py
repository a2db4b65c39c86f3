"""The posts of a run as insights see them: who, when, what kind of account, how much engagement, and no text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats import posts
from postmill.shards.formats.bounds import MAX_COUNT
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.train.data import dataset, links, target
from postmill.train.data.arrays import Floats, Times
from postmill.train.data.dataset import Finished
from postmill.train.data.target import Definition
from postmill.train.evaluation import cells
from postmill.train.evaluation.cells import Cell
from postmill.train.evaluation.slices import NOT_KNOWN, TIERS
from postmill.train.insights.guard import Codes, Division

_COLUMNS = ("influencer", "owner_id", "category", "taken_at", *target.COLUMNS)


@dataclass(frozen=True)
class Posts:
    """N posts in the order of their shards.

    Attributes:
        finished: The post shards.
        accounts: Shape (N,), the number of each post's account, from 0; the numbers mean nothing.
        taken_at: Shape (N,), seconds since 1970, NaN where not known.
        engagement: Shape (N,), log(1 + likes + comments), NaN where it is not known.
        divisions: ``month``, ``category`` and ``followers``.
    """

    finished: Finished
    accounts: Codes
    taken_at: Times
    engagement: Floats
    divisions: tuple[Division, ...]

    @property
    def number(self) -> int:
        """How many they are."""
        return len(self.accounts)


def load(run: Run) -> Posts:
    """Read the posts of ``run``, all of which have to be there.

    What is shown of a part of the posts and then of more of them could be taken from each other.

    Raises:
        UsageError: Post shards are missing.
        PostmillError: A shard cannot be read.
    """
    finished = dataset.finished(run)
    if len(finished.shards) < finished.planned:
        raise UsageError(
            f"{finished.planned - len(finished.shards):,} of {finished.planned:,} post shards are not finished, and "
            "insights are of whole runs: from two of a growing one, few posts could be told apart",
            place=run.posts,
            hint=f"finish them: postmill ingest {run.word}",
        )
    owners, tables = links.Accounts(), []
    for shard, records in zip(finished.shards, finished.records, strict=True):
        table = posts.read_records(run, shard, _COLUMNS, records)
        owners.add(table)
        tables.append(table.drop_columns(["owner_id"]))
    table = pa.concat_tables(tables)
    accounts = np.unique(owners.ids(table["influencer"].combine_chunks()), return_inverse=True)[1].astype(np.int32)
    taken_at = target.times(table["taken_at"])
    return Posts(
        finished,
        accounts,
        taken_at,
        target.engagement(table, Definition()).values,
        (_months(taken_at, accounts), _categories(table["category"]), _tiers(table["followers"])),
    )


def named(name: str, groups: Sequence[str | None], codes: Codes) -> Division:
    """Return a division of which the groups without a name are in none.

    Args:
        name: Of the division.
        groups: G names, None for posts that are to be in no group.
        codes: Shape (N,), from 0 to G - 1.
    """
    kept = sorted({group for group in groups if group is not None})
    number = np.array([-1 if group is None else kept.index(group) for group in groups], dtype=np.int32)
    return Division(name, tuple(kept), number[codes] if len(groups) else np.full(len(codes), -1, np.int32))


def _months(taken_at: Times, accounts: Codes) -> Division:
    """Divide by month of publication, in UTC, months that are too small joined with the next ones.

    Posts without a time are in none.
    """
    known = np.flatnonzero(~np.isnan(taken_at))
    month = taken_at[known].astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    distinct, code = np.unique(month, return_inverse=True)
    people: dict[int, set[int]] = defaultdict(set)
    pairs = np.unique(np.column_stack([code, accounts[known]]), axis=0)
    for of_month, account in pairs.tolist():
        people[of_month].add(account)
    counts = np.bincount(code, minlength=len(distinct))
    bars = _bars([Cell(int(counts[n]), people[n]) for n in range(len(distinct))])
    names = tuple(_span(int(distinct[bar[0]]), int(distinct[bar[-1]])) for bar in bars)
    bar_of = np.full(len(distinct), -1, dtype=np.int32)
    for number, bar in enumerate(bars):
        bar_of[bar] = number
    codes = np.full(len(taken_at), -1, dtype=np.int32)
    codes[known] = bar_of[code]
    return Division("month", names, codes)


def _bars(found: Sequence[Cell]) -> list[list[int]]:
    """Return the months, by number, as bars that may be shown; none where all together may not."""
    bars: list[list[int]] = []
    growing: list[int] = []
    for number in range(len(found)):
        growing.append(number)
        if cells.joined([found[n] for n in growing]).large_enough:
            bars.append(growing)
            growing = []
    if bars and growing:
        bars[-1] = [*bars[-1], *growing]
    return bars


def _span(first: int, last: int) -> str:
    """Return the name of a stretch of months, numbered from January 1970: ``2019-03``, ``2019-03 to 2019-05``."""
    start, end = (f"{1970 + month // 12}-{month % 12 + 1:02d}" for month in (first, last))
    return start if first == last else f"{start} to {end}"


def _categories(column: pa.ChunkedArray) -> Division:
    encoded = pc.fill_null(column, NOT_KNOWN).combine_chunks().dictionary_encode()
    return named("category", encoded.dictionary.to_pylist(), encoded.indices.to_numpy())


def _tiers(column: pa.ChunkedArray) -> Division:
    """Divide by reach; accounts whose followers are not known are in no tier."""
    followers = target.with_nan(column)
    known = (followers >= 0) & (followers <= MAX_COUNT)
    tier = np.searchsorted(list(TIERS.values()), np.where(known, followers, 0.0), side="right")
    return Division("followers", tuple(TIERS), np.where(known, tier, -1).astype(np.int32))


def day(seconds: float) -> str:
    """Return the day, in UTC, of a time."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
