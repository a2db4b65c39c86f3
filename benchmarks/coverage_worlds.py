"""Posts of accounts that are more or less unlike each other, for coverage.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from postmill.train.data import history
from postmill.train.data.arrays import Floats, Ids, Times
from postmill.train.data.modality import Modality, in_memory
from postmill.train.models import registry
from postmill.train.options import ModalityName

WIDTH = 8  # of each embedding; one direction bears on the target
VARIANCE, FOLLOWERS, LEVEL, CONTENT = 1.44, 0.35, 0.35, 0.12  # of the target, and shares of it; the rest is noise
REACH = (10.5, 1.3)  # mean and standard deviation of log followers, about those of the dataset
POSTS, MOST = 16, 150  # of an account: the median, and at most


@dataclass(frozen=True)
class World:
    """How unlike accounts are.

    Attributes:
        spread: Of the logarithm of their numbers of posts.
        tail: One over the degrees of freedom of Student's t of levels and noise; 0 for normal ones.
        unlike: Of the logarithm of their noise, and half of how much their slopes on content differ.
    """

    spread: float
    tail: float
    unlike: float


WORLDS = {"even": World(0.3, 0.0, 0.0), "uneven": World(1.0, 0.0, 0.0), "rough": World(0.8, 0.2, 0.35)}


def world(name: str, random: np.random.Generator) -> World:
    """Return a named world, or one of its own degree of everything."""
    if name in WORLDS:
        return WORLDS[name]
    return World(random.uniform(0.2, 1.0), random.uniform(0.0, 0.2), random.uniform(0.0, 0.35))


@dataclass(frozen=True)
class Drawn:
    """Posts of accounts, and what models are shown of them."""

    target: Floats
    accounts: Ids
    taken_at: Times
    shown: Mapping[str, Modality]


def draw(random: np.random.Generator, accounts: int, of: World, share: float) -> Drawn:
    """Draw posts in which content has ``share`` of the target's variance."""

    def unit(size: int) -> Floats:
        if not of.tail:
            return random.normal(size=size)
        freedom = 1 / of.tail
        return random.standard_t(freedom, size) * np.sqrt((freedom - 2) / freedom)

    posts = np.clip(np.rint(random.lognormal(np.log(POSTS), of.spread, accounts)), 3, MOST).astype(int)
    owner = np.repeat(np.arange(accounts), posts)
    followers = random.normal(size=accounts)
    level = np.sqrt(FOLLOWERS * VARIANCE) * followers + np.sqrt(LEVEL * VARIANCE) * unit(accounts)
    noise = np.exp(of.unlike * random.normal(size=accounts) - of.unlike**2)
    slope = 1 + 2 * of.unlike * random.normal(size=accounts)
    text, image = random.normal(size=(2, len(owner), WIDTH))
    content = np.sqrt(share / 2 * VARIANCE) * (text[:, 0] + image[:, 0])
    rest = 1 - FOLLOWERS - LEVEL - share
    y = 7 + level[owner] + slope[owner] * content + np.sqrt(rest * VARIANCE) * noise[owner] * unit(len(owner))
    ids, taken_at = owner.astype(np.uint64), random.uniform(1.5e9, 1.6e9, len(owner))
    past, has = history.of_posts(ids, taken_at, y)
    numbers = np.column_stack([REACH[0] + REACH[1] * followers[owner], np.zeros(len(owner))])
    everyone = np.ones(len(owner), dtype=bool)
    names = {"text": text, "image": image, "sentiment": random.normal(size=(len(owner), 1))}
    shown = {name: _modality(name, values, everyone) for name, values in names.items()}
    shown["metadata"] = _modality("metadata", numbers, everyone, registry.FOLLOWERS)
    shown["history"] = _modality("history", past, has, history.COLUMNS)
    return Drawn(y, ids, taken_at, {name: shown[name] for name in ModalityName if name in shown})


def _modality(
    name: str, values: npt.NDArray[Any], present: npt.NDArray[np.bool_], columns: Sequence[str] = ()
) -> Modality:
    named = tuple(columns) or tuple(f"{name}{number}" for number in range(values.shape[1]))
    return in_memory(name, named, values.astype(np.float32), present, before_publication=True)
