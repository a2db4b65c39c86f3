"""What an account's earlier posts tell of its next one: features that use strictly earlier posts alone.

A post sees the posts of its account that were published before it, never itself, never one of the same second, never
a later one. So the features of a post of a test account are what would have been known on the day, though the model
has not been trained on that account. Posts without a time have no history and are in no one's.

Window functions of DuckDB say the same in twenty lines of SQL, and take fifteen times as long.
"""

from __future__ import annotations

import numpy as np

from postmill.train.data.arrays import Floats, Ids, Mask, Matrix, Rows, Times

COLUMNS = (
    "past_posts",
    "past_share_known",
    "past_mean",
    "past_recent_mean",
    "past_last",
    "past_deviation",
    "past_reliability",
    "past_mean_reliable",
    "past_median",
    "past_spread",
    "past_trend",
    "posts_in_30_days",
    "days_since_last",
    "days_since_first",
)
"""Names of the features. Of M earlier posts, n of which have a target: log1p(M); n / M; mean of the n targets; mean of
the last :data:`RECENT` of them; the last one; their standard deviation; n / (n + 2); that times the distance of the
mean from the mean of all posts published before, of any account; median and distance of the quartiles of the last
:data:`WINDOW` of them; mean of the last :data:`RECENT` less that of the others, 0 without others; log1p of how many of
the M were published in the 30 days before; log1p of days since the last and the first post."""

PAST_POSTS, RELIABILITY = COLUMNS.index("past_posts"), COLUMNS.index("past_reliability")

RECENT, WINDOW = 10, 30
_SHRINK = 2.0  # posts that the general level counts for
_DAY_S = 86_400.0
_CHUNK = 65_536


def of_posts(accounts: Ids, taken_at: Times, target: Floats) -> tuple[Matrix, Mask]:
    """Return the history of N posts, shape (N, ``len(COLUMNS)``), and who has one, shape (N,).

    A post has a history where an earlier post of its account has a target; else its row is zero. One sort, a few
    running sums and a sort of each post's window: memory and time grow with N alone.

    Args:
        accounts: Shape (N,), ids of accounts.
        taken_at: Shape (N,), seconds since 1970; NaN where not known.
        target: Shape (N,); NaN where a post has none.
    """
    out = np.zeros((len(accounts), len(COLUMNS)), dtype=np.float32)
    present = np.zeros(len(accounts), dtype=bool)
    timed = np.flatnonzero(~np.isnan(taken_at))
    if not len(timed):
        return out, present
    # Equal times in the order of their targets, so that no sum depends on the order of the posts.
    order = timed[np.lexsort((target[timed], taken_at[timed], accounts[timed]))]
    account, time, y = accounts[order], taken_at[order], target[order]
    position = np.arange(len(order))
    new_account = np.concatenate([[True], account[1:] != account[:-1]])
    first = np.maximum.accumulate(np.where(new_account, position, 0))
    new_time = new_account | np.concatenate([[True], time[1:] != time[:-1]])
    before = np.maximum.accumulate(np.where(new_time, position, 0))  # posts first..before-1 are strictly earlier
    known = ~np.isnan(y)
    level = float(y[known].mean()) if known.any() else 0.0
    filled = np.where(known, y - level, 0.0)  # centred, so that sums of squares keep their digits
    count, total, squares = (_running(values) for values in (known.astype(np.float64), filled, filled**2))
    n = count[before] - count[first]
    has = n > 0
    size = np.where(has, n, 1.0)
    mean = (total[before] - total[first]) / size
    variance = np.maximum((squares[before] - squares[first]) / size - mean**2, 0.0)
    values, ends = filled[known], count[before].astype(np.int64)  # the known targets, and how many come before
    sums, starts = _running(values), count[first].astype(np.int64)
    recent_from = np.maximum(ends - RECENT, starts)
    recent = (sums[ends] - sums[recent_from]) / np.maximum(ends - recent_from, 1)
    older = (sums[recent_from] - sums[starts]) / np.maximum(recent_from - starts, 1)
    median, spread = _quartiles(values, np.maximum(ends - WINDOW, starts), ends)
    last = values[np.maximum(ends - 1, 0)] if len(values) else np.zeros(len(order))
    posts = (before - first).astype(np.float64)
    reliability = n / (n + _SHRINK)
    since_last = (time - time[np.maximum(before - 1, 0)]) / _DAY_S
    since_first = (time - time[first]) / _DAY_S
    general = _general_level(time, y, level)
    columns = [
        np.log1p(posts),
        n / np.maximum(posts, 1.0),
        mean + level,
        recent + level,
        last + level,
        np.sqrt(variance),
        reliability,
        reliability * (mean + level - general),
        median + level,
        spread,
        np.where(recent_from > starts, recent - older, 0.0),
        np.log1p((before - _since(position, first, time, 30 * _DAY_S)).astype(np.float64)),
        np.log1p(np.maximum(since_last, 0.0)),
        np.log1p(np.maximum(since_first, 0.0)),
    ]
    out[order[has]] = np.column_stack(columns)[has]
    present[order] = has
    return out, present


def _running(values: Floats) -> Floats:
    """Return the sums of the first 0, 1, ... values, shape (N + 1,)."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _general_level(time: Times, y: Floats, level: float) -> Floats:
    """Return, for each post, the mean target of all posts published before it, of any account."""
    known = np.flatnonzero(~np.isnan(y))
    by_time = known[np.lexsort((y[known], time[known]))]
    sums = _running(y[by_time] - level)
    earlier = np.searchsorted(time[by_time], time, side="left")
    return level + sums[earlier] / np.maximum(earlier, 1)


def _quartiles(values: Floats, starts: Rows, ends: Rows) -> tuple[Floats, Floats]:
    """Return the median of ``values[start:end]`` for each of N windows, and the distance of their quartiles."""
    median, spread = np.zeros(len(starts)), np.zeros(len(starts))
    for start in range(0, len(starts), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        size = ends[chunk] - starts[chunk]
        at = starts[chunk, None] + np.arange(WINDOW)
        inside = at < ends[chunk, None]
        window = np.where(inside, values[np.minimum(at, len(values) - 1)] if len(values) else 0.0, np.inf)
        window.sort(axis=1)
        lower, middle, upper = (_quantile(window, size, share) for share in (0.25, 0.5, 0.75))
        median[chunk], spread[chunk] = middle, upper - lower
    return median, spread


def _quantile(ascending: Floats, size: Rows, share: float) -> Floats:
    """Return a quantile of the first ``size`` numbers of each row, between neighbours in proportion; 0 of none."""
    place = share * np.maximum(size - 1, 0)
    low = place.astype(np.int64)
    rows = np.arange(len(ascending))
    below, above = ascending[rows, low], ascending[rows, np.minimum(low + 1, np.maximum(size - 1, 0))]
    with np.errstate(invalid="ignore"):  # infinity less infinity, in windows of nothing
        between = below + (place - low) * (above - below)
    return np.where(size > 0, between, 0.0)


def _since(position: Rows, first: Rows, time: Times, seconds: float) -> Rows:
    """Return the position of the first post of the account that is at most ``seconds`` older, for each post."""
    account = np.cumsum(position == first).astype(np.float64)
    # One ascending number for account and time: bounded times keep whole seconds exact.
    span = np.ptp(time) + seconds + 1.0
    moment = account * span + (time - time.min())
    found: Rows = np.searchsorted(moment, moment - seconds, side="left")
    return found
