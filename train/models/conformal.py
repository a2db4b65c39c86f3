"""Intervals that hold what they promise on accounts that were not trained on, also on their first posts.

Conformalised quantile regression (Romano, Patterson and Candès, 2019): on posts set aside, how far outside its
interval does each target lie? Widening all intervals by the right quantile of these distances makes them hold the
nominal share of posts like those. The posts set aside are whole groups (accounts, or near-duplicates), the same that
decided when training stopped.

One width for all would hold of first posts far too few, and of posts with a long history too many. So there is one by
the number of earlier posts and one by the number of followers (Vovk's Mondrian prediction, 2003), and a post has the
wider of its two. First posts are too few to calibrate on: all posts set aside are predicted as if they were their
account's first, and every account counts as one (Dunn, Wasserman and Ramdas, 2018). These are quantiles; MAPIE, which
offers them, would be a dependency for a few lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from postmill.train.data import history
from postmill.train.data.arrays import Arrays, Floats, Ids, Rows
from postmill.train.data.modality import Modality, masked
from postmill.train.models.problem import COVERAGE, Scores
from postmill.train.options import ModalityName

EARLIER = (0, 2, 20)
"""Kinds of posts by how many earlier posts their account has: at most the first, the second, the third, and more."""

REACH = (10_000, 100_000, 1_000_000)
"""Kinds of posts by the number of followers: below the first, the second, the third, and the rest."""

MIN_GROUPS = 10
"""A kind of posts has a width of its own where it has so many groups set aside."""

_WEIGHT = "wider"  # the name of the widths among weights; absent where they were not calibrated


@dataclass(frozen=True)
class Kinds:
    """The kinds of M posts, shape (M,) each: numbers from 0 in the order of :data:`EARLIER` and :data:`REACH`."""

    earlier: Rows
    reach: Rows


@dataclass(frozen=True)
class Outside:
    """How far outside their intervals the targets of N posts set aside lie (:func:`distances`), shape (N,) each.

    Attributes:
        known: As the posts are.
        first: As if each were its account's first post.
        kinds: Of the posts as they are.
        groups: Ids of their groups.
    """

    known: Floats
    first: Floats
    kinds: Kinds
    groups: Ids


def kinds(modalities: Mapping[str, Modality], rows: Rows) -> Kinds:
    """Return the kinds of the posts at ``rows``, as far as what a model is shown tells them."""
    past, metadata = modalities[ModalityName.HISTORY], modalities[ModalityName.METADATA]
    posts = np.where(past.present[rows], past.take(rows)[:, history.PAST_POSTS], 0.0)
    column = metadata.columns.index("log_followers")
    followers = np.where(metadata.present[rows], metadata.take(rows)[:, column], 0.0)
    # Both are log1p of whole numbers: edges lie between these.
    earlier = np.searchsorted(np.log1p(np.array(EARLIER) + 0.5), posts)
    return Kinds(earlier, np.searchsorted(np.log1p(np.array(REACH) - 0.5), followers))


def as_first(modalities: Mapping[str, Modality]) -> dict[str, Modality]:
    """Return what a model is shown of posts when nothing is known of their account's past."""
    past = modalities[ModalityName.HISTORY]
    nobody = np.zeros(len(past.present), dtype=bool)
    return {**modalities, ModalityName.HISTORY: masked(past, nobody)}


def distances(true: Floats, low: Floats, high: Floats) -> Floats:
    """Return how far outside its interval each target lies; negative inside, the distance to the nearer end."""
    return np.maximum(low - true, true - high)


def joined(parts: list[Outside]) -> Outside | None:
    """Return posts set aside by several members as one; None where none were."""
    if not parts:
        return None
    of_kinds = Kinds(*(np.concatenate([getattr(p.kinds, name) for p in parts]) for name in ("earlier", "reach")))
    known, first, groups = (np.concatenate([getattr(p, name) for p in parts]) for name in ("known", "first", "groups"))
    return Outside(known, first, of_kinds, groups)


def widths(outside: Outside | None) -> Floats | None:
    """Return by how much to widen both ends of intervals, for each kind by earlier posts and then by followers.

    A kind by followers without a width of its own has NaN. None where so few posts were set aside that no width holds
    :data:`.problem.COVERAGE` of them.
    """
    general = None if outside is None else correction(outside.known)
    if outside is None or general is None:
        return None
    by_earlier = [_own(outside, outside.kinds.earlier == kind, general) for kind in range(len(EARLIER) + 1)]
    by_reach = [_own(outside, outside.kinds.reach == kind, math.nan) for kind in range(len(REACH) + 1)]
    first = _of_groups(outside.first, outside.groups)
    by_earlier[0] = max(by_earlier) if first is None else first
    return np.array([*by_earlier, *by_reach])


def widened(scores: Scores, by: Floats | None, of: Kinds) -> Scores:
    """Return the scores with their ends moved outwards by the :func:`widths` of each post; None takes the ends away."""
    if by is None or scores.low is None or scores.high is None:
        return Scores(scores.predicted)
    earlier, reach = np.split(by, [len(EARLIER) + 1])
    width = np.fmax(earlier[of.earlier], reach[of.reach])
    # Ends that would have crossed meet in the middle; the prediction is never outside.
    low, high = scores.low - width, scores.high + width
    return Scores(scores.predicted, np.minimum(low, scores.predicted), np.maximum(high, scores.predicted))


def entry(by: Floats | None) -> dict[str, npt.NDArray[np.float64]]:
    """Return what stands of :func:`widths` among the weights of a model."""
    return {} if by is None else {_WEIGHT: by}


def restored(weights: Arrays) -> Floats | None:
    """Return the widths among the weights of a model; None where they were not calibrated."""
    return weights.get(_WEIGHT)


def details(by: Floats | None) -> dict[str, list[float | None] | None]:
    """Return what metrics.json states of :func:`widths`."""
    return {"widened_by": None if by is None else [None if np.isnan(width) else float(width) for width in by]}


def correction(outside: Floats) -> float | None:
    """Return by how much to widen both ends of intervals, given :func:`distances` of N posts set aside.

    None where there are too few of them to hold :data:`.problem.COVERAGE`.
    """
    rank = math.ceil((len(outside) + 1) * COVERAGE)
    return float(np.sort(outside)[rank - 1]) if rank <= len(outside) else None


def _own(outside: Outside, chosen: npt.NDArray[np.bool_], otherwise: float) -> float:
    """Return the correction of some of the posts set aside, or ``otherwise`` where they are too few."""
    if len(np.unique(outside.groups[chosen])) < MIN_GROUPS:
        return otherwise
    own = correction(outside.known[chosen])
    return otherwise if own is None else own


def _of_groups(outside: Floats, groups: Ids) -> float | None:
    """Return the correction of posts of whose groups each counts as one; None where there are too few groups."""
    _, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    share = (len(size) + 1) / len(size) * COVERAGE
    if not len(size) or share > 1:
        return None
    order = np.argsort(outside, kind="stable")
    reached = np.cumsum(1 / size[group[order]]) / len(size)
    return float(outside[order[np.searchsorted(reached, share - 1e-12)]])
