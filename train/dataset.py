"""The posts of a run as training sees them: targets, accounts and groups of near-duplicates, but no text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shards import plan, posts
from shards.errors import UsageError
from shards.run import Run
from train import duplicates, history, splits, target
from train.features import Modality
from train.splits import Units

Rows = npt.NDArray[np.int64]

MIN_POSTS = 10
"""With fewer posts there is no test part worth the name."""

_COLUMNS = (
    *("key", "influencer", "owner_id", "caption", "images", "missing_images", "likes", "comment_count"),
    *("taken_at",),
)


@dataclass(frozen=True)
class Dataset:
    """The N posts of the finished post shards that have a target, in the order of the shards.

    Attributes:
        shards: Numbers of the post shards they come from.
        planned_shards: How many post shards the plan has.
        posts: Number of posts in those shards, with and without a target.
        rows: Shape (N,): where each post stands among all ``posts`` rows, which is how features are addressed.
        keys: N keys.
        target: Shape (N,): log1p(likes + w * comments).
        accounts: Shape (N,): id of the account; two names with one owner id are one account.
        groups: Shape (N,): id of the group of near-duplicates.
        taken_at: Shape (N,): seconds since 1970, NaN where not known.
        history: Shape (posts, ``len(history.COLUMNS)``): of every post, with and without a target.
        has_history: Shape (posts,).
        comments: Shape (posts,): log1p of the number of comments, NaN where not known. Part of the target.
        left_out: Posts without a target, by reason.
    """

    shards: tuple[int, ...]
    planned_shards: int
    posts: int
    rows: npt.NDArray[np.int64]
    keys: pa.Array
    target: target.Floats
    accounts: Units
    groups: Units
    taken_at: splits.Times
    history: npt.NDArray[np.float32]
    has_history: npt.NDArray[np.bool_]
    comments: npt.NDArray[np.float32]
    left_out: Mapping[str, int]

    @property
    def split_by(self) -> splits.Posts:
        """What splits need to know of the posts."""
        return splits.Posts(self.accounts, self.groups, self.taken_at)

    @property
    def account_count(self) -> int:
        """Number of accounts."""
        return len(np.unique(self.accounts))


def finished(run: Run) -> tuple[tuple[int, ...], int]:
    """Return the numbers of the finished post shards, and how many are planned.

    Raises:
        UsageError: None is finished.
    """
    planned = plan.manifest(run).counts["shards"]
    shards = tuple(posts.done_shards(run, planned))
    if not shards:
        raise UsageError(
            "has no finished post shard to train on", place=run.folder, hint=f"make them: postmill ingest {run.word}"
        )
    return shards, planned


def load(run: Run, comment_weight: float, pictures: Modality | None = None) -> Dataset:
    """Read what training needs of the records of every finished post shard.

    Args:
        run: The run.
        comment_weight: How many likes a comment counts for in the target.
        pictures: The pictures' embeddings, by which near-duplicates are found; None finds them by names and captions
            alone.

    Raises:
        UsageError: No shard is finished, too few posts have a target, or all targets are equal.
        PostmillError: A shard cannot be read.
    """
    shards, planned = finished(run)
    tables, links = [], _Links()
    for shard in shards:
        table = posts.read_records(run, shard, _COLUMNS)
        links.add(table)
        tables.append(table.select(["key", "influencer", "likes", "comment_count", "taken_at"]))
    records = pa.concat_tables(tables)
    found = target.engagement(records["likes"], records["comment_count"], comment_weight)
    rows = np.flatnonzero(~np.isnan(found.values))
    _check(run, records.num_rows, found, rows)
    keys = records["key"].combine_chunks()
    accounts = links.accounts(records["influencer"].combine_chunks())
    groups = links.groups(keys, accounts, pictures)
    taken_at = target.with_nan(records["taken_at"])
    past, has_past = history.features(accounts, taken_at, found.values)
    return Dataset(
        shards=shards,
        planned_shards=planned,
        posts=records.num_rows,
        rows=rows,
        keys=keys.take(pa.array(rows)),
        target=found.values[rows],
        accounts=accounts[rows],
        groups=groups[rows],
        taken_at=taken_at[rows],
        history=past,
        has_history=has_past,
        comments=np.log1p(np.maximum(target.with_nan(records["comment_count"]), 0.0)).astype(np.float32),
        left_out=found.left_out,
    )


class _Links:
    """Which posts belong together, gathered shard by shard as hashes so that no text stays in memory."""

    def __init__(self) -> None:
        self.posts = 0
        self._accounts: list[tuple[Rows, Units]] = []
        self._duplicates: list[tuple[Rows, Units]] = []

    def add(self, table: pa.Table) -> None:
        """Take the posts of the next shard."""
        for links, found in ((self._accounts, _account_tokens), (self._duplicates, _duplicate_tokens)):
            links += [(rows + self.posts, tokens) for rows, tokens in found(table)]
        self.posts += table.num_rows

    def accounts(self, influencers: pa.Array) -> Units:
        """Return the account id of each post."""
        return splits.unit_ids(self._labels(self._accounts), influencers)

    def groups(self, keys: pa.Array, accounts: Units, pictures: Modality | None) -> Units:
        """Return the id of each post's group of near-duplicates."""
        found = list(self._duplicates)
        if pictures is not None:
            rows, tokens = duplicates.links(accounts, pictures.present, duplicates.sketches(pictures))
            found.append((rows, tokens))
        return splits.unit_ids(self._labels(found), keys)

    def _labels(self, links: list[tuple[Rows, Units]]) -> Rows:
        rows, tokens = (np.concatenate([pair[n] for pair in links]) for n in (0, 1))
        return splits.components(self.posts, rows.astype(np.int64), tokens.astype(np.uint64))


def _account_tokens(table: pa.Table) -> Iterator[tuple[Rows, Units]]:
    """Yield rows and tokens of account names and of owner ids: a renamed account has two names and one id."""
    for column in ("influencer", "owner_id"):
        values = table[column].combine_chunks()
        known = np.flatnonzero(pc.fill_null(pc.not_equal(values, ""), False).to_numpy(zero_copy_only=False))
        yield known, splits.hashes(column, values.take(pa.array(known)))


def _duplicate_tokens(table: pa.Table) -> Iterator[tuple[Rows, Units]]:
    """Yield rows and tokens of picture names and captions, within their accounts."""
    columns = (table[name].to_pylist() for name in ("influencer", "images", "missing_images", "caption"))
    rows, tokens = [], []
    for row, (account, images, missing, caption) in enumerate(zip(*columns, strict=True)):
        found = splits.near_duplicate_tokens(account, [*images, *missing], caption)
        rows += [row] * len(found)
        tokens += found
    yield np.array(rows, dtype=np.int64), np.array(tokens, dtype=np.uint64)


def _check(run: Run, total: int, found: target.Target, rows: npt.NDArray[np.int64]) -> None:
    if len(rows) < MIN_POSTS:
        reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in found.left_out.items())
        raise UsageError(
            f"{len(rows)} of {total} posts have a target"
            + (f" (left out: {reasons})" if reasons else "")
            + f"; training needs {MIN_POSTS}",
            place=run.folder,
            hint=f"ingest more of the archive: postmill ingest {run.word}",
        )
    if np.ptp(found.values[rows]) < 1e-9:
        raise UsageError(
            f"all {len(rows)} posts have the same engagement, so there is nothing to learn",
            place=run.folder,
            hint="look at likes and comment_count in the records, posts/*.parquet",
        )
