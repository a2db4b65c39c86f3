"""What the data of a run is, in numbers that name no one: counts, losses, and how the target is spread.

Numbers of a part of the accounts keep to :mod:`.cells`. Counts of the ledger, of what was lost, left out or wrong, are
exact however small: they are of files, and must add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats import embeddings, faults, plan, posts
from postmill.shards.formats.blank import VISIBLE
from postmill.shards.formats.encoders import encoders_of
from postmill.shards.formats.reasons import PICTURE_FAULTS
from postmill.shards.run.chosen import ALL
from postmill.shards.run.folder import Run
from postmill.train.data import target
from postmill.train.data.target import Definition
from postmill.train.evaluation import cells
from postmill.train.evaluation.cells import Cell, Histogram
from postmill.train.report import languages
from postmill.train.report.languages import Languages

HISTOGRAM_BINS = 24
_COLUMNS = ("influencer", "category", "taken_at", "caption", "images", "missing_images", *target.COLUMNS)
NO_CATEGORY = "not known"
SPREAD_ACCOUNTS = 100
_OF_PICTURES = {"images_encoded", "images_left_out"}  # scalars of every encoder that decodes pictures


@dataclass(frozen=True)
class Category:
    """A category of accounts: its posts and its accounts."""

    name: str
    posts: int
    accounts: int


@dataclass(frozen=True)
class PostsPerAccount:
    """How many posts accounts have.

    The least and the most are of single accounts, and are not told.

    Attributes:
        median: None below :data:`.cells.MIN_ACCOUNTS` accounts.
        spread: What 5, 25, 75 and 95 % of the accounts do not exceed; None below :data:`SPREAD_ACCOUNTS` accounts, of
            which a twentieth is five.
    """

    median: int | None = None
    spread: tuple[int, ...] | None = None


@dataclass(frozen=True)
class DataSummary:
    """The data of a run.

    Attributes:
        planned_shards, shards: Post shards in the plan, and done.
        mapped: Posts that the mapping lists.
        posts: Posts in the finished shards.
        lost: Mapped posts that are in no shard, by reason, as far as shards are done.
        waiting: Mapped posts that are in none until their bytes in the archive are others.
        not_chosen: Mapped posts that the selection leaves out, as far as shards are done.
        without_time: Those of them that have no time, where a span of time is asked for.
        selection: What was chosen, as it is told; None where that is everything.
        faults: Faults by reason, lost posts included.
        accounts: Number of account names.
        account_posts: How many posts accounts have.
        text_only: Whether no pictures were asked for.
        images, missing_images: Pictures in the shards, and pictures the mapping lists that are not in them.
        unusable_images: Pictures in the shards that no encoder can use; None where none has looked at all shards.
        without_image, without_caption: Posts.
        left_out: Posts without a target, by reason.
        categories: Those that are shown (:func:`.cells.shown`), with the most posts first.
        hidden_categories: How many others there are.
        hidden: Their posts and accounts, together.
        first, last: Times of publication, seconds since 1970 UTC; None where no post has one.
        times_out_of_range: Posts with a time that no post can have.
        definition: What the target is.
        histogram: Of the target.
        languages: Of captions; None where they cannot be told.
    """

    planned_shards: int
    shards: int
    mapped: int
    posts: int
    lost: Mapping[str, int]
    waiting: int
    not_chosen: int
    without_time: int
    selection: str | None
    faults: Mapping[str, int]
    accounts: int
    account_posts: PostsPerAccount
    text_only: bool
    images: int
    missing_images: int
    unusable_images: int | None
    without_image: int
    without_caption: int
    left_out: Mapping[str, int]
    categories: tuple[Category, ...]
    hidden_categories: int
    hidden: Category
    first: int | None
    last: int | None
    times_out_of_range: int
    definition: Definition
    histogram: Histogram
    languages: Languages | None = None

    @property
    def with_target(self) -> int:
        """Posts with a target."""
        return self.posts - sum(self.left_out.values())

    @property
    def complete(self) -> bool:
        """Whether every planned post shard is done."""
        return self.shards == self.planned_shards

    @property
    def adds_up(self) -> bool | None:
        """Whether mapped posts = posts in shards + lost + waiting + not chosen; None while shards are missing."""
        if not self.complete:
            return None
        return self.mapped == self.posts + sum(self.lost.values()) + self.waiting + self.not_chosen


def summarise(run: Run, definition: Definition | None = None) -> DataSummary:
    """Return the summary of the run's finished post shards, and of the target; None for the usual one.

    Raises:
        UsageError: There is no finished plan.
        PostmillError: A shard cannot be read.
    """
    definition = definition or Definition()
    planned = plan.counts(run)
    done = list(posts.done_shards(run, planned.shards))
    per_account: Counter[str] = Counter()
    per_category: Counter[str] = Counter()
    members: dict[str, set[str]] = {}
    left_out: Counter[str] = Counter()
    codes: dict[str, int] = {}
    values, accounts, times = [np.empty(0)], [np.empty(0, np.uint64)], []
    images = missing = without_image = without_caption = times_out_of_range = 0
    for shard in done:
        table = posts.read_records(run, shard, _COLUMNS)
        per_account.update(table["influencer"].to_pylist())
        for name, account in zip(table["category"].to_pylist(), table["influencer"].to_pylist(), strict=True):
            per_category[name or NO_CATEGORY] += 1
            members.setdefault(name or NO_CATEGORY, set()).add(account)
        images += _sum(pc.list_value_length(table["images"]))
        missing += _sum(pc.list_value_length(table["missing_images"]))
        without_image += _sum(pc.equal(pc.list_value_length(table["images"]), 0))
        without_caption += _sum(pc.invert(pc.match_substring_regex(pc.fill_null(table["caption"], ""), VISIBLE)))
        engagement = target.engagement(table, definition)
        left_out.update(engagement.left_out)
        known = ~np.isnan(engagement.values)
        code = [codes.setdefault(account, len(codes)) for account in table["influencer"].to_pylist()]
        values.append(engagement.values[known])
        accounts.append(np.array(code, dtype=np.uint64)[known])
        taken_at = target.times(table["taken_at"])
        if not np.isnan(taken_at).all():
            times += [int(np.nanmin(taken_at)), int(np.nanmax(taken_at))]
        times_out_of_range += target.times_out_of_range(table["taken_at"])
    by_reason, lost, waiting = _faults(run, planned.shards)
    made = [counts for shard in done if (counts := posts.counts(run, shard)) is not None]
    categories, hidden = _categories(per_category, members)
    return DataSummary(
        planned_shards=planned.shards,
        shards=len(done),
        mapped=planned.mapped_posts,
        posts=sum(per_account.values()),
        lost=lost,
        waiting=waiting,
        not_chosen=planned.not_chosen + sum(counts.not_chosen for counts in made),
        without_time=sum(counts.without_time for counts in made),
        selection=None if run.options.chosen == ALL else str(run.options.chosen),
        faults=by_reason,
        accounts=len(per_account),
        account_posts=_posts_per_account(per_account),
        text_only=run.locations.text_only,
        images=images,
        missing_images=missing,
        unusable_images=_unusable(run, done, by_reason),
        without_image=without_image,
        without_caption=without_caption,
        left_out=dict(sorted(left_out.items())),
        categories=categories,
        hidden_categories=len(per_category) - len(categories),
        hidden=hidden,
        first=min(times, default=None),
        last=max(times, default=None),
        times_out_of_range=times_out_of_range,
        definition=definition,
        histogram=cells.histogram(np.concatenate(values), np.concatenate(accounts), HISTOGRAM_BINS),
        languages=languages.languages(run, done, sum(per_account.values())),
    )


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _sum(column: pa.ChunkedArray) -> int:
    return int(pc.sum(column).as_py() or 0)


def _unusable(run: Run, done: Sequence[int], faults_by_reason: Mapping[str, int]) -> int | None:
    decoding = [encoder for encoder in encoders_of(run) if {*encoder.scalars} >= _OF_PICTURES]
    if not any(all(embeddings.is_done(run, encoder, shard) for shard in done) for encoder in decoding):
        return None
    return sum(faults_by_reason.get(reason, 0) for reason in PICTURE_FAULTS)


def _faults(run: Run, shards: int) -> tuple[dict[str, int], dict[str, int], int]:
    by_reason: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    waiting = 0
    for _, table in faults.tables(run, shards):
        by_reason.update(table["reason"].to_pylist())
        lost.update(table.filter(table["post_lost"])["reason"].to_pylist())
        waiting += _sum(table["post_waits"])
    return dict(sorted(by_reason.items(), key=_most_first)), dict(sorted(lost.items(), key=_most_first)), waiting


def _categories(per_category: Counter[str], members: Mapping[str, Set[str]]) -> tuple[tuple[Category, ...], Category]:
    """Return the categories that are shown, and the others as one without a name."""
    names = [name for name, _ in sorted(per_category.items(), key=_most_first)]
    sizes = [Cell(per_category[name], members[name]) for name in names]
    showing = cells.shown(sizes)
    shown = [
        Category(name, size.posts, len(size.accounts))
        for name, size, shows in zip(names, sizes, showing, strict=True)
        if shows
    ]
    others = cells.joined([size for size, shows in zip(sizes, showing, strict=True) if not shows])
    return tuple(shown), Category("", others.posts, len(others.accounts))


def _posts_per_account(per_account: Mapping[str, int]) -> PostsPerAccount:
    if len(per_account) < cells.MIN_ACCOUNTS:
        return PostsPerAccount()
    low, lower, median, upper, high = map(
        int, np.quantile(list(per_account.values()), [0.05, 0.25, 0.5, 0.75, 0.95], method="nearest")
    )
    return PostsPerAccount(median, (low, lower, upper, high) if len(per_account) >= SPREAD_ACCOUNTS else None)
