"""Which posts are of one account, and which are near-duplicates, gathered shard by shard as hashes and sketches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.train.data import groups, hashing, near_duplicates, sketches
from postmill.train.data.arrays import Ids, Rows
from postmill.train.data.modality import Modality
from postmill.train.options import ModalityName


@dataclass
class _Tokens:
    """Tokens of posts, and the rows that have them: what groups are made from."""

    rows: list[Rows] = field(default_factory=list)
    tokens: list[Ids] = field(default_factory=list)

    def add(self, rows: Rows, tokens: Ids) -> None:
        """Take the token beside each row, shape (M,) both."""
        self.rows.append(rows.astype(np.int64))
        self.tokens.append(tokens.astype(np.uint64))

    def add_pairs(self, pairs: Rows) -> None:
        """Take pairs of rows, shape (M, 2), each of which is given a token of its own."""
        self.add(pairs.reshape(-1), np.repeat(pairs[:, 0] << 32 | pairs[:, 1], 2))

    def copy(self) -> _Tokens:
        """Return tokens that are added to without these."""
        return _Tokens([*self.rows], [*self.tokens])

    def __add__(self, other: _Tokens) -> _Tokens:
        return _Tokens([*self.rows, *other.rows], [*self.tokens, *other.tokens])

    def group_ids(self, names: pa.Array) -> Ids:
        """Return the id of the group of each of N posts, given what a group is named after: N strings."""
        labels = groups.components(len(names), np.concatenate(self.rows), np.concatenate(self.tokens))
        return groups.group_ids(labels, names)


class Accounts:
    """Which posts are of one account, gathered shard by shard: two names with one owner id are one."""

    def __init__(self) -> None:
        self._posts, self._tokens = 0, _Tokens()

    def add(self, table: pa.Table) -> None:
        """Take the posts of the next shard: ``influencer`` and ``owner_id``."""
        for rows, tokens in _account_tokens(table):
            self._tokens.add(rows + self._posts, tokens)
        self._posts += table.num_rows

    def ids(self, influencers: pa.Array) -> Ids:
        """Return the account id of each post."""
        return self._tokens.group_ids(influencers)


class Links:
    """Which posts belong together, gathered shard by shard as hashes so that no text stays in memory."""

    def __init__(self) -> None:
        self._posts = 0
        self._accounts, self._duplicates, self._reposts = Accounts(), _Tokens(), _Tokens()

    def add(self, table: pa.Table) -> None:
        """Take the posts of the next shard."""
        self._accounts.add(table)
        kinds: tuple[tuple[_Tokens, Callable[[pa.Table], Iterator[tuple[Rows, Ids]]]], ...] = (
            (self._duplicates, _duplicate_tokens),
            (self._reposts, _repost_tokens),
        )
        for links, tokens_of in kinds:
            for rows, tokens in tokens_of(table):
                links.add(rows + self._posts, tokens)
        self._posts += table.num_rows

    def accounts(self, influencers: pa.Array) -> Ids:
        """Return the account id of each post."""
        return self._accounts.ids(influencers)

    def near_duplicates(self, keys: pa.Array, accounts: Ids, seen: Mapping[str, Modality]) -> tuple[Ids, Ids]:
        """Return the id of each post's group of near-duplicates, within its account and at any."""
        links = self._duplicates.copy()
        reposts = self._reposts.copy()
        if ModalityName.IMAGE in seen:
            found = {name: near_duplicates.compared(sketches.sketch(each), accounts) for name, each in seen.items()}
            pictures, captions = found[ModalityName.IMAGE], found.get(ModalityName.TEXT)
            links.add_pairs(near_duplicates.within_accounts(accounts, pictures, captions))
            reposts.add_pairs(near_duplicates.across_accounts(accounts, pictures, captions))
        return links.group_ids(keys), (links + reposts).group_ids(keys)


def _account_tokens(table: pa.Table) -> Iterator[tuple[Rows, Ids]]:
    """Yield rows and tokens of account names and of owner ids: a renamed account has two names and one id."""
    for column in ("influencer", "owner_id"):
        values = table[column].combine_chunks()
        known = np.flatnonzero(pc.fill_null(pc.not_equal(values, ""), False).to_numpy(zero_copy_only=False))
        yield known, hashing.hashes(column, values.take(pa.array(known)))


def _duplicate_tokens(table: pa.Table) -> Iterator[tuple[Rows, Ids]]:
    """Yield rows and tokens of picture names and captions, within their accounts."""
    yield _tokens_of(table, near_duplicates.tokens)


def _repost_tokens(table: pa.Table) -> Iterator[tuple[Rows, Ids]]:
    """Yield rows and tokens of picture names and captions that other accounts may share."""
    yield _tokens_of(table, lambda _, pictures, caption: near_duplicates.tokens_of_anybody(pictures, caption))


def _tokens_of(table: pa.Table, tokens_of: Callable[[str, list[str], str | None], list[int]]) -> tuple[Rows, Ids]:
    columns = (table[name].to_pylist() for name in ("influencer", "images", "missing_images", "caption"))
    rows, tokens = [], []
    for row, (account, images, missing, caption) in enumerate(zip(*columns, strict=True)):
        of_post = tokens_of(account, [*images, *missing], caption)
        rows += [row] * len(of_post)
        tokens += of_post
    return np.array(rows, dtype=np.int64), np.array(tokens, dtype=np.uint64)
