"""History: every feature against a slow and obvious computation, and nothing from now or later."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from postmill.train.data import history
from postmill.train.data.history import COLUMNS, RECENT, WINDOW

DAY = 86_400.0


def brute_force(posts: list[tuple[int, float | None, float | None]], row: int) -> dict[str, float] | None:
    """The history of post ``row`` of (account, time, target) triples, by looking at every other post."""
    account, now, _ = posts[row]
    if now is None:
        return None
    earlier = sorted(
        ((t, math.inf if y is None else y, y) for a, t, y in posts if a == account and t is not None and t < now),
        key=lambda post: post[:2],
    )
    known = [y for _, _, y in earlier if y is not None]
    if not known:
        return None
    everyone = [y for _, t, y in posts if t is not None and t < now and y is not None]
    mean = sum(known) / len(known)
    reliability = len(known) / (len(known) + 2)
    recent, older = known[-RECENT:], known[:-RECENT]
    low, middle, high = np.quantile(known[-WINDOW:], [0.25, 0.5, 0.75])
    return {
        "past_posts": math.log1p(len(earlier)),
        "past_share_known": len(known) / len(earlier),
        "past_mean": mean,
        "past_recent_mean": sum(recent) / len(recent),
        "past_last": known[-1],
        "past_deviation": math.sqrt(sum((y - mean) ** 2 for y in known) / len(known)),
        "past_reliability": reliability,
        "past_mean_reliable": reliability * (mean - sum(everyone) / len(everyone)),
        "past_median": middle,
        "past_spread": high - low,
        "past_trend": sum(recent) / len(recent) - sum(older) / len(older) if older else 0.0,
        "posts_in_30_days": math.log1p(sum(now - t <= 30 * DAY for t, _, _ in earlier)),
        "days_since_last": math.log1p((now - earlier[-1][0]) / DAY),
        "days_since_first": math.log1p((now - earlier[0][0]) / DAY),
    }


POSTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(0, 12).map(lambda day: day * 40_000.0)),
        st.one_of(st.none(), st.integers(0, 60).map(lambda tenth: tenth / 10)),
    ),
    min_size=1,
    max_size=60,
)


def computed(posts: list[tuple[int, float | None, float | None]]) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.array([[a, math.nan if t is None else t, math.nan if y is None else y] for a, t, y in posts])
    return history.of_posts(numbers[:, 0].astype(np.uint64), numbers[:, 1], numbers[:, 2])


@given(POSTS)
def test_it_is_what_brute_force_finds(posts: list[tuple[int, float | None, float | None]]) -> None:
    values, present = computed(posts)
    for row in range(len(posts)):
        expected = brute_force(posts, row)
        assert present[row] == (expected is not None)
        if expected is None:
            assert not values[row].any()
        else:
            np.testing.assert_allclose(values[row], [expected[name] for name in COLUMNS], atol=1e-4)


WINDOWS = f"""
    WITH timed AS (SELECT * FROM posts WHERE time IS NOT NULL),
    numbered AS (
        SELECT *, row_number() OVER (PARTITION BY account, y IS NULL ORDER BY time, y) AS nth,
            avg(y) OVER general AS general, count(*) OVER past AS posts, count(y) OVER past AS n,
            avg(y) OVER past AS mean, stddev_pop(y) OVER past AS deviation, max(time) OVER past AS last_time,
            min(time) OVER past AS first_time,
            count(*) OVER (PARTITION BY account ORDER BY time RANGE BETWEEN {30 * DAY} PRECEDING AND CURRENT ROW
                EXCLUDE GROUP) AS month
        FROM timed
        WINDOW past AS (PARTITION BY account ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                EXCLUDE GROUP),
            general AS (ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP)
    )
    SELECT post.row, ln(1 + any_value(post.posts)), any_value(post.n / post.posts), any_value(post.mean),
        avg(other.y) FILTER (other.nth > post.n - {RECENT}), any_value(other.y) FILTER (other.nth = post.n),
        any_value(post.deviation), any_value(post.n / (post.n + 2)),
        any_value(post.n / (post.n + 2) * (post.mean - post.general)),
        quantile_cont(other.y, 0.5) FILTER (other.nth > post.n - {WINDOW}),
        quantile_cont(other.y, 0.75) FILTER (other.nth > post.n - {WINDOW})
            - quantile_cont(other.y, 0.25) FILTER (other.nth > post.n - {WINDOW}),
        coalesce(avg(other.y) FILTER (other.nth > post.n - {RECENT})
            - avg(other.y) FILTER (other.nth <= post.n - {RECENT}), 0),
        ln(1 + any_value(post.month)), ln(1 + any_value(post.time - post.last_time) / {DAY}),
        ln(1 + any_value(post.time - post.first_time) / {DAY})
    FROM numbered AS post JOIN numbered AS other
        ON other.account = post.account AND other.time < post.time AND other.y IS NOT NULL
    GROUP BY post.row ORDER BY post.row
"""
"""The same in SQL."""


def test_it_is_what_the_windows_of_a_database_find() -> None:
    draw = np.random.default_rng(3)
    size = 3_000
    accounts, y = draw.integers(0, 40, size), draw.normal(7, 2, size)
    time = draw.integers(0, 500, size) * DAY / 2
    y[draw.random(size) < 0.05], time[draw.random(size) < 0.02] = math.nan, math.nan
    posts = pa.table(
        {
            "row": np.arange(size),
            "account": accounts,
            "time": pa.array(time, mask=np.isnan(time)),
            "y": pa.array(y, mask=np.isnan(y)),
        }
    )
    with duckdb.connect() as database:
        database.register("posts", posts)
        found = np.array(database.sql(WINDOWS).fetchall(), dtype=float)
    values, present = history.of_posts(accounts.astype(np.uint64), time, y)
    np.testing.assert_array_equal(found[:, 0], np.flatnonzero(present))
    np.testing.assert_allclose(values[present], found[:, 1:], atol=2e-4)


@given(POSTS, st.integers(0, 59))
def test_a_post_is_blind_to_itself_and_to_what_comes_with_or_after_it(
    posts: list[tuple[int, float | None, float | None]], row: int
) -> None:
    row %= len(posts)
    now = posts[row][1]
    if now is None:
        return
    changed = [(a, t, 99.0 if t is not None and t >= now else y) for a, t, y in posts]
    before, after = computed(posts), computed(changed)
    np.testing.assert_allclose(before[0][row], after[0][row], atol=1e-4)
    assert before[1][row] == after[1][row]


@given(POSTS, st.integers(0, 99))
def test_the_order_of_posts_does_not_matter(posts: list[tuple[int, float | None, float | None]], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(posts))
    values, present = computed(posts)
    shuffled, also = computed([posts[n] for n in order])
    np.testing.assert_allclose(values[order], shuffled, atol=1e-5)
    np.testing.assert_array_equal(present[order], also)
