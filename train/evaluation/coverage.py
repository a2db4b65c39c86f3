"""How many test posts lie in the interval of their prediction: of all, and of those that are alike.

An interval that holds nine tenths of all posts may hold far fewer of those that little is known of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from postmill.train.data.arrays import Floats, Rows
from postmill.train.evaluation import cells, intervals
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.schema_splits import Coverage, CoverageRow
from postmill.train.evaluation.slices import NOT_KNOWN, TOO_SMALL, Division, Slices
from postmill.train.models.problem import COVERAGE

EARLIER_POSTS: Mapping[str, int] = {"0": 0, "1 to 2": 1, "3 to 20": 3, "21 and more": 21}
"""The kinds of test posts by how many earlier ones of the account are known: name, and the least number."""

NO_PAST = "0"
"""Of these an account has one, or a few of one second, so that a cell of them is judged by its accounts alone."""


def of(part: Predicted) -> Coverage | None:
    """Return the coverage of all posts of ``part``; None where the model gives no intervals."""
    inside = _inside(part)
    if inside is None or part.low is None or part.high is None:
        return None
    inferred = intervals.of_mean(inside, part.accounts)
    width = float(np.mean(part.high - part.low))
    return Coverage(COVERAGE, share=float(inside.mean()), interval=inferred.interval, width=width)


def by_kind(part: Predicted, of_posts: Slices) -> dict[str, tuple[CoverageRow, ...]] | None:
    """Return coverage by number of earlier posts and by followers; None where the model gives no intervals.

    Kinds that are not shown (:func:`.cells.shown`) stand together in a last row without a share.

    Args:
        part: N test posts.
        of_posts: Their slices.
    """
    inside = _inside(part)
    if inside is None:
        return None
    divisions = {"followers": of_posts.divisions["followers"]}
    if part.earlier_posts is not None:
        divisions = {"earlier_posts": _by_past(part.earlier_posts), **divisions}
    return {name: tuple(_rows(part, inside, division)) for name, division in divisions.items()}


def _inside(part: Predicted) -> Floats | None:
    """Return 1 for each post that its interval holds, else 0; an end belongs to it."""
    if part.low is None or part.high is None:
        return None
    return ((part.low <= part.true) & (part.true <= part.high)).astype(np.float64)


def _by_past(earlier_posts: Rows) -> Division:
    names = (*EARLIER_POSTS, NOT_KNOWN)
    code = np.searchsorted(list(EARLIER_POSTS.values()), earlier_posts, side="right") - 1
    return Division(names, np.where(code < 0, len(EARLIER_POSTS), code).astype(np.int32))


def _rows(part: Predicted, inside: Floats, division: Division) -> Iterator[CoverageRow]:
    rows_of = [np.flatnonzero(division.codes == code) for code in range(len(division.names))]
    kinds = cells.of_rows(part.accounts, rows_of)
    by_accounts = [
        name == NO_PAST and len(kind.accounts) >= cells.MIN_ACCOUNTS
        for name, kind in zip(division.names, kinds, strict=True)
    ]
    rest = cells.shown([kind for kind, alone in zip(kinds, by_accounts, strict=True) if not alone])
    others, not_shown = iter(rest), 0
    for name, rows, kind, alone in zip(division.names, rows_of, kinds, by_accounts, strict=True):
        if not (alone or next(others)):
            not_shown += len(rows)
            continue
        inferred = intervals.of_mean(inside[rows], part.accounts[rows])
        yield CoverageRow(name, len(rows), len(kind.accounts), inferred.value, inferred.interval)
    if not_shown:
        yield CoverageRow(TOO_SMALL, not_shown)
