"""No small group's number can be computed from those that are shown, within a division, across them, or over time."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.insights.guard import MOST_SHARE, Division, may_show, shown


def division(name: str, codes: np.ndarray) -> Division:
    return Division(name, tuple(f"{name} {n}" for n in range(int(codes.max()) + 1)), codes.astype(np.int32))


@st.composite
def populations(draw: st.DrawFn) -> tuple[list[Division], np.ndarray]:
    """Posts of accounts, divided in two or three ways that may be nested, crossed, or all but the same."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    posts = draw(st.integers(150, 4000))
    accounts = rng.integers(0, draw(st.integers(15, 90)), posts).astype(np.int32)
    accounts[rng.random(posts) < draw(st.sampled_from([0.0, 0.0, 0.3, 0.45]))] = 0  # who posts more than others
    divisions: list[Division] = []
    for n in range(draw(st.integers(1, 3))):
        how = draw(st.sampled_from(["uneven", "of accounts", "nested", "like the last"]))
        groups = draw(st.integers(2, 5))
        if how == "of accounts":
            codes = (accounts * 7 + n) % groups
        elif how == "nested" and divisions:
            codes = divisions[-1].codes // 2
        elif how == "like the last" and divisions:
            codes = np.where(rng.random(posts) < draw(st.floats(0, 0.08)), 0, divisions[-1].codes)
        else:
            weights = rng.dirichlet(np.full(groups, 0.5))
            codes = rng.choice(groups, posts, p=weights)
        codes = np.where(rng.random(posts) < draw(st.sampled_from([0.0, 0.0, 0.02])), -1, codes)
        divisions.append(division(f"division {n}", np.maximum(codes, -1)))
    return divisions, accounts


def combined(sets: list[np.ndarray]) -> list[np.ndarray]:
    """Every set of posts that adding and taking away up to four shown groups, the total among them, gives."""
    found = {}
    for size in range(1, 5):
        for chosen in combinations(range(len(sets)), size):
            for signs in product((1, -1), repeat=size):
                of = sum(sign * sets[n] for sign, n in zip(signs, chosen, strict=True))
                if of.min() == 0 and of.max() == 1:
                    found[of.tobytes()] = of
    return list(found.values())


@given(populations())
@settings(max_examples=500, deadline=None)
def test_no_small_set_is_a_sum_or_difference_of_what_is_shown(population: tuple[list[Division], np.ndarray]) -> None:
    divisions, accounts = population
    rows = np.arange(len(accounts))
    showing = shown(divisions, accounts, rows)
    sets = [np.ones(len(accounts), dtype=np.int8)]
    for of in divisions:
        sets += [(of.codes == g).astype(np.int8) for g, shows in enumerate(showing[of.name]) if shows]
    if len(sets) == 1:
        return
    # Posts of one combination of groups are in every sum together: one of each stands for all.
    key = np.unique(np.column_stack([of.codes for of in divisions]), axis=0, return_inverse=True)[1].ravel()
    first = np.unique(key, return_index=True)[1]
    for of in combined([each[first] for each in sets]):
        mask = of[key] == 1
        counts = np.unique(accounts[mask], return_counts=True)[1]
        assert mask.sum() >= MIN_POSTS and len(counts) >= MIN_ACCOUNTS and counts.max() <= MOST_SHARE * mask.sum()


def test_of_an_account_that_has_most_posts_nothing_is_told() -> None:
    accounts = np.concatenate([np.zeros(600), np.arange(1, 501) % 60 + 1]).astype(np.int32)
    half = division("half", np.arange(len(accounts)) % 2)
    assert not may_show(accounts) and may_show(accounts[150:])
    assert not any(shown([half], accounts, np.arange(len(accounts)))["half"])
    where = division("where", (accounts == 0) & (np.arange(len(accounts)) % 3 > 0))
    rows = np.arange(150, len(accounts))
    assert not any(shown([where], accounts, rows)["where"]), "nor as the total less the rest"
