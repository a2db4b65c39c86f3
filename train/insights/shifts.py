"""Which words make the difference between two groups: word shifts over a published list.

The tone of a group's words is the mean over all of them that the list has. The difference of two groups is the sum over
words of how much more often the second uses a word, times how far the word's own tone lies from that of the first
(Dodds et al., *Temporal patterns of happiness and information in a global social network*, 2011). A few words may make
all of it and mean something else here, so the difference is told without the three strongest too (Jaidka et al.,
*Estimating geographic subjective well-being from Twitter*, 2020).

Encoders keep the numbers of the words they found, so no text is read here. A word is named where so many posts of so
many accounts have it, in each of the groups, as a number may be of; and so many have not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from postmill.shards.formats.encoders import Encoder
from postmill.shards.indicators.tables import ShiftRow, ToneRow, WordRow
from postmill.shards.run.folder import Run
from postmill.train.data.arrays import Floats, Mask, Rows
from postmill.train.evaluation import cells, intervals
from postmill.train.evaluation.measures import Measure
from postmill.train.insights import columns
from postmill.train.insights.guard import MOST_SHARE, Codes, Division
from postmill.train.insights.posts import Posts

STRONGEST = 3
MOST_WORDS = 20
"""So many words of a shift are named at most."""

CANDIDATES = 500
"""Of so many words that bring most, it is counted how many accounts have them."""

MONTH = "month"
DIVISIONS = (MONTH, "category", "followers")
TOO_FEW_WORDS = f"fewer than {STRONGEST} words may be named"


@dataclass(frozen=True)
class WordList:
    """The words that the numbers of an encoder stand for, W in all.

    Attributes:
        words, languages: W each.
        tones: Shape (W,).
    """

    words: Sequence[str]
    languages: Sequence[str]
    tones: Floats


Batches = Callable[[], Iterator[tuple[Rows, Rows]]]
"""Gives, for stretches of posts, which post each word is of and the word's number, ascending by post."""


def words_of(run: Run, encoder: Encoder, posts: Posts) -> Batches:
    """Return what reads the words of all posts that ``encoder`` found, again with each call."""

    def batches() -> Iterator[tuple[Rows, Rows]]:
        start = 0
        for _, embedded in columns.shards_of(run, encoder, posts.finished):
            lists = embedded.scalars[columns.WORDS].combine_chunks()
            counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
            yield np.repeat(np.arange(start, start + len(counts)), counts), lists.flatten().to_numpy().astype(np.int64)
            start += len(counts)

    return batches


def pairs(tone: Sequence[ToneRow], indicator: str, division: Division) -> list[tuple[int, int]]:
    """Return which groups of ``division`` are compared, the one with the lower tone first: none where fewer than two
    are shown.

    They are the lowest and the highest, and of months the first and the last besides.
    """
    shown = {
        division.groups.index(row.group): row.value
        for row in tone
        if row.indicator == indicator and row.division == division.name and row.value is not None
    }
    if len(shown) < 2:
        return []
    compared = [(min(shown, key=lambda group: shown[group]), max(shown, key=lambda group: shown[group]))]
    if division.name == MONTH:
        first, last = min(shown), max(shown)
        compared.append((first, last) if shown[first] <= shown[last] else (last, first))
    return list(dict.fromkeys(compared))


def shift(
    number: int,
    indicator: str,
    division: Division,
    groups: tuple[int, int],
    batches: Batches,
    known: WordList,
    accounts: Codes,
    judged: Mask,
) -> tuple[ShiftRow, list[WordRow]] | None:
    """Return the difference of two groups and what words bring to it; None where they have no language in common.

    Args:
        number: Of the shift.
        indicator: Its name.
        division: Which has the groups.
        groups: The one with the lower tone and the one with the higher.
        batches: The words of all posts.
        known: The list.
        accounts: Shape (N,).
        judged: Shape (N,): which posts have enough words.
    """
    side = np.full(len(judged), -1, dtype=np.int8)
    for place, group in enumerate(groups):
        side[judged & (division.codes == group)] = place
    counts, totals = _counted(batches, known, side, accounts)
    language = _commonest(known, counts)
    if language is None:
        return None
    kept = np.array([of == language for of in known.languages])
    shares = np.where(kept, counts, 0) / np.where(kept, counts, 0).sum(axis=1, keepdims=True)
    low = float(shares[0] @ known.tones)
    contributions = (known.tones - low) * (shares[1] - shares[0])
    difference = float(contributions.sum())
    named = _named(batches, known, side, accounts, contributions)
    inference = intervals.infer_over(*_difference(totals[language]))
    bounds = inference.interval or (None, None)
    enough = len(named) >= STRONGEST
    row = ShiftRow(
        shift=number,
        indicator=indicator,
        division=division.name,
        low_group=division.groups[groups[0]],
        high_group=division.groups[groups[1]],
        language=language,
        difference=difference,
        low=bounds[0],
        high=bounds[1],
        without_strongest=_without(known.tones, shares, named[:STRONGEST]) if enough else None,
        note=inference.note or ("" if enough else TOO_FEW_WORDS),
    )
    words = [
        WordRow(
            number,
            known.words[word],
            float(known.tones[word]),
            float(contributions[word]),
            float(shares[0, word]),
            float(shares[1, word]),
        )
        for word in named[:MOST_WORDS]
    ]
    return row, words


