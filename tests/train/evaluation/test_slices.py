"""Errors by slice: those of scikit-learn among its posts alone, and nothing of slices too small to show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from postmill.shards.indicators.languages import TOO_SHORT, languages_can_be_told
from postmill.shards.run.folder import Run
from postmill.train.data import dataset
from postmill.train.evaluation import slices
from postmill.train.evaluation.cells import MIN_ACCOUNTS, MIN_POSTS
from postmill.train.evaluation.slices import NOT_KNOWN, TIERS, TOO_SMALL, Division, Slices
from tests.train.evaluation.drawn import judged, random_posts
from tests.train.evaluation.oracles import ORACLES

MakeRun = Callable[..., Run]


def test_each_slice_has_the_errors_of_its_posts_alone() -> None:
    part = random_posts(11, posts=600, accounts=80)
    codes = np.random.default_rng(11).choice(5, size=600, p=[0.24, 0.33, 0.03, 0.22, 0.18]).astype(np.int16)
    divided = Slices({"taste": Division(("sweet", "sour", "rare", "bitter", "salt"), codes)})
    shown = slices.errors(part, divided)["taste"]
    assert [row.name for row in shown] == ["sour", "sweet", "bitter", TOO_SMALL]
    for row in shown[:-1]:
        alone = part.of(codes == ("sweet", "sour", "rare", "bitter").index(row.name))
        assert (row.posts, row.accounts) == (len(alone.true), len(set(alone.accounts.tolist())))
        assert list(row.metrics) == ["mse", "mae", "r2", "spearman"]
        for name, value in row.metrics.items():
            assert value == pytest.approx(ORACLES[name](alone)), name
        assert row.bias == pytest.approx(sum(alone.predicted) / row.posts - sum(alone.true) / row.posts)
    # What is rare would be told by the total if the smallest of the others were not hidden with it.
    assert MIN_POSTS <= int((codes == 4).sum()) < int((codes == 3).sum())
    assert shown[-1].posts == int(np.isin(codes, (2, 4)).sum()) >= MIN_POSTS
    assert (shown[-1].accounts, shown[-1].bias, shown[-1].metrics) == (None, None, {})


def test_bias_is_predicted_less_true() -> None:
    true = np.tile(np.arange(10.0), MIN_ACCOUNTS)
    part = judged(true, true + 0.25, np.repeat(np.arange(MIN_ACCOUNTS), 10))
    (row,) = slices.errors(part, Slices({"all": Division(("all",), np.zeros(len(true), np.int16))}))["all"]
    assert row.bias == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("accounts", "posts", "shown"),
    [
        (MIN_ACCOUNTS, MIN_POSTS, True),
        (MIN_ACCOUNTS - 1, MIN_POSTS, False),
        (MIN_ACCOUNTS, MIN_POSTS - 1, False),
    ],
)
def test_a_slice_is_shown_from_twenty_accounts_and_a_hundred_posts_on(accounts: int, posts: int, shown: bool) -> None:
    part = judged(np.arange(posts), np.arange(posts), np.arange(posts) % accounts)
    (row,) = slices.errors(part, Slices({"all": Division(("all",), np.zeros(posts, np.int16))}))["all"]
    assert (MIN_ACCOUNTS, MIN_POSTS) == (20, 100)
    assert row.name == ("all" if shown else TOO_SMALL) and row.posts == posts


def test_posts_of_no_slice_are_in_none() -> None:
    part = random_posts(1)
    assert slices.errors(part, Slices({"language": Division(("en",), np.full(200, -1, np.int16))})) == {"language": ()}


def test_the_slices_of_a_run_are_read_from_its_records(planted_run: MakeRun) -> None:
    followers = [None, 0, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000]
    captions = ["", "#a @b http://c", "a long caption about the sea in English, my friends", "kurz"]
    run = planted_run(
        posts=16,
        accounts=4,
        record={
            "category": lambda row: [None, "food", "art"][row % 3],
            "followers": lambda row: followers[row % 8],
            "caption": lambda row: captions[row % 4],
        },
    )
    rows = np.array([0, 1, 3, 5, 6, 7, 10, 14, 15])
    divided = slices.slices(run, dataset.finished(run), rows).divisions
    names = {name: [division.names[code] for code in division.codes] for name, division in divided.items()}
    assert names["category"] == [[NOT_KNOWN, "food", "art"][row % 3] for row in rows]
    tiers = [NOT_KNOWN, *np.repeat(list(TIERS), 2).tolist()]
    tiers = [NOT_KNOWN, *[list(TIERS)[n] for n in (0, 0, 1, 1, 2, 2, 3)]]
    assert names["followers"] == [tiers[row % 8] for row in rows]
    if languages_can_be_told():
        assert names["language"] == [[TOO_SHORT, TOO_SHORT, "en", TOO_SHORT][row % 4] for row in rows]


def test_slices_of_some_posts_are_taken_by_row() -> None:
    taken = Slices({"a": Division(("x", "y"), np.array([0, 1, 1, -1], np.int16))}).take(np.array([3, 1]))
    assert taken.divisions["a"].names == ("x", "y") and taken.divisions["a"].codes.tolist() == [-1, 1]
