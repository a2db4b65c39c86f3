"""The tone of groups of posts, each with its interval over accounts, and of no group that is too small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from postmill.shards.indicators.tables import ALL, ToneRow
from postmill.train.data.arrays import Floats, Rows
from postmill.train.evaluation import cells, intervals
from postmill.train.evaluation.intervals import Inference
from postmill.train.evaluation.measures import Measure
from postmill.train.insights import guard
from postmill.train.insights.guard import Codes, Division

NOT_SHOWN = "not shown: too few accounts or posts, one account has most, or such could be told from them"


class Suppression:
    """Which groups are shown of each set of judged posts; of one set it is found once.

    Args:
        divisions: Of N posts.
        accounts: Shape (N,).
        earlier: The rows that were shown before, by somebody who may have kept them.
    """

    def __init__(self, divisions: Sequence[Division], accounts: Codes, earlier: Sequence[ToneRow] = ()) -> None:
        self._divisions, self._accounts = divisions, accounts
        self._known: dict[bytes, Mapping[str, tuple[bool, ...]]] = {}
        self._earlier: dict[str, dict[tuple[str, str], int]] = {}
        for row in earlier:
            if row.group:
                self._earlier.setdefault(row.indicator, {})[row.division, row.group] = row.posts

    def of(self, indicator: str, rows: Rows) -> Mapping[str, tuple[bool, ...]]:
        """Return which groups of each division are shown of the posts at ``rows``, which have the indicator."""
        before = self._earlier.get(indicator, {})
        key = rows.tobytes() + repr(sorted(before.items())).encode()
        if key not in self._known:
            self._known[key] = guard.shown(self._divisions, self._accounts, rows, before)
        return self._known[key]

    def shows_all(self, indicator: str, rows: Rows) -> bool:
        """Say whether the posts at ``rows`` may be told of together."""
        change = abs(len(rows) - self._earlier.get(indicator, {}).get((ALL, ALL), len(rows)))
        return guard.may_show(self._accounts[rows]) and not 0 < change < cells.MIN_POSTS


def rows(
    indicator: str, told: Floats, divisions: Sequence[Division], accounts: Codes, suppression: Suppression
) -> Iterator[ToneRow]:
    """Yield the tone of all posts, of each group that is shown, and how many posts are in those that are not.

    Args:
        indicator: Its name.
        told: Shape (N,), what is averaged; NaN where a post was not judged.
        divisions: Of the N posts.
        accounts: Shape (N,).
        suppression: Which groups are shown.
    """
    judged = np.flatnonzero(~np.isnan(told))
    values, of_account = told[judged], accounts[judged]
    if not suppression.shows_all(indicator, judged):
        yield ToneRow(indicator, ALL, "", len(judged), None, None, None, None, NOT_SHOWN)
        return
    yield _row(indicator, ALL, ALL, values, of_account)
    showing = suppression.of(indicator, judged)
    for division in divisions:
        codes = division.codes[judged]
        kept = np.array([*showing[division.name], False])[codes]
        for number, group in enumerate(division.groups):
            if showing[division.name][number]:
                within = codes == number
                yield _row(indicator, division.name, group, values[within], of_account[within])
        if not kept.all():
            hidden = int((~kept).sum())
            yield ToneRow(indicator, division.name, "", hidden, None, None, None, None, NOT_SHOWN)


def _row(indicator: str, division: str, group: str, values: Floats, accounts: Codes) -> ToneRow:
    inference, people = mean(values, accounts)
    low, high = inference.interval or (None, None)
    return ToneRow(indicator, division, group, len(values), people, inference.value, low, high, inference.note)


def mean(values: Floats, accounts: Codes) -> tuple[Inference, int]:
    """Return the mean of ``values``, shape (N,), with its interval over accounts, and how many accounts there are."""
    counts, totals = np.bincount(accounts), np.bincount(accounts, values)
    there = np.flatnonzero(counts)
    return intervals.infer_over(counts[there], ratio(totals[there], counts[there])), len(there)


def ratio(above: Floats | Rows, below: Floats | Rows) -> Measure:
    """Return the ratio of two sums over A accounts, shape (A,) each, as a measure."""
    groups = intervals.group_count(len(below))
    group = np.arange(len(below)) % max(groups, 1)
    tops, bottoms = (np.bincount(group, side, minlength=max(groups, 1)) for side in (above, below))
    top, bottom = tops.sum(), bottoms.sum()

    def measure(left_out: int | None) -> float | None:
        rest = (top, bottom) if left_out is None else (top - tops[left_out], bottom - bottoms[left_out])
        return float(rest[0] / rest[1]) if rest[1] else None

    return measure
