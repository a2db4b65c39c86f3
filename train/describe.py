"""What the data of a run is, in numbers that name no one: counts, losses, and how the target is spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards import faults, plan, posts
from shards.run import Run
from train import target

BINS = 24
_COLUMNS = ("influencer", "category", "likes", "comment_count", "taken_at", "caption", "images", "missing_images")
NO_CATEGORY = "not known"


@dataclass(frozen=True)
class DataSummary:
    """The data of a run.

    Attributes:
        planned_shards, shards: Post shards in the plan, and done.
        mapped: Posts that the mapping lists; None where the plan does not say.
        posts: Posts in the finished shards.
        lost: Mapped posts that are in no shard, by reason, as far as shards are done.
        faults: Faults by reason, lost posts included.
        accounts: Number of account names.
        account_posts: Least, first quartile, median, third quartile and most posts of an account.
        images, missing_images: Pictures in the shards, and pictures the mapping lists that could not be had.
        without_image, without_caption: Posts.
        left_out: Posts without a target, by reason.
        categories: Posts and accounts by category, most posts first.
        first, last: Times of publication, seconds since 1970 UTC; None where no post has one.
        edges, counts: Histogram of the target log1p(likes + comments).
    """

    planned_shards: int
    shards: int
    mapped: int | None
    posts: int
    lost: Mapping[str, int]
    faults: Mapping[str, int]
    accounts: int
    account_posts: tuple[int, int, int, int, int]
    images: int
    missing_images: int
    without_image: int
    without_caption: int
    left_out: Mapping[str, int]
    categories: Mapping[str, tuple[int, int]]
    first: int | None
    last: int | None
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether every planned post shard is done."""
        return self.shards == self.planned_shards

    @property
    def adds_up(self) -> bool | None:
        """Whether mapped posts = posts in shards + posts lost; None while shards are missing."""
        if self.mapped is None or not self.complete:
            return None
        return self.mapped == self.posts + sum(self.lost.values())


def describe(run: Run, comment_weight: float = 1.0) -> DataSummary:
    """Return the summary of the run's finished post shards.

    Raises:
        UsageError: There is no finished plan.
        PostmillError: A shard cannot be read.
    """
    counts = plan.manifest(run).counts
    done = list(posts.done_shards(run, counts["shards"]))
    per_account: Counter[str] = Counter()
    per_category: Counter[str] = Counter()
    members: dict[str, set[str]] = {}
    left_out: Counter[str] = Counter()
    values, times = [np.empty(0)], []
    images = missing = without_image = without_caption = 0
    for shard in done:
        table = posts.read_records(run, shard, _COLUMNS)
        per_account.update(table["influencer"].to_pylist())
        for name, account in zip(table["category"].to_pylist(), table["influencer"].to_pylist(), strict=True):
            per_category[name or NO_CATEGORY] += 1
            members.setdefault(name or NO_CATEGORY, set()).add(account)
        images += _sum(pc.list_value_length(table["images"]))
        missing += _sum(pc.list_value_length(table["missing_images"]))
        without_image += _sum(pc.equal(pc.list_value_length(table["images"]), 0))
        without_caption += _sum(
            pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(table["caption"], ""))), 0)
        )
        found = target.engagement(table["likes"], table["comment_count"], comment_weight)
        left_out.update(found.left_out)
        values.append(found.values[~np.isnan(found.values)])
        if table["taken_at"].null_count < table.num_rows:
            times += [pc.min(table["taken_at"]).as_py(), pc.max(table["taken_at"]).as_py()]
    by_reason, lost = _faults(run, counts["shards"])
    heights, edges = _histogram(np.concatenate(values))
    return DataSummary(
        planned_shards=counts["shards"],
        shards=len(done),
        mapped=counts.get("mapped_posts"),
        posts=sum(per_account.values()),
        lost=lost,
        faults=by_reason,
        accounts=len(per_account),
        account_posts=_quartiles(per_account),
        images=images,
        missing_images=missing,
        without_image=without_image,
        without_caption=without_caption,
        left_out=dict(sorted(left_out.items())),
        categories={name: (n, len(members[name])) for name, n in sorted(per_category.items(), key=_most_first)},
        first=min(times, default=None),
        last=max(times, default=None),
        edges=edges,
        counts=heights,
    )


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _sum(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)


def _faults(run: Run, shards: int) -> tuple[dict[str, int], dict[str, int]]:
    by_reason: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for _, table in faults.tables(run, shards):
        by_reason.update(table["reason"].to_pylist())
        lost.update(table.filter(table["post_lost"])["reason"].to_pylist())
    return dict(sorted(by_reason.items(), key=_most_first)), dict(sorted(lost.items(), key=_most_first))


def _quartiles(per_account: Counter[str]) -> tuple[int, int, int, int, int]:
    if not per_account:
        return 0, 0, 0, 0, 0
    found = np.quantile(list(per_account.values()), [0, 0.25, 0.5, 0.75, 1], method="nearest")
    low, lower, middle, upper, high = (int(value) for value in found)
    return low, lower, middle, upper, high


def _histogram(values: target.Floats) -> tuple[tuple[int, ...], tuple[float, ...]]:
    if not len(values):
        return (), ()
    heights, edges = np.histogram(values, bins=BINS)
    return tuple(int(height) for height in heights), tuple(float(edge) for edge in edges)
