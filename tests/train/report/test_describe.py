"""The description of the data is what one counts by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from postmill.shards.run.folder import Run
from postmill.train.evaluation.cells import Histogram
from postmill.train.report import describe
from postmill.train.report.describe import Category, PostsPerAccount

MakeRun = Callable[..., Run]


def test_the_description_counts_by_hand(planted_run: MakeRun) -> None:
    run = planted_run(
        posts=20,
        accounts=4,
        lost=2,
        record={
            "caption": lambda row: "  " if row == 0 else "text",
            "images": lambda row: [] if row == 1 else ["a.jpg", "b.jpg"],
            "missing_images": lambda row: ["c.jpg"] if row == 1 else [],
            "likes": lambda row: None if row == 2 else 10 * row,
            "taken_at": lambda row: 1_500_000_000 + row,
        },
    )
    summary = describe.summarise(run)
    assert (summary.posts, summary.mapped, summary.lost, summary.adds_up) == (20, 22, {"metadata_missing": 2}, True)
    assert (summary.images, summary.missing_images, summary.without_image, summary.without_caption) == (38, 1, 1, 1)
    assert summary.left_out == {"hidden_likes": 1} and summary.with_target == 19
    assert (summary.first, summary.last) == (1_500_000_000, 1_500_000_019)
    assert (summary.histogram, summary.account_posts) == (Histogram(), PostsPerAccount())
    assert (summary.categories, summary.hidden_categories, summary.hidden) == ((), 1, Category("", 20, 4))


def test_no_number_is_of_a_few_people(planted_run: MakeRun) -> None:
    """Of 50 accounts: `big` has 150 posts, the others 9 each, from likes of which some are met once alone."""
    posts = 150 + 49 * 9
    run = planted_run(
        posts=posts,
        accounts=50,
        record={
            "influencer": lambda row: "big" if row < 150 else f"small{row % 49}",
            "owner_id": None,
            "category": lambda row: "one" if row < 150 else "rare" if row % 49 == 7 else ["food", "art"][row % 49 < 25],
            "likes": lambda row: 5_000_000 if row == 3 else 100 + row,
        },
    )
    summary = describe.summarise(run)
    # The category of one account is hidden with the rare one, and with the smallest of the others, for they are two.
    assert summary.categories == (Category("art", 216, 24),)
    assert (summary.hidden_categories, summary.hidden) == (3, Category("", posts - 216, 26))
    assert summary.account_posts == PostsPerAccount(9)
    assert sum(summary.histogram.counts) == posts and min(summary.histogram.counts) >= 100
    assert all(edge == int(edge) for edge in (summary.histogram.edges[0], summary.histogram.edges[-1]))


@pytest.mark.parametrize(("accounts", "told"), [(19, None), (20, False), (99, False), (100, True)])
def test_how_many_posts_accounts_have_is_told_of_enough_accounts(accounts: int, told: bool | None) -> None:
    per_account = {f"account{n}": 10 + n for n in range(accounts)}
    found = describe._posts_per_account(per_account)
    if told is None:
        assert found == PostsPerAccount()
        return
    assert found.median is not None and abs(found.median - np.median(list(per_account.values()))) <= 0.5
    assert (found.spread is not None) == told
    if found.spread is not None:
        assert found.spread == (15, 35, 84, 104)  # and neither the least nor the most
