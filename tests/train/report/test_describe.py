"""The description of the data is what one counts by hand."""

from __future__ import annotations

from collections.abc import Callable

from postmill.shards.run.folder import Run
from postmill.train.report import describe
from postmill.train.report.describe import Category, Quartiles

MakeRun = Callable[..., Run]


def test_the_description_counts_by_hand(planted_run: MakeRun) -> None:
    run = planted_run(
        posts=20,
        accounts=4,
        lost=2,
        record={
            "influencer": lambda row: "big" if row < 14 else f"small{row % 3}",
            "category": lambda row: None if row < 5 else "food",
            "caption": lambda row: "  " if row == 0 else "text",
            "images": lambda row: [] if row == 1 else ["a.jpg", "b.jpg"],
            "missing_images": lambda row: ["c.jpg"] if row == 1 else [],
            "likes": lambda row: None if row == 2 else 10 * row,
            "taken_at": lambda row: 1_500_000_000 + row,
        },
    )
    summary = describe.summarise(run)
    assert (summary.posts, summary.mapped, summary.lost, summary.adds_up) == (20, 22, {"metadata_missing": 2}, True)
    assert summary.account_posts in (Quartiles(2, 2, 2, 14, 14), Quartiles(2, 2, 2, 2, 14))
    assert (summary.images, summary.missing_images, summary.without_image, summary.without_caption) == (38, 1, 1, 1)
    assert summary.left_out == {"hidden_likes": 1} and sum(summary.counts) == 19
    assert summary.categories == (Category("food", 15, 4), Category("not known", 5, 1))
    assert (summary.first, summary.last) == (1_500_000_000, 1_500_000_019)