def _counted(
    batches: Batches, known: WordList, side: npt.NDArray[np.int8], accounts: Codes
) -> tuple[Floats, dict[str, Floats]]:
    """Return how often each side has each word, shape (2, W), and by language what the accounts bring.

    That is for each account and side the number of words and the sum of their tones: shape (accounts, 2, 2).
    """
    width, people = len(known.words), int(accounts.max(initial=0)) + 1
    counts = np.zeros((2, width))
    names = sorted(set(known.languages))
    code = np.array([names.index(language) for language in known.languages], dtype=np.int64)
    totals = {name: np.zeros((people * 2, 2)) for name in names}
    for post, word in batches():
        of = side[post]
        for place in (0, 1):
            counts[place] += np.bincount(word[of == place], minlength=width)
        inside = of >= 0
        cell = accounts[post[inside]].astype(np.int64) * 2 + of[inside]
        for number, name in enumerate(names):
            these = code[word[inside]] == number
            totals[name][:, 0] += np.bincount(cell[these], minlength=people * 2)
            totals[name][:, 1] += np.bincount(cell[these], known.tones[word[inside][these]], minlength=people * 2)
    return counts, {name: of.reshape(people, 2, 2) for name, of in totals.items()}


def _commonest(known: WordList, counts: Floats) -> str | None:
    """Return the language of which both sides have most words; None where one of them has none."""
    by_language: dict[str, Floats] = {}
    for name in sorted(set(known.languages)):
        mask = np.array([language == name for language in known.languages])
        by_language[name] = counts[:, mask].sum(axis=1)
    fitting = {name: of.min() for name, of in by_language.items() if of.min() > 0}
    return max(fitting, key=lambda name: fitting[name]) if fitting else None


def _difference(totals: Floats) -> tuple[Rows, Measure]:
    """Return for each account with words how many it has, and the difference of the sides' mean tones as a measure."""
    there = np.flatnonzero(totals[:, :, 0].sum(axis=1))
    totals = totals[there]
    group = np.arange(len(there)) % max(intervals.group_count(len(there)), 1)
    sums = np.zeros((max(intervals.group_count(len(there)), 1), 2, 2))
    np.add.at(sums, group, totals)
    whole = sums.sum(axis=0)

    def measure(left_out: int | None) -> float | None:
        rest = whole if left_out is None else whole - sums[left_out]
        if not rest[:, 0].all():
            return None
        low, high = rest[:, 1] / rest[:, 0]
        return float(high - low)

    return totals[:, :, 0].sum(axis=1).astype(np.int64), measure


def _named(
    batches: Batches, known: WordList, side: npt.NDArray[np.int8], accounts: Codes, contributions: Floats
) -> list[int]:
    """Return the words that may be named, those first that bring most."""
    order = np.argsort(-np.abs(contributions), kind="stable")[:CANDIDATES]
    place = np.full(len(known.words), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    people = int(accounts.max(initial=0)) + 1
    has = np.zeros((2, len(order), people), dtype=np.int32)  # how many posts of each account
    for post, word in batches():
        inside = (side[post] >= 0) & (place[word] >= 0)
        pairs = np.unique(np.column_stack([post[inside], place[word[inside]]]), axis=0)
        sides = side[pairs[:, 0]]
        np.add.at(has, (sides, pairs[:, 1], accounts[pairs[:, 0]]), 1)
    posts_with = has.sum(axis=2)
    posts_of = np.array([(side == 0).sum(), (side == 1).sum()])[:, None]
    enough = (posts_with >= cells.MIN_POSTS) & ((has > 0).sum(axis=2) >= cells.MIN_ACCOUNTS)
    enough &= has.max(axis=2, initial=0) <= MOST_SHARE * posts_with
    without = posts_of - posts_with
    others = (without == 0) | (without >= cells.MIN_POSTS)
    shows = (enough & others).all(axis=0)
    return [int(word) for word, shown in zip(order, shows, strict=True) if shown and contributions[word] != 0]


def _without(tones: Floats, shares: Floats, left_out: Sequence[int]) -> float:
    """Return the difference of the sides where neither has the words ``left_out``."""
    kept = shares.copy()
    kept[:, left_out] = 0.0
    low, high = (kept @ tones) / kept.sum(axis=1)
    return float(high - low)
