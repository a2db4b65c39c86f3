"""The posts of a run as training sees them: targets, accounts and groups of near-duplicates, but no text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from postmill.shards.formats import plan, posts
from postmill.shards.run.folder import Run
from postmill.shards.runtime.errors import UsageError
from postmill.train.data import history, splits, target
from postmill.train.data.arrays import Floats, Ids, Mask, Matrix, Rows, Times
from postmill.train.data.links import Links
from postmill.train.data.modality import Modality
from postmill.train.data.target import Definition

MIN_TARGETS = 10
"""With fewer posts that have a target there is no test part worth the name."""

_COLUMNS = (
    *("key", "influencer", "owner_id", "caption", "images", "missing_images", "taken_at"),
    *target.COLUMNS,
)


class Finished(NamedTuple):
    """The finished post shards of a run at one time.

    Attributes:
        shards: Their numbers.
        planned: How many post shards the plan has.
        records: The BLAKE3 of the records of each. All that is read of them later has it too, for rows of one table
            are addressed by the numbers that they have in another.
    """

    shards: tuple[int, ...]
    planned: int
    records: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """The N posts of the finished post shards that have a target, in the order of the shards.

    Attributes:
        shards: Numbers of the post shards they come from.
        planned_shards: How many post shards the plan has.
        posts: Number of posts in those shards, with and without a target.
        rows: Shape (N,): the position of each post among all ``posts`` rows, which is how features are addressed.
        keys: N keys.
        target: Shape (N,), of :func:`.target.engagement`.
        accounts: Shape (N,): id of the account; two names with one owner id are one account.
        near_duplicates: Shape (N,): id of the group of near-duplicates, each within one account.
        reposts: Shape (N,): likewise, of near-duplicates at any account.
        taken_at: Shape (N,): seconds since 1970, NaN where not known.
        times_out_of_range: How many of the ``posts`` have a time that no post can have, which counts as not known.
        history: Shape (posts, ``len(history.COLUMNS)``): of every post, with and without a target.
        has_history: Shape (posts,).
        comments: Shape (posts,): log1p of the number of comments, NaN where not known. Never a feature of a forecast.
        left_out: Posts without a target, by reason.
        records: The BLAKE3 of the records of each post shard.
    """

    shards: tuple[int, ...]
    planned_shards: int
    posts: int
    rows: Rows
    keys: pa.Array
    target: Floats
    accounts: Ids
    near_duplicates: Ids
    reposts: Ids
    taken_at: Times
    times_out_of_range: int
    history: Matrix
    has_history: Mask
    comments: Matrix
    left_out: Mapping[str, int]
    records: tuple[str, ...]

    @property
    def finished(self) -> Finished:
        """The post shards they come from, as they were when they were read."""
        return Finished(self.shards, self.planned_shards, self.records)

    @property
    def split_by(self) -> splits.Posts:
        """What splits need to know of the posts."""
        return splits.Posts(self.accounts, self.near_duplicates, self.taken_at, self.reposts)

    @property
    def account_count(self) -> int:
        """Number of accounts."""
        return len(np.unique(self.accounts))

    @property
    def cross_account_groups(self) -> int:
        """Number of groups of near-duplicates of which two accounts or more have a post."""
        pairs = np.unique(np.column_stack([self.reposts, self.accounts]), axis=0)
        return int((np.unique(pairs[:, 0], return_counts=True)[1] > 1).sum())


def finished(run: Run) -> Finished:
    """Return which post shards are finished.

    Raises:
        UsageError: None is finished.
        PostmillError: A manifest cannot be read.
    """
    planned = plan.counts(run).shards
    shards = tuple(posts.done_shards(run, planned))
    if not shards:
        raise UsageError(
            "has no finished post shard to train on", place=run.folder, hint=f"make them: postmill ingest {run.word}"
        )
    return Finished(shards, planned, tuple(posts.records_hash(run, shard) for shard in shards))


def load(
    run: Run, definition: Definition, seen: Mapping[str, Modality] | None = None, of: Finished | None = None
) -> Dataset:
    """Read what training needs of the records of every finished post shard.

    Args:
        run: The run.
        definition: What is predicted.
        seen: The embeddings by which near-duplicates are found: ``image``, and ``text`` beside it. Without pictures
            they are found by names and captions alone.
        of: The post shards that ``seen`` are of; None for those that are finished now.

    Raises:
        UsageError: No shard is finished, too few posts have a target, or all targets are equal.
        PostmillError: A shard cannot be read.
    """
    shards, planned, hashes = of or finished(run)
    tables, links = [], Links()
    for shard, expected in zip(shards, hashes, strict=True):
        table = posts.read_records(run, shard, _COLUMNS, expected)
        links.add(table)
        tables.append(table.select(["key", "influencer", "taken_at", *target.COLUMNS]))
    records = pa.concat_tables(tables)
    engagement = target.engagement(records, definition)
    rows = np.flatnonzero(~np.isnan(engagement.values))
    _check(run, records.num_rows, engagement, rows)
    keys = records["key"].combine_chunks()
    accounts = links.accounts(records["influencer"].combine_chunks())
    duplicates, reposts = links.near_duplicates(keys, accounts, seen or {})
    taken_at = target.times(records["taken_at"])
    past, has_past = history.of_posts(accounts, taken_at, engagement.values)
    return Dataset(
        shards=shards,
        planned_shards=planned,
        posts=records.num_rows,
        rows=rows,
        keys=keys.take(pa.array(rows)),
        target=engagement.values[rows],
        accounts=accounts[rows],
        near_duplicates=duplicates[rows],
        reposts=reposts[rows],
        taken_at=taken_at[rows],
        history=past,
        has_history=has_past,
        times_out_of_range=target.times_out_of_range(records["taken_at"]),
        comments=np.log1p(np.maximum(target.with_nan(records["comment_count"]), 0.0)).astype(np.float32),
        left_out=engagement.left_out,
        records=hashes,
    )


def _check(run: Run, total: int, engagement: target.Target, rows: Rows) -> None:
    if len(rows) < MIN_TARGETS:
        reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in engagement.left_out.items())
        raise UsageError(
            f"{len(rows)} of {total} posts have a target"
            + (f" (left out: {reasons})" if reasons else "")
            + f"; training needs {MIN_TARGETS}",
            place=run.folder,
            hint="name a dataset with more posts that have likes, or ingest what of this one is not done yet",
        )
    if np.ptp(engagement.values[rows]) < 1e-9:
        raise UsageError(
            f"all {len(rows)} posts have the same engagement, so there is nothing to learn",
            place=run.folder,
            hint="look at likes and comment_count in the records, posts/*.parquet",
        )
