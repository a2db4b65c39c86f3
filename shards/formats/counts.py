"""What manifests state beside their files: the counts and facts of each kind of unit, read and written here alone.

docs/formats.md lists them. A manifest holds whole numbers under ``counts`` and what else identifies the work under
``info``; the classes of this module are what the rest of the program sees of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Protocol, Self

from postmill.shards.run.publish import Unit
from postmill.shards.runtime.errors import PostmillError

_WORD = re.compile(r"[\w.,:=/@+~ -]{1,1000}")
_WHERE_ANY = "stated where any"  # of a field of counts that is absent from most manifests
_OPTIONS = frozenset(
    {
        *("--comment-weight", "--device", "--encoder", "--features", "--model", "--models", "--per-image"),
        *("--precision", "--recipe", "--seeds", "--split", "--target"),
    }
)


class Stated(Protocol):
    """What states counts and facts: a manifest, or what was seen of one."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Whole numbers by name."""

    @property
    def info(self) -> Mapping[str, Any]:
        """What else identifies the work, by name."""


@dataclass(frozen=True)
class _Counts:
    """A field stands in the manifest's ``counts`` under its own name; ``reasons``, faults by reason, in ``info``."""

    @classmethod
    def of(cls, stated: Stated) -> Self:
        """Return what a manifest states.

        Raises:
            PostmillError: It lacks something that is not optional.
        """
        values = {**stated.counts, "reasons": _reasons(stated.info.get("faults"))}
        named = {
            each.name: values.get(each.name, None if each.default is MISSING else each.default) for each in fields(cls)
        }
        lacking = [each.name for each in fields(cls) if named[each.name] is None and each.default is MISSING]
        if lacking:
            raise PostmillError(
                f"a manifest does not state {', '.join(lacking)}, so it is not of this version",
                hint="have the run verified, which names the file",
            )
        return cls(**named)

    def put(self, unit: Unit) -> None:
        """State the counts in the manifest of ``unit``."""
        values = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if _WHERE_ANY not in each.metadata or getattr(self, each.name)
        }
        reasons = values.pop("reasons", None)
        if reasons is not None:
            unit.info["faults"] = dict(reasons)
        unit.counts.update({name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True)
class SpoolCounts(_Counts):
    """Of a spool: its entries."""

    entries: int


@dataclass(frozen=True)
class ModelCounts(_Counts):
    """Of a model: the posts with a target, and the rows of its predictions."""

    posts: int
    predictions: int


@dataclass(frozen=True)
class EmbeddingCounts(_Counts):
    """Of an embedding shard.

    Attributes:
        posts: Rows.
        present: Rows that hold what the encoder made.
        absent: All other rows.
        images: Rows of single pictures; None where they are not kept.
        reasons: Its faults by reason; None where there are none.
    """

    posts: int
    present: int
    absent: int
    images: int | None = None
    reasons: Mapping[str, int] | None = None


@dataclass(frozen=True)
class ReportCounts(_Counts):
    """Of the page, or of the table of results: the models, and, of the page, the posts that it tells of."""

    models: int
    posts: int | None = None


@dataclass(frozen=True)
class InsightsCounts(_Counts):
    """Of the tables of tone: the posts that they tell of, the indicators, and the effects that are claimed."""

    posts: int
    indicators: int
    claims: int


@dataclass(frozen=True)
class ShardCounts(_Counts):
    """Of a post shard.

    Attributes:
        posts: Posts in it.
        images: Pictures in it.
        faults: Rows of its table of faults.
        lost: Planned posts that are not in it, and never will be.
        reasons: Its faults by reason.
        waiting: Planned posts that are not in it until their bytes in the archive are others.
        misfits: Entries whose bytes are to be looked at again for that, and for pictures that a post has to do without.
        not_chosen: Planned posts that are not in it, for their times lie outside the span that was asked for.
        without_time: Those of them that have no time.
    """

    posts: int
    images: int
    faults: int
    lost: int
    reasons: Mapping[str, int]
    waiting: int = 0
    misfits: int = 0
    not_chosen: int = field(default=0, metadata={_WHERE_ANY: True})
    without_time: int = field(default=0, metadata={_WHERE_ANY: True})

    @property
    def planned(self) -> int:
        """Planned posts of which it says what came of them."""
        return self.posts + self.lost + self.waiting + self.not_chosen


@dataclass(frozen=True)
class PlanCounts(_Counts):
    """Of a plan.

    Attributes:
        mapping_rows: Rows of the mapping file, malformed ones among them.
        influencers: Accounts of the influencers file.
        metadata_entries: Files of the metadata archive.
        images_entries: Files of the picture archive.
        mapped_posts: Posts that the mapping lists.
        planned_posts: Those of them that have a place in a post shard.
        planned_images: Pictures that have one.
        lost: Mapped posts that have none.
        faults: Rows of its table of faults.
        spanning_posts: Planned posts whose pictures lie in several windows.
        spool_bytes: Bytes of their pictures, which are written twice.
        shards: Post shards.
        metadata_windows: Windows of the metadata archive.
        images_windows: Windows of the picture archive.
        reasons: Its faults by reason.
        not_chosen: Mapped posts that the selection leaves out, as far as it is known without reading metadata.
        metadata_bytes: Bytes of the planned posts' metadata as they lie in the archive, which are set aside.
    """

    mapping_rows: int
    influencers: int
    metadata_entries: int
    images_entries: int
    mapped_posts: int
    planned_posts: int
    planned_images: int
    lost: int
    faults: int
    spanning_posts: int
    spool_bytes: int
    shards: int
    metadata_windows: int
    images_windows: int
    reasons: Mapping[str, int]
    not_chosen: int = field(default=0, metadata={_WHERE_ANY: True})
    metadata_bytes: int = field(default=0, metadata={_WHERE_ANY: True})


def put_encoder(unit: Unit, fingerprint: str) -> None:
    """State in the manifest of an embedding shard which encoder made it."""
    unit.info["encoder"] = fingerprint


def encoder_of(stated: Stated) -> str | None:
    """Return the fingerprint of the encoder that made an embedding shard."""
    return stated.info.get("encoder")


def put_settings(unit: Unit, fingerprint: str) -> None:
    """State in the manifest of a model or of a checkpoint which settings it was trained with."""
    unit.info["settings"] = fingerprint


def settings_of(stated: Stated) -> str | None:
    """Return the fingerprint of the settings that a model or a checkpoint was trained with."""
    return stated.info.get("settings")


def put_options(unit: Unit, words: Sequence[str]) -> None:
    """State in the manifest of a model or an embedding shard the options that the command was given for it."""
    unit.info["options"] = list(words)


def options_of(info: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the options that a manifest's ``info`` states; None where there are none that a command can be given.

    They go into a command that a user is shown, and run folders are handed on: nothing but known options with values
    that are words may.
    """
    words = info.get("options")
    if not isinstance(words, list) or not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words):
        return None
    return tuple(words) if all(word in _OPTIONS for word in words if word.startswith("-")) else None


def _reasons(stated: object) -> Mapping[str, int] | None:
    """Return faults by reason, None where what is stated is nothing of the kind."""
    if isinstance(stated, dict) and all(type(count) is int for count in stated.values()):
        return stated
    return None
