"""Kinds of posts by which errors are told apart: the account's category, its reach, and the caption's language.

Languages are told by py3langid, which is an extra; without it, and for captions too short to tell, there is no guess.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shards import posts
from shards.run import Run
from train import metrics
from train.metrics import Predicted

MIN_ACCOUNTS, MIN_POSTS = 20, 100
"""A cell with fewer is not shown, so that no number is that of a few people."""

TIERS: Mapping[str, float] = {
    "below 10,000 followers": 10_000,
    "10,000 to 100,000": 100_000,
    "100,000 to 1 million": 1_000_000,
    "1 million and more": float("inf"),
}
NOT_KNOWN, TOO_SHORT = "not known", "too short to tell"
LANGUAGE_SAMPLE = 200_000
"""Languages are told for at most so many posts, evenly spread."""

MIN_LETTERS = 20


@dataclass(frozen=True)
class Kinds:
    """The kinds of N posts: for each division, its names and the number of each post's, -1 for none."""

    divisions: Mapping[str, tuple[tuple[str, ...], npt.NDArray[np.int16]]]

    def take(self, chosen: npt.NDArray[Any]) -> Kinds:
        """Return the kinds of the chosen posts."""
        return Kinds({name: (names, codes[chosen]) for name, (names, codes) in self.divisions.items()})


def languages_can_be_told() -> bool:
    """Say whether the language detector is installed."""
    return importlib.util.find_spec("py3langid") is not None


def kinds(run: Run, shards: tuple[int, ...], rows: npt.NDArray[np.int64]) -> Kinds:
    """Return the kinds of ``rows``, shape (N,), among the posts of ``shards``."""
    tables = [posts.read_records(run, shard, ["category", "followers"]) for shard in shards]
    table = pa.concat_tables(tables).take(pa.array(rows))
    category = pc.fill_null(table["category"], NOT_KNOWN).combine_chunks().dictionary_encode()
    order = np.argsort(np.array(category.dictionary.to_pylist(), dtype=object).astype(str), kind="stable")
    place = np.empty(len(order), dtype=np.int16)
    place[order] = np.arange(len(order))
    names = tuple(category.dictionary.to_pylist()[n] for n in order)
    followers = pc.fill_null(table["followers"].cast(pa.float64()), float("nan")).to_numpy()
    tier = np.searchsorted(list(TIERS.values()), np.nan_to_num(followers), side="right").astype(np.int16)
    divisions = {
        "category": (names, place[category.indices.to_numpy()]),
        "followers": ((*TIERS, NOT_KNOWN), np.where(np.isnan(followers), len(TIERS), tier).astype(np.int16)),
    }
    if languages_can_be_told():
        divisions["language"] = _languages(run, shards, rows)
    return Kinds(divisions)


def _languages(
    run: Run, shards: tuple[int, ...], rows: npt.NDArray[np.int64]
) -> tuple[tuple[str, ...], npt.NDArray[np.int16]]:
    wanted = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), LANGUAGE_SAMPLE)).astype(np.int64))
    codes = np.full(len(rows), -1, dtype=np.int16)
    names: dict[str, int] = {}
    told = _told(run, shards, rows[wanted])
    for at, language in zip(wanted, told, strict=True):
        codes[at] = names.setdefault(language, len(names))
    return tuple(names), codes


def _told(run: Run, shards: tuple[int, ...], rows: npt.NDArray[np.int64]) -> Iterator[str]:
    start, done = 0, 0
    for shard in shards:
        captions = posts.read_records(run, shard, ["caption"])["caption"]
        own = rows[done : done + int(np.searchsorted(rows[done:], start + len(captions)))]
        for caption in captions.take(pa.array(own - start)).to_pylist():
            yield language(caption or "")
        start, done = start + len(captions), done + len(own)


def language(caption: str) -> str:
    """Return the ISO 639-1 code of the caption's likeliest language, or :data:`TOO_SHORT`.

    Mentions, tags and links are names, not language, and are left out.
    """
    import py3langid

    words = [word for word in caption.split() if not word.startswith(("#", "@", "http"))]
    text = " ".join(words)
    if sum(unicodedata.category(letter).startswith("L") for letter in text) < MIN_LETTERS:
        return TOO_SHORT
    return str(py3langid.classify(text)[0])


def errors(part: Predicted, of: Kinds) -> dict[str, list[dict[str, Any]]]:
    """Return, by division, the errors of each kind with enough accounts and posts; the others as one, without errors.

    Args:
        part: N test posts.
        of: Their kinds.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for division, (names, codes) in of.divisions.items():
        cells: list[dict[str, Any]] = []
        small = 0
        for code, name in enumerate(names):
            at = np.flatnonzero(codes == code)
            accounts = len(np.unique(part.accounts[at]))
            if accounts < MIN_ACCOUNTS or len(at) < MIN_POSTS:
                small += len(at)
                continue
            own = Predicted(part.true[at], part.predicted[at], part.accounts[at], part.seeds[at])
            numbers = {key: metrics.value(own, key) for key in ("mse", "mae", "r2", "spearman")}
            bias = float(np.mean(own.predicted - own.true))
            cells.append({"name": name, "posts": len(at), "accounts": accounts, "bias": bias, **numbers})
        cells.sort(key=lambda cell: (-cell["posts"], cell["name"]))
        found[division] = cells
        if small:
            found[division].append({"name": "kinds with too few accounts or posts to show", "posts": small})
    return found
