"""Posts that are nearly the same: by picture name, by caption, and by what both of them show.

Who posts a thing again re-encodes or crops the picture, and adds a word to the caption. So two posts are
near-duplicates where both embeddings are alike, or where the pictures are so much alike that nothing else need be; what
counts as alike differs between encoders. Within an account all pairs are looked at; across accounts, where a campaign's
picture and caption go round, those that share a token or lie beside each other among the sorted sketches.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np

from postmill.shards.formats.blank import is_blank
from postmill.train.data import sketches
from postmill.train.data.arrays import Ids, Mask, Rows
from postmill.train.data.hashing import hash64
from postmill.train.data.sketches import Sketches
from postmill.train.options import ModalityName

LONG_CAPTION = 40
"""Letters and digits from which on the same caption at two accounts is no chance."""

_MEDIA_ID = re.compile(r"[0-9]{15}")  # in a picture's name: nobody else's has it, as `1.jpg` may be anybody's


@dataclass(frozen=True)
class Alike:
    """From which cosine on, between embeddings less their mean, two posts are alike.

    Attributes:
        beside: Where the other modality is alike too. What one falls short of, the other may make up for.
        alone: Whatever else is known, or nothing. Captions never are enough alone: many are of one pattern.
        short: How far below ``beside`` it may be.
    """

    beside: float
    alone: float
    short: float = 0.2


MEASURED = {
    "EfficientNet-Lite0": Alike(beside=0.84, alone=0.93),
    "all-MiniLM-L6-v2": Alike(beside=0.84, alone=1.0),
}
"""By the name of the model: what finds the near-duplicates of `postmill sample`, as counted by
benchmarks/near_duplicates.py."""

CAUTIOUS = Alike(beside=0.96, alone=0.96)
"""Where there are too few pairs of strangers to tell."""

_SHORT = 0.05  # where it was not measured
_PAIRS = 10_000
# The share of pairs of strangers that is less alike; less of captions, many of which are of one pattern.
_STRANGERS = {ModalityName.IMAGE.value: 0.9999, ModalityName.TEXT.value: 0.9995}
_TO_SAME = 2 / 3  # of the way from there to the same vector
_LEAST = 0.7  # posts of one account are more alike than strangers are, and yet no near-duplicates


@dataclass(frozen=True)
class Compared:
    """One modality by which posts are compared: its sketches, and what counts as alike."""

    sketches: Sketches
    alike: Alike

    @property
    def most(self) -> int:
        """In how many bits sketches differ at most that may be alike, alone."""
        return sketches.most_different(self.alike.alone)

    @property
    def most_beside(self) -> int:
        """Likewise, beside the other modality."""
        return sketches.most_different(self.alike.beside - self.alike.short)


def compared(sketched: Sketches, accounts: Ids) -> Compared:
    """Return what counts as alike of an encoder: as :data:`MEASURED`, or else derived from posts of different accounts.

    Args:
        sketched: The sketches of N posts.
        accounts: Shape (N,), ids of accounts.
    """
    known = MEASURED.get(sketched.modality.encoder.model)
    return Compared(sketched, derived(sketched, accounts) if known is None else known)


def derived(sketched: Sketches, accounts: Ids) -> Alike:
    """Return what counts as alike by how alike strangers are: posts of different accounts, which hardly ever are.

    Pictures are to be more alike than all but one of 10,000 pairs of strangers, captions beside them than all but one
    of 2,000, and either than 0.7; and alone two thirds nearer to the same one than that.
    """
    cosines = sketched.of_strangers(accounts)
    if len(cosines) < _PAIRS:
        return CAUTIOUS
    beside = max(float(np.quantile(cosines, _STRANGERS[sketched.modality.name])), _LEAST)
    return Alike(beside, beside + (1 - beside) * _TO_SAME, _SHORT)


def normalise_caption(caption: str) -> str:
    """Return ``caption`` without what a repost changes: case, width of letters, and white space."""
    return " ".join(unicodedata.normalize("NFKC", caption).casefold().split())


def tokens(account: str, pictures: Iterable[str], caption: str | None) -> list[int]:
    """Return the tokens of one post; two posts that share one are near-duplicates.

    Tokens are those of the account's picture names and of its caption where there is one: posts of different
    accounts share none.
    """
    of_post = [hash64("picture", account, picture) for picture in pictures]
    text = _text(caption)
    if text:
        of_post.append(hash64("caption", account, text))
    return of_post


def tokens_of_anybody(pictures: Iterable[str], caption: str | None) -> list[int]:
    """Return the tokens of one post that posts of other accounts may share, which are near-duplicates then.

    They are of the picture names that hold the id of a medium, and of a caption of :data:`LONG_CAPTION` letters.
    """
    of_post = [hash64("anybody's picture", picture) for picture in pictures if _MEDIA_ID.search(picture)]
    text = _text(caption)
    if sum(map(str.isalnum, text)) >= LONG_CAPTION:
        of_post.append(hash64("anybody's caption", text))
    return of_post


def within_accounts(accounts: Ids, pictures: Compared, captions: Compared | None) -> Rows:
    """Return the pairs of near-duplicates of one account by their embeddings, each once, shape (pairs, 2).

    Args:
        accounts: Shape (N,), ids of accounts.
        pictures: Of N posts.
        captions: Likewise; None where only pictures tell.
    """
    shown = np.flatnonzero(pictures.sketches.present)
    most = pictures.most if captions is None else max(pictures.most, pictures.most_beside)
    pairs = sketches.within_accounts(accounts, shown, pictures.sketches.signs, most)
    return _confirmed(pairs, pictures, captions)


def across_accounts(accounts: Ids, pictures: Compared, captions: Compared | None) -> Rows:
    """Return pairs of near-duplicates of different accounts, as :func:`within_accounts`; a few are missed.

    Where there are captions they are sorted too: those of reposts differ less than their pictures do.
    """
    shown = np.flatnonzero(pictures.sketches.present)
    most = pictures.most if captions is None else max(pictures.most, pictures.most_beside)
    pairs = sketches.across_accounts(accounts, shown, pictures.sketches.signs, most)
    if captions is not None:
        both = np.flatnonzero(pictures.sketches.present & captions.sketches.present)
        pairs = chain(pairs, sketches.across_accounts(accounts, both, captions.sketches.signs, captions.most_beside))
    return _confirmed(pairs, pictures, captions)


def _confirmed(pairs: Iterable[tuple[Rows, Rows]], pictures: Compared, captions: Compared | None) -> Rows:
    """Return those of ``pairs`` that are near-duplicates, each once: first by all sketches, then by exact cosines."""
    maybe = [np.empty(0, dtype=np.int64)]
    for first, second in pairs:
        kept = _may_be_alike(first, second, pictures, captions)
        maybe.append(np.minimum(first, second)[kept] << 32 | np.maximum(first, second)[kept])
    both = np.unique(np.concatenate(maybe))
    distinct = np.column_stack([both >> 32, both & 0xFFFFFFFF])
    return distinct[_are_alike(distinct[:, 0], distinct[:, 1], pictures, captions)]


def _may_be_alike(first: Rows, second: Rows, pictures: Compared, captions: Compared | None) -> Mask:
    shown = pictures.sketches.different(first, second)
    alone: Mask = shown <= pictures.most
    if captions is None:
        return alone
    said = captions.sketches.different(first, second)
    near = (shown <= pictures.most_beside) & (said <= captions.most_beside)
    together = shown + said <= sketches.most_different(pictures.alike.beside, captions.alike.beside)
    return alone | (_written(first, second, captions) & near & together)


def _are_alike(first: Rows, second: Rows, pictures: Compared, captions: Compared | None) -> Mask:
    """Return which pairs are near-duplicates, by their exact cosines, shape (M,)."""
    shown = pictures.sketches.cosines(first, second)
    alike: Mask = shown >= pictures.alike.alone
    if captions is None:
        return alike
    said = captions.sketches.cosines(first, second)
    over = shown - pictures.alike.beside, said - captions.alike.beside
    near = (over[0] >= -pictures.alike.short) & (over[1] >= -captions.alike.short) & (over[0] + over[1] >= 0)
    return alike | (_written(first, second, captions) & near)


def _written(first: Rows, second: Rows, captions: Compared) -> Mask:
    written: Mask = captions.sketches.present[first] & captions.sketches.present[second]
    return written


def _text(caption: str | None) -> str:
    return "" if caption is None or is_blank(caption) else normalise_caption(caption)
