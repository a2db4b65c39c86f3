"""Errors by slice of the test posts: by the account's category, its reach, and the caption's language.

Languages are told by an extra (:mod:`.indicators.languages`); without it, and for captions too short to tell, there is
no guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from postmill.shards.formats import posts
from postmill.shards.formats.bounds import MAX_COUNT
from postmill.shards.indicators import languages as detected
from postmill.shards.run.folder import Run
from postmill.train.data import target
from postmill.train.data.arrays import Rows
from postmill.train.data.dataset import Finished
from postmill.train.evaluation import cells, metrics
from postmill.train.evaluation.measures import Predicted
from postmill.train.evaluation.schema_splits import SliceErrors

TIERS: Mapping[str, float] = {
    "below 10,000 followers": 10_000,
    "10,000 to 100,000": 100_000,
    "100,000 to 1 million": 1_000_000,
    "1 million and more": float("inf"),
}
NOT_KNOWN = "not known"
TOO_SMALL = "kinds not shown, of too few accounts or posts to be told apart"
LANGUAGE_SAMPLE = 200_000
"""Languages are told for at most so many posts, evenly spread."""


@dataclass(frozen=True)
class Division:
    """How N posts divide into slices.

    Attributes:
        names: Of the slices.
        codes: Shape (N,), the index of each post's slice in ``names``, -1 for none.
    """

    names: tuple[str, ...]
    codes: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Slices:
    """The slices of N posts, by division: ``category``, ``followers`` and, where it can be told, ``language``."""

    divisions: Mapping[str, Division]

    def take(self, rows: Rows) -> Slices:
        """Return the slices of the posts at ``rows``."""
        return Slices({name: replace(of, codes=of.codes[rows]) for name, of in self.divisions.items()})


def languages_can_be_told() -> bool:
    """Say whether the language detector is installed."""
    return detected.languages_can_be_told()


def slices(run: Run, of: Finished, rows: Rows) -> Slices:
    """Return the slices of ``rows``, shape (N,), among the posts of the finished post shards ``of``.

    Raises:
        PostmillError: Records cannot be read, or are others than ``of`` says.
    """
    tables = list(_records(run, of, ["category", "followers"]))
    table = pa.concat_tables(tables).take(pa.array(rows))
    divisions = {"category": _categories(table["category"]), "followers": _tiers(table["followers"])}
    if languages_can_be_told():
        divisions["language"] = _languages(run, of, rows)
    return Slices(divisions)


def _categories(column: pa.ChunkedArray) -> Division:
    encoded = pc.fill_null(column, NOT_KNOWN).combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    order = np.argsort(np.array(names, dtype=object).astype(str), kind="stable")
    code = np.empty(len(order), dtype=np.int32)
    code[order] = np.arange(len(order))
    return Division(tuple(names[n] for n in order), code[encoded.indices.to_numpy()])


def _tiers(column: pa.ChunkedArray) -> Division:
    followers = target.with_nan(column)
    known = (followers >= 0) & (followers <= MAX_COUNT)
    tier = np.searchsorted(list(TIERS.values()), np.where(known, followers, 0.0), side="right")
    return Division((*TIERS, NOT_KNOWN), np.where(known, tier, len(TIERS)).astype(np.int32))


def _records(run: Run, of: Finished, columns: Sequence[str]) -> Iterator[pa.Table]:
    for shard, records in zip(of.shards, of.records, strict=True):
        yield posts.read_records(run, shard, columns, records)


def _languages(run: Run, of: Finished, rows: Rows) -> Division:
    sample = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), LANGUAGE_SAMPLE)).astype(np.int64))
    codes = np.full(len(rows), -1, dtype=np.int32)
    names: dict[str, int] = {}
    done = 0
    for captions in _captions(run, of, rows[sample]):
        for index, name in zip(sample[done : done + len(captions)], detected.languages(captions), strict=True):
            codes[index] = names.setdefault(name, len(names))
        done += len(captions)
    return Division(tuple(names), codes)


def _captions(run: Run, of: Finished, rows: Rows) -> Iterator[list[str]]:
    """Yield the captions of the posts at ``rows``, which ascend, those of a post shard at a time."""
    start, done = 0, 0
    for table in _records(run, of, ["caption"]):
        captions = table["caption"]
        end = done + int(np.searchsorted(rows[done:], start + len(captions)))
        yield [caption or "" for caption in captions.take(pa.array(rows[done:end] - start)).to_pylist()]
        start, done = start + len(captions), end


def errors(part: Predicted, of: Slices) -> dict[str, tuple[SliceErrors, ...]]:
    """Return, by division, the errors of each slice that is shown (:func:`.cells.shown`), the largest first.

    The posts of the others stand together in a last row without errors.

    Args:
        part: N test posts.
        of: Their slices.
    """
    return {name: tuple(_errors_of(part, division)) for name, division in of.divisions.items()}


def _errors_of(part: Predicted, division: Division) -> Iterator[SliceErrors]:
    rows_of = {name: np.flatnonzero(division.codes == code) for code, name in enumerate(division.names)}
    showing = cells.shown(cells.of_rows(part.accounts, list(rows_of.values())))
    shown = {name: rows for (name, rows), shows in zip(rows_of.items(), showing, strict=True) if shows}
    yield from sorted(
        (_errors(name, part.of(rows)) for name, rows in shown.items()), key=lambda row: (-row.posts, row.name)
    )
    rest = sum(len(rows) for name, rows in rows_of.items() if name not in shown)
    if rest:
        yield SliceErrors(TOO_SMALL, rest)


def _errors(name: str, part: Predicted) -> SliceErrors:
    return SliceErrors(
        name=name,
        posts=len(part.true),
        accounts=len(np.unique(part.accounts)),
        bias=float(np.mean(part.predicted - part.true)),
        metrics={key: metrics.value(part, key) for key, metric in metrics.METRICS.items() if metric.in_slices},
    )
