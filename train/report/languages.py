"""The languages of a run's captions, as far as they are told: of a sample, and of no few people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from postmill.shards.formats import posts
from postmill.shards.indicators.languages import languages as languages_of
from postmill.shards.indicators.languages import languages_can_be_told
from postmill.shards.run.folder import Run
from postmill.train.evaluation import cells
from postmill.train.evaluation.cells import Cell

SAMPLE = 20_000
"""Captions that are looked at, at most."""


@dataclass(frozen=True)
class Language:
    """A language, by its ISO 639-1 code: how many of the captions looked at are in it, and of how many accounts."""

    name: str
    posts: int
    accounts: int

    @property
    def words(self) -> str:
        """What it is called on a page."""
        return _NAMES.get(self.name, self.name)


_NAMES = {
    **{"en": "English", "es": "Spanish", "pt": "Portuguese", "fr": "French", "de": "German", "it": "Italian"},
    **{"nl": "Dutch", "ru": "Russian", "ja": "Japanese", "ko": "Korean", "zh": "Chinese", "id": "Indonesian"},
    **{"tr": "Turkish", "ar": "Arabic", "pl": "Polish", "sv": "Swedish", "da": "Danish", "no": "Norwegian"},
}


@dataclass(frozen=True)
class Languages:
    """Languages of captions.

    Attributes:
        looked_at: Captions in the sample.
        shown: Those that are shown (:func:`.cells.shown`), with the most posts first.
        others, other_accounts: Posts and accounts of all others together.
    """

    looked_at: int
    shown: tuple[Language, ...]
    others: int
    other_accounts: int


def languages(run: Run, shards: Sequence[int], number: int) -> Languages | None:
    """Return the languages of at most :data:`SAMPLE` of ``number`` posts in ``shards``, evenly spread.

    None where languages cannot be told (the extra is not installed) or there is no post.

    Raises:
        PostmillError: A shard cannot be read.
    """
    if not languages_can_be_told() or not number:
        return None
    sample = np.unique(np.linspace(0, number - 1, min(number, SAMPLE)).astype(np.int64))
    per_language: dict[str, int] = {}
    accounts: dict[str, set[str]] = {}
    start = 0
    for shard in shards:
        table = posts.read_records(run, shard, ["caption", "influencer"])
        rows = sample[(sample >= start) & (sample < start + table.num_rows)] - start
        start += table.num_rows
        chosen = table.take(rows)
        told = languages_of([caption or "" for caption in chosen["caption"].to_pylist()])
        for language, account in zip(told, chosen["influencer"].to_pylist(), strict=True):
            per_language[language] = per_language.get(language, 0) + 1
            accounts.setdefault(language, set()).add(account)
    names = sorted(per_language, key=lambda name: (-per_language[name], name))
    sizes = [Cell(per_language[name], accounts[name]) for name in names]
    showing = cells.shown(sizes)
    shown = tuple(
        Language(name, of.posts, len(of.accounts))
        for name, of, shows in zip(names, sizes, showing, strict=True)
        if shows
    )
    others = cells.joined([of for of, shows in zip(sizes, showing, strict=True) if not shows])
    return Languages(len(sample), shown, others.posts, len(others.accounts))
