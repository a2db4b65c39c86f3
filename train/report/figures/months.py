"""Posts by month of publication, of which each bar may be shown (:mod:`.cells`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from postmill.shards.formats import plan, posts
from postmill.shards.run.folder import Run
from postmill.train.data import target
from postmill.train.evaluation import cells
from postmill.train.evaluation.cells import Cell


@dataclass(frozen=True)
class Months:
    """Months that are shown together: the first day, the first day after them, and how many posts they have."""

    start: date
    end: date
    posts: int

    @property
    def number(self) -> int:
        """How many months they are."""
        return _place(self.end) - _place(self.start)


def months(run: Run) -> list[Months]:
    """Return the posts of the finished post shards by month, months that are too small joined with the next ones.

    Posts without a time, or with one that none can have, are in none. Empty where all together are too few.

    Raises:
        PostmillError: A shard cannot be read.
    """
    counts: Counter[int] = Counter()
    accounts: dict[int, set[str]] = defaultdict(set)
    for shard in posts.done_shards(run, plan.counts(run).shards):
        table = posts.read_records(run, shard, ("influencer", "taken_at"))
        for name, seconds in zip(table["influencer"].to_pylist(), target.times(table["taken_at"]), strict=True):
            if not np.isnan(seconds):
                month = _place(datetime.fromtimestamp(seconds, UTC).date())
                counts[month] += 1
                accounts[month].add(name)
    return joined([(month, Cell(counts[month], accounts[month])) for month in sorted(counts)])


def joined(found: Sequence[tuple[int, Cell]]) -> list[Months]:
    """Return months, numbered from year 0 on and in order, as bars that may be shown.

    Months without posts between them belong to the bar that they interrupt, or are in none.
    """
    bars: list[tuple[int, int, Cell]] = []
    growing: list[tuple[int, Cell]] = []
    for month, cell in found:
        growing.append((month, cell))
        whole = cells.joined([of for _, of in growing])
        if whole.large_enough:
            bars.append((growing[0][0], month + 1, whole))
            growing = []
    if bars and growing:
        start, _, last = bars.pop()
        bars.append((start, growing[-1][0] + 1, cells.joined([last, *(of for _, of in growing)])))
    return [Months(_day(start), _day(end), cell.posts) for start, end, cell in bars]


def _place(day: date) -> int:
    return day.year * 12 + day.month - 1


def _day(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)
