"""First posts: what a model says without the past, whose number of earlier posts is known, and cells that are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from postmill.train.data.modality import Modality, in_memory
from postmill.train.evaluation import coverage, metrics
from postmill.train.evaluation.probes import first_posts
from postmill.train.evaluation.schema_splits import CoverageRow
from postmill.train.evaluation.slices import TOO_SMALL, Division, Slices
from postmill.train.models.problem import Scores
from tests.train.evaluation.drawn import judged, random_posts

POSTS = 30


def modality(name: str) -> Modality:
    values = np.arange(POSTS, dtype=np.float32)[:, None]
    return in_memory(name, ("one",), values, np.arange(POSTS) % 3 > 0, before_publication=True)


def test_the_past_of_every_post_is_taken_away_and_nothing_else() -> None:
    shown = {name: modality(name) for name in ("text", "history")}

    def score(without: Mapping[str, Modality]) -> Scores:
        assert not without["history"].present.any()
        assert without["text"] is shown["text"]
        return Scores(np.ones(4))

    assert (first_posts.scores(score, shown, Scores(np.zeros(4))).predicted == 1).all()
    assert shown["history"].present.sum() == 20  # what other models are shown is as it was


def test_a_model_without_history_is_not_asked_again() -> None:
    def never(shown: Mapping[str, Modality]) -> Scores:
        raise AssertionError

    complete = Scores(np.zeros(4), np.ones(4), np.ones(4))
    assert first_posts.scores(never, {"text": modality("text")}, complete) is complete


def test_first_posts_have_the_intervals_that_are_predicted_for_them() -> None:
    part = replace(random_posts(1), first_low=np.zeros(200), first_high=np.ones(200), low=np.ones(200))
    first = metrics.as_first_posts(part)
    assert first is not None and first.low is not None and first.high is not None
    assert (first.predicted == part.first).all() and (first.low == 0).all() and (first.high == 1).all()
    assert metrics.as_first_posts(replace(part, first=None)) is None


def rows_of(earlier: object, accounts: object, followers: object = 0) -> dict[str, tuple[CoverageRow, ...]]:
    n = len(np.asarray(earlier))
    true = np.where(np.arange(n) % 4, 0.0, 5.0)  # three in four are inside
    part = judged(true, np.zeros(n), accounts, low=np.full(n, -1.0), high=np.ones(n), earlier_posts=earlier)
    tiers = Division(("few", "many"), np.broadcast_to(np.asarray(followers, dtype=np.int32), n))
    found = coverage.by_kind(part, Slices({"followers": tiers}))
    assert found is not None
    return found


def test_coverage_by_number_of_earlier_posts_counts_what_is_inside() -> None:
    earlier = np.repeat([0, 2, 3, 20, 21, -1], [20, 100, 60, 60, 120, 100])
    rows = rows_of(earlier, np.arange(len(earlier)) % 40)["earlier_posts"]
    assert [(row.name, row.posts, row.accounts) for row in rows] == [
        *(("0", 20, 20), ("1 to 2", 100, 40), ("3 to 20", 120, 40), ("21 and more", 120, 40), ("not known", 100, 40)),
    ]
    assert [row.share for row in rows] == pytest.approx([0.75] * 5)
    assert [row.interval is None for row in rows] == [True, False, False, False, False]


def test_a_cell_of_few_accounts_or_posts_is_not_shown() -> None:
    earlier = np.repeat([0, 1, 5, 30], [19, 99, 200, 100])
    accounts = np.concatenate([np.arange(19), np.arange(99), np.arange(200) % 19, np.arange(100)])
    rows = rows_of(earlier, accounts)["earlier_posts"]
    assert [(row.name, row.posts, row.share) for row in rows] == [
        ("21 and more", 100, pytest.approx(0.75, abs=0.02)),
        (TOO_SMALL, 318, None),
    ]


def test_coverage_by_followers_is_that_of_each_tier() -> None:
    n = 400
    rows = rows_of(np.zeros(n), np.arange(n) % 50, np.arange(n) % 4 == 0)["followers"]
    assert [(row.name, row.posts, row.share) for row in rows] == [("few", 300, 1.0), ("many", 100, 0.0)]


def test_a_model_without_intervals_has_no_coverage() -> None:
    assert coverage.by_kind(random_posts(2), Slices({"followers": Division(("few",), np.zeros(200, np.int32))})) is None
