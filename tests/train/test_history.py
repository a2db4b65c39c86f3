"""History: every feature against a slow and obvious computation, and nothing from now or later."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from postmill.train.data import history
from postmill.train.data.history import COLUMNS, RECENT

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
    recent = known[-RECENT:]
    return {
        "past_posts": math.log1p(len(earlier)),
        "past_share_known": len(known) / len(earlier),
        "past_mean": mean,
        "past_recent_mean": sum(recent) / len(recent),
        "past_last": known[-1],
        "past_deviation": math.sqrt(sum((y - mean) ** 2 for y in known) / len(known)),
        "past_reliability": reliability,
        "past_mean_reliable": reliability * (mean - sum(everyone) / len(everyone)),
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
