"""When sample posts were made, which repeat an earlier one or another account's, and what pictures they have."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_FIRST_SECOND, _LAST_SECOND = 1_451_606_400, 1_561_852_800  # 2016-01-01 and 2019-06-30, both 00:00 UTC
_DAY = 86_400
_ID_EPOCH_MS = 1_314_220_021_721  # an Instagram id is milliseconds since this moment, shifted by 23 bits
CAROUSELS = 0.06
NEAR_DUPLICATES = 0.02
CAMPAIGNS = 0.005  # for each post
_MOST_ACCOUNTS = 5  # of a campaign, two at least
OTHER_IMAGE_ID = 0.05  # single pictures that do not bear their post's id
# Width and height of the original picture in px, and how often.
FRAMES = np.array([(1080, 1080), (1080, 1350), (1080, 810), (1080, 1440), (1080, 720)])
_FRAME_ODDS = np.array([0.42, 0.3, 0.12, 0.08, 0.08])


def draw_times(rng: np.random.Generator, posts: Ints, owner: Ints) -> tuple[Ints, Ints]:
    """Return ids and times (seconds UTC) of all posts, ascending within each account."""
    begin = rng.integers(_FIRST_SECOND, _LAST_SECOND - 180 * _DAY, len(posts))[owner]
    seconds = begin + (rng.random(len(owner)) ** 0.8 * (_LAST_SECOND - begin)).astype(np.int64)
    order = np.lexsort((seconds, owner))
    milliseconds = seconds[order] * 1000 + rng.integers(0, 1000, len(owner)) - _ID_EPOCH_MS
    ids = (milliseconds << 23) + rng.integers(0, 1 << 23, len(owner))
    # Two equal ids would be one post: unlikely at any number of posts, but not impossible.
    for post in np.argsort(ids)[1:][np.diff(np.sort(ids)) == 0]:
        ids[post] += 1
    return ids, seconds[order]


def season(taken_at: Ints, peak_day: int) -> NDArray[np.float64]:
    """Return how near to the day of the year ``peak_day`` each post was made: 1 on it, -1 half a year away."""
    year = taken_at.astype("datetime64[s]").astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    near: NDArray[np.float64] = np.cos(2 * np.pi * ((taken_at - year) / _DAY - peak_day) / 365.25)
    return near


def draw_groups(rng: np.random.Generator, owner: Ints) -> Ints:
    """Return for each post the row of its original: itself, or one of the ten posts before it in its account."""
    rows = np.arange(len(owner))
    earlier = rows - np.searchsorted(owner, owner)  # posts of the account
    copies = (rng.random(len(owner)) < NEAR_DUPLICATES) & (earlier > 0)
    back = 1 + (rng.random(len(owner)) * np.minimum(earlier, 10)).astype(np.int64)
    group = np.where(copies, rows - back, rows)
    while not np.array_equal(group, group[group]):  # a copy of a copy belongs to the first
        group = group[group]
    return group


def draw_campaigns(rng: np.random.Generator, owner: Ints, group: Ints, category: NDArray[np.object_]) -> Ints:
    """Return for each post the row of the first post of its campaign, by row; -1 where it is of none.

    A campaign is one picture and one caption at several accounts of a category. A near-duplicate of its post is of it.
    """
    campaign = np.full(len(owner), -1)
    order = rng.permutation(np.flatnonzero(group == np.arange(len(owner))))
    sizes = rng.integers(2, _MOST_ACCOUNTS + 1, len(order))
    for name in sorted(set(category)):
        rows = order[category[order] == name]
        for number in range(round(len(rows) * CAMPAIGNS)):
            drawn = rows[2 * _MOST_ACCOUNTS * number : 2 * _MOST_ACCOUNTS * (number + 1)]
            _, first = np.unique(owner[drawn], return_index=True)
            members = drawn[np.sort(first)[: sizes[number]]]
            if len(members) > 1:
                campaign[members] = members.min()
    return campaign[group]


def draw_images(rng: np.random.Generator, post_ids: Ints, source: Ints) -> tuple[Ints, Ints, pa.Array]:
    """Return for each post width and height in px of the originals, how many pictures, and the list of their ids."""
    posts = len(source)
    frame = FRAMES[rng.choice(len(FRAMES), posts, p=_FRAME_ODDS)][source]
    several = np.clip(1 + rng.geometric(0.4, posts), 2, 10)
    counts = np.where(rng.random(posts) < CAROUSELS, several, 1)[source]
    return frame, counts, _image_ids(rng, post_ids, counts)


def _image_ids(rng: np.random.Generator, post_ids: Ints, counts: Ints) -> pa.Array:
    """Return a list of image ids for each post: its own, or, as for all carousels, ids from the minute before."""
    ends = np.cumsum(counts)
    post = np.repeat(np.arange(len(counts)), counts)
    to_last = ends[post] - 1 - np.arange(len(post))
    same = (counts == 1) & (rng.random(len(counts)) >= OTHER_IMAGE_ID)
    earlier = ((to_last + 1) * 3000 + rng.integers(0, 3000, len(post))) << 23
    ids = post_ids[post] - np.where(same[post], 0, earlier)
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]), pa.int32()), pa.array(ids).cast(pa.string()))
